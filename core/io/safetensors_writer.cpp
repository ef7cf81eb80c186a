// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/json_file.h"
#include "core/io/tensor_data_writer.h"

namespace kvista {
namespace {

using Metadata = std::map<std::string, std::string>;

/// Length and JSON, padded so that the data begins at a multiple of 8.
Result<std::string> headerOf(const std::vector<SizedTensor>& tensors, const Metadata& metadata) {
  std::vector<std::string> entries;
  try {
    if (!metadata.empty()) entries.push_back(fmt::format("\"__metadata__\":{}", nlohmann::json(metadata).dump()));
    std::uint64_t begin = 0;
    for (const auto& [tensor, bytes] : tensors) {
      entries.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                    nlohmann::json(tensor.name).dump(), nameOf(tensor.type),
                                    fmt::join(tensor.shape, ","), begin, begin + bytes));
      begin += bytes;
    }
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::invalidArgument, "A tensor's name or a metadata text is not UTF-8.", {}, error.what());
  }
  std::string text = fmt::format("{{{}}}", fmt::join(entries, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

/// Writes everything but leaves the commit to the caller.
Result<AtomicFile> writeUncommitted(const std::filesystem::path& file, std::vector<SizedTensor> tensors,
                                    const Metadata& metadata, WriteProgress& progress) {
  const auto alignment = [](const SizedTensor& sized) { return *byteCount(sized.tensor.type, 1); };
  std::ranges::sort(tensors, [&](const SizedTensor& a, const SizedTensor& b) {
    return std::pair(alignment(b), std::string_view(a.tensor.name)) <
           std::pair(alignment(a), std::string_view(b.tensor.name));
  });
  KVISTA_ASSIGN(const std::string header, headerOf(tensors, metadata));
  KVISTA_ASSIGN(AtomicFile out, AtomicFile::create(file));
  KVISTA_CHECK(out.append(std::as_bytes(std::span(header))));
  KVISTA_CHECK(progress.advance(0));
  KVISTA_CHECK(writeTensorData(out, std::move(tensors), 1, progress));
  return out;
}

std::vector<std::vector<SizedTensor>> splitIntoShards(std::vector<SizedTensor> tensors, std::uint64_t shardBytes) {
  std::vector<std::vector<SizedTensor>> shards(1);
  std::uint64_t filled = 0;
  for (SizedTensor& sized : tensors) {
    if (!shards.back().empty() && (filled > shardBytes || sized.bytes > shardBytes - filled)) {
      shards.emplace_back();
      filled = 0;
    }
    filled += sized.bytes;
    shards.back().push_back(std::move(sized));
  }
  return shards;
}

}  // namespace

Result<void> writeSafetensors(const std::filesystem::path& file, std::vector<TensorToWrite> tensors,
                              const Metadata& metadata, const Task& task) {
  KVISTA_ASSIGN(auto sized, sizeTensors(std::move(tensors), DataType::f8e5m2, "safetensors"));
  const std::uint64_t total = totalBytes(sized);
  KVISTA_CHECK(checkFreeSpace(file.has_parent_path() ? file.parent_path() : ".", total, file.string()));
  WriteProgress progress(task, total);
  KVISTA_ASSIGN(AtomicFile out, writeUncommitted(file, std::move(sized), metadata, progress));
  return out.commit();
}

Result<void> ShardedSafetensorsWriter::add(std::vector<TensorToWrite> tensors, const Task& task) {
  KVISTA_ASSIGN(auto sized, sizeTensors(std::move(tensors), DataType::f8e5m2, "safetensors"));
  const std::uint64_t total = totalBytes(sized);
  KVISTA_CHECK(checkFreeSpace(folder_, total, folder_.string()));
  WriteProgress progress(task, total);
  std::vector<std::vector<SizedTensor>> shards = splitIntoShards(std::move(sized), shardBytes_);
  const bool isPerhapsAll = shards_.empty() && shards.size() == 1;
  for (std::vector<SizedTensor>& shard : shards) {
    std::vector<std::string> names;
    for (const SizedTensor& member : shard) names.push_back(member.tensor.name);
    const std::string name = isPerhapsAll
                                 ? "model.safetensors"
                                 : fmt::format("model-{:05}.safetensors", shards_.size() + 1);  // until it is known
    // transformers refuses files that do not say in which framework's layout they are.
    KVISTA_ASSIGN(AtomicFile out, writeUncommitted(folder_ / name, std::move(shard), {{"format", "pt"}}, progress));
    shards_.push_back({std::move(out), std::move(names)});
  }
  bytes_ += total;
  return {};
}

Result<std::vector<std::string>> ShardedSafetensorsWriter::commit() {
  std::vector<std::string> names;
  nlohmann::json shardOf = nlohmann::json::object();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    names.push_back(shards_.size() == 1 ? "model.safetensors"
                                        : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size()));
    for (const std::string& tensor : shards_[i].tensors) {
      if (shardOf.contains(tensor))
        return fail(ErrorCode::invalidArgument, fmt::format("Two tensors are named {}.", quoteForMessage(tensor)));
      shardOf[tensor] = names.back();
    }
  }
  std::optional<AtomicFile> index;
  if (shards_.size() > 1) {
    names.push_back("model.safetensors.index.json");
    const nlohmann::json content = {{"metadata", {{"total_size", bytes_}}}, {"weight_map", std::move(shardOf)}};
    const std::string text = content.dump(2) + "\n";
    KVISTA_ASSIGN(index, AtomicFile::create(folder_ / names.back()));
    KVISTA_CHECK(index->append(std::as_bytes(std::span(text))));
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) KVISTA_CHECK(shards_[i].file.commitAs(folder_ / names[i]));
  if (index) KVISTA_CHECK(index->commit());
  return names;
}

Result<std::vector<std::string>> writeShardedSafetensors(const std::filesystem::path& folder,
                                                         std::vector<TensorToWrite> tensors, std::uint64_t shardBytes,
                                                         const Task& task) {
  ShardedSafetensorsWriter writer(folder, shardBytes);
  KVISTA_CHECK(writer.add(std::move(tensors), task));
  return writer.commit();
}

}  // namespace kvista
