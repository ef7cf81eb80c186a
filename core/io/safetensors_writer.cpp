// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr std::size_t kChunkBytes = std::size_t{4} << 20;  // between two looks at the stop token

/// A tensor whose size is known and checked.
struct SizedTensor {
  TensorToWrite tensor;
  std::uint64_t bytes = 0;
};

std::uint64_t totalBytes(const std::vector<SizedTensor>& tensors) {
  std::uint64_t total = 0;
  for (const SizedTensor& sized : tensors) total += sized.bytes;
  return total;
}

Result<std::uint64_t> sizeOf(const TensorToWrite& tensor) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("Tensor {} cannot be written: {}.", quoteForMessage(tensor.name), what));
  };
  if (tensor.name.empty() || tensor.name == "__metadata__") return refuse("a tensor must not have this name");
  if (tensor.type > DataType::f8e5m2) return refuse(fmt::format("safetensors know no type {}", nameOf(tensor.type)));
  std::uint64_t count = 1;
  for (const std::int64_t length : tensor.shape)
    if (length < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(length), &count))
      return refuse(fmt::format("the shape [{}] makes no sense", fmt::join(tensor.shape, ", ")));
  return byteCount(tensor.type, count);
}

Result<std::vector<SizedTensor>> sizeAll(std::vector<TensorToWrite> tensors) {
  std::vector<SizedTensor> sized;
  std::set<std::string_view> names;
  std::uint64_t total = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::invalidArgument, fmt::format("Two tensors are named {}.", quoteForMessage(tensor.name)));
    KVISTA_ASSIGN(const std::uint64_t bytes, sizeOf(tensor));
    if (__builtin_add_overflow(total, bytes, &total))
      return fail(ErrorCode::invalidArgument, "The tensors' size in bytes does not fit into 64 bits.");
    sized.push_back({{}, bytes});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) sized[i].tensor = std::move(tensors[i]);
  return sized;
}

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

/// What has been written of how much, over all files of a checkpoint.
class Progress {
 public:
  Progress(const Task& task, std::uint64_t total) : task_(task), total_(total) {}
  Result<void> advance(std::uint64_t bytes) {
    task_.progress("write", done_ += bytes, total_, "bytes");
    return task_.checkStop();
  }

 private:
  const Task& task_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

using Produced = Result<std::span<const std::byte>>;

Result<void> writeData(AtomicFile& out, const SizedTensor& sized, const Produced& produced, Progress& progress) {
  KVISTA_ASSIGN(std::span<const std::byte> bytes, produced);
  if (bytes.size() != sized.bytes)
    return fail(ErrorCode::internal, fmt::format("Tensor {} has {} bytes instead of {}.",
                                                 quoteForMessage(sized.tensor.name), bytes.size(), sized.bytes));
  while (!bytes.empty()) {
    const auto chunk = bytes.first(std::min(bytes.size(), kChunkBytes));
    KVISTA_CHECK(out.append(chunk));
    KVISTA_CHECK(progress.advance(chunk.size()));
    bytes = bytes.subspan(chunk.size());
  }
  return {};
}

/// Each tensor is made while the one before it is written; what made it is given back afterwards, with what it holds.
Result<void> writeAll(AtomicFile& out, std::vector<SizedTensor> tensors, Progress& progress) {
  const auto make = [&](std::size_t i) { return std::async(std::launch::async, [&produce = tensors[i].tensor.produce] { return produce(); }); };
  std::future<Produced> next;
  if (!tensors.empty()) next = make(0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Produced produced = next.get();
    if (i + 1 < tensors.size()) next = make(i + 1);
    KVISTA_CHECK(writeData(out, tensors[i], produced, progress));
    tensors[i].tensor.produce = nullptr;
  }
  return {};
}

/// Writes everything but leaves the commit to the caller.
Result<AtomicFile> writeUncommitted(const std::filesystem::path& file, std::vector<SizedTensor> tensors,
                                    const Metadata& metadata, Progress& progress) {
  const auto alignment = [](const SizedTensor& sized) { return *byteCount(sized.tensor.type, 1); };
  std::ranges::sort(tensors, [&](const SizedTensor& a, const SizedTensor& b) {
    return std::pair(alignment(b), std::string_view(a.tensor.name)) <
           std::pair(alignment(a), std::string_view(b.tensor.name));
  });
  KVISTA_ASSIGN(const std::string header, headerOf(tensors, metadata));
  KVISTA_ASSIGN(AtomicFile out, AtomicFile::create(file));
  KVISTA_CHECK(out.append(std::as_bytes(std::span(header))));
  KVISTA_CHECK(progress.advance(0));
  KVISTA_CHECK(writeAll(out, std::move(tensors), progress));
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
  KVISTA_ASSIGN(auto sized, sizeAll(std::move(tensors)));
  const std::uint64_t total = totalBytes(sized);
  KVISTA_CHECK(checkFreeSpace(file.has_parent_path() ? file.parent_path() : ".", total, file.string()));
  Progress progress(task, total);
  KVISTA_ASSIGN(AtomicFile out, writeUncommitted(file, std::move(sized), metadata, progress));
  return out.commit();
}

Result<void> ShardedSafetensorsWriter::add(std::vector<TensorToWrite> tensors, const Task& task) {
  KVISTA_ASSIGN(auto sized, sizeAll(std::move(tensors)));
  const std::uint64_t total = totalBytes(sized);
  KVISTA_CHECK(checkFreeSpace(folder_, total, folder_.string()));
  Progress progress(task, total);
  std::vector<std::vector<SizedTensor>> shards = splitIntoShards(std::move(sized), shardBytes_);
  const bool isPerhapsAll = shards_.empty() && shards.size() == 1;
  for (std::vector<SizedTensor>& shard : shards) {
    std::vector<std::string> names;
    for (const SizedTensor& member : shard) names.push_back(member.tensor.name);
    const std::string name = isPerhapsAll ? "model.safetensors" : fmt::format("model-{:05}.safetensors", shards_.size() + 1);  // until it is known
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
    names.push_back(shards_.size() == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size()));
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
