// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/export_report.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <deque>
#include <future>
#include <memory>
#include <system_error>
#include <thread>

#include "core/io/json_file.h"
#include "core/io/mapped_file.h"

namespace kvista {

namespace {

constexpr std::size_t kMaximumReportBytes = std::size_t{64} << 20;
constexpr std::size_t kChunkBytes = std::size_t{16} << 20;  // between two looks at the stop token

/// Begins in a thread, or where none can be had when its answer is asked for.
std::future<Result<ExportedFile>> beginToHash(const std::filesystem::path& folder, const std::string& name,
                                              const Task& task) {
  const auto hash = [&folder, &task, name] { return hashFile(folder, name, task); };
  try {
    return std::async(std::launch::async, hash);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, hash);
  }
}

}  // namespace

Result<ExportedFile> hashFile(const std::filesystem::path& folder, const std::string& name, const Task& task) {
  KVISTA_ASSIGN(const MappedFile file, MappedFile::open(folder / name));
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  if (!state || XXH3_64bits_reset(state.get()) != XXH_OK)
    return fail(ErrorCode::outOfMemory, fmt::format("{} cannot be hashed: there is not enough memory.", name));
  for (auto rest = file.bytes(); !rest.empty();) {
    KVISTA_CHECK(task.checkStop());
    const auto chunk = rest.first(std::min(rest.size(), kChunkBytes));
    XXH3_64bits_update(state.get(), chunk.data(), chunk.size());
    rest = rest.subspan(chunk.size());
  }
  return ExportedFile{name, file.bytes().size(), fmt::format("{:016x}", XXH3_64bits_digest(state.get()))};
}

Result<std::vector<ExportedFile>> hashFiles(const std::filesystem::path& folder, const std::vector<std::string>& names,
                                            const Task& task) {
  // More would wait for memory.
  const std::size_t together = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8);
  std::deque<std::future<Result<ExportedFile>>> running;
  std::vector<ExportedFile> files;
  const Task quiet{task.stop, {}};
  for (std::size_t next = 0; files.size() < names.size();) {
    for (; next < names.size() && running.size() < together; ++next)
      running.push_back(beginToHash(folder, names[next], quiet));
    task.progress("verify", files.size(), names.size(), "files");
    KVISTA_ASSIGN(ExportedFile file, running.front().get());
    running.pop_front();
    files.push_back(std::move(file));
  }
  return files;
}

nlohmann::json toJson(const std::vector<ExportedFile>& files) {
  nlohmann::json json = nlohmann::json::object();
  for (const ExportedFile& file : files) json[file.name] = {{"bytes", file.bytes}, {"xxh3", file.xxh3}};
  return json;
}

Result<nlohmann::json> readReport(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kReportName;
  KVISTA_ASSIGN(nlohmann::json report, readJsonFile(file, kMaximumReportBytes));
  const auto needs = [&](const char* field, bool isThere) -> Result<void> {
    if (isThere) return {};
    return fail(ErrorCode::corruptFile, fmt::format("{}: {} is missing or of the wrong kind.", file.string(), field),
                "The file is written by `kvista export` and belongs to the folder.");
  };
  KVISTA_CHECK(needs("the object itself", report.is_object()));
  KVISTA_CHECK(needs("form", report.contains("form") && report["form"].is_string()));
  KVISTA_CHECK(needs("plan", report.contains("plan") && report["plan"].is_object()));
  KVISTA_CHECK(needs("files", report.contains("files") && report["files"].is_object()));
  return report;
}

Result<CompressionPlan> planOfReport(const nlohmann::json& report, const std::filesystem::path& folder) {
  auto plan = planFromJson(report["plan"]);
  if (plan) return plan;
  return fail(ErrorCode::corruptFile,
              fmt::format("In the report {}: {}", (folder / kReportName).string(), plan.error().message),
              "Export the plan again, or get the whole folder as it was exported.");
}

Result<std::vector<ExportedFile>> filesOfReport(const nlohmann::json& report, const std::filesystem::path& folder) {
  std::vector<ExportedFile> files;
  for (const auto& [name, entry] : report["files"].items()) {
    const bool isSound = entry.is_object() && entry.contains("bytes") && entry["bytes"].is_number_unsigned() &&
                         entry.contains("xxh3") && entry["xxh3"].is_string();
    // A name with a folder in it could point outside.
    if (!isSound || std::filesystem::path(name).filename() != name) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}: the entry {} of files is not a file name with bytes and xxh3.",
                              (folder / kReportName).string(), quoteForMessage(name)));
    }
    files.push_back({name, entry["bytes"].get<std::uint64_t>(), entry["xxh3"].get<std::string>()});
  }
  return files;
}

}  // namespace kvista
