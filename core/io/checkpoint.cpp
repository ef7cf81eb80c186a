// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/io/adapter.h"
#include "core/io/gguf.h"
#include "core/io/json_file.h"
#include "core/io/mapped_file.h"
#include "core/io/quantised/quantised.h"
#include "core/io/safetensors_reader.h"
#include "core/io/shard_index.h"
#include "core/io/torch_file.h"
#include "core/io/virtual_tensors.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfigName = "config.json";
constexpr std::string_view kWeightsName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kTorchWeightsName = "pytorch_model.bin";
constexpr std::string_view kTorchIndexName = "pytorch_model.bin.index.json";
constexpr std::size_t kMaximumConfigBytes = std::size_t{16} << 20;

/// Is there anything of this name, be it a broken link?
bool isThere(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

fs::path folderOf(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

/// What to give in place of a folder without a configuration.
std::string whereElse(const fs::path& folder) {
  std::set<fs::path> models;
  std::error_code error, ignored;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (fs::exists(entry->path() / kConfigName, ignored)) models.insert(entry->path());
  if (models.size() == 1) return fmt::format("{} has one: give that folder.", models.begin()->string());
  if (!models.empty())
    return fmt::format("{} folders in it have one, such as {}: give one of those.", models.size(),
                       models.begin()->string());
  if (isThere(folder / "params.json"))
    return "It has a params.json, as models have in their makers' own format: get the model in the format of "
           "transformers, with config.json.";
  return "Give the folder that holds config.json and the weights, or a .gguf file.";
}

Result<nlohmann::json> readConfig(const fs::path& folder) {
  const fs::path file = folder / kConfigName;
  if (!isThere(file))
    return fail(ErrorCode::io, fmt::format("{} is not a model's folder: it has no {}.", folder.string(), kConfigName),
                whereElse(folder));
  KVISTA_ASSIGN(nlohmann::json config, readJsonFile(file, kMaximumConfigBytes));
  if (!config.is_object())
    return fail(ErrorCode::corruptFile, fmt::format("{} is {} instead of an object.", file.string(), kindOf(config)),
                "Get the model's config.json again from where the model came from.");
  return config;
}

/// Says what the folder holds in place of weights under their usual names.
tl::unexpected<Error> noWeights(const fs::path& folder) {
  std::set<fs::path> others;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    others.insert(entry->path());
  if (error)
    return fail(ErrorCode::io, fmt::format("The folder {} cannot be listed: {}.", folder.string(), error.message()),
                "Check the folder's permissions.");
  const auto firstWith = [&](std::string_view extension) {
    return std::ranges::find_if(others, [&](const fs::path& path) { return path.extension() == extension; });
  };
  if (const auto gguf = firstWith(".gguf"); gguf != others.end())
    return fail(
        ErrorCode::unsupportedModel,
        fmt::format("{} holds no safetensors, but a GGUF file, {}.", folder.string(), gguf->filename().string()),
        fmt::format("Give the file instead of the folder: {}.", gguf->string()));
  for (const std::string_view extension : {".safetensors", ".bin", ".pt", ".pth"})
    if (const auto file = firstWith(extension); file != others.end())
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("{} holds neither {} nor {}, but a file {}.", folder.string(), kWeightsName,
                              kTorchWeightsName, file->filename().string()),
                  fmt::format("Where that is the model's only file of weights, give it instead of the folder: {}.",
                              file->string()));
  return fail(ErrorCode::unsupportedModel,
              fmt::format("{} holds no weights: neither {} nor {} nor an index of either.", folder.string(),
                          kWeightsName, kTorchWeightsName),
              "Download the model's safetensors into the folder.");
}

enum class FileKind { gguf, json, torch, safetensors };

/// By the first bytes. What is nothing else is taken for safetensors, whose reader says what is wrong with it.
FileKind kindOfFile(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 9));
  if (start.starts_with("GGUF")) return FileKind::gguf;
  // Safetensors begin with a 64-bit length of less than 2^32, which may have any low bytes, and an object; the others
  // are text or tags. A zip archive may have zeros there too, but no text behind them.
  const bool hasZeros = start.substr(0, 8).ends_with(std::string_view("\0\0\0\0", 4));
  const bool hasText = start.size() == 9 && std::string_view("{ \t\r\n").find(start[8]) != std::string_view::npos;
  if (start.starts_with("PK\x03\x04")) return hasZeros && hasText ? FileKind::safetensors : FileKind::torch;
  if (hasZeros) return FileKind::safetensors;
  if (start.size() > 1 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return FileKind::torch;
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  return first != start.npos && start[first] == '{' ? FileKind::json : FileKind::safetensors;
}

/// Opens files of weights, all as the first one is.
Result<void> openWeights(Checkpoint& checkpoint) {
  const fs::path& first = checkpoint.files.front();
  KVISTA_ASSIGN(const MappedFile file, MappedFile::open(first));
  const bool isTorch = kindOfFile(file.bytes()) == FileKind::torch || first.extension() == ".bin";
  checkpoint.format = isTorch ? Checkpoint::Format::pytorch : Checkpoint::Format::safetensors;
  KVISTA_ASSIGN(checkpoint.tensors, isTorch ? openTorchFiles(checkpoint.files) : openSafetensors(checkpoint.files));
  return {};
}

using ShardOfTensor = std::map<std::string, std::string>;

/// Opens the shards that an index names and holds them against its list.
Result<void> openShards(const fs::path& indexFile, const ShardOfTensor& shardOf, Checkpoint& checkpoint) {
  std::map<std::string, fs::path> shards;  // Models have hundreds of them, and tens of thousands of tensors.
  for (const auto& [tensor, shard] : shardOf)
    if (!shards.contains(shard)) shards.emplace(shard, checkpoint.path / shard);
  for (const auto& [shard, file] : shards) checkpoint.files.push_back(file);
  for (const fs::path& file : checkpoint.files)
    if (!isThere(file))
      return fail(ErrorCode::io,
                  fmt::format("The shard {} that {} names does not exist ({} shards in all).", file.string(),
                              indexFile.filename().string(), shards.size()),
                  "Download the missing shard into the model's folder.");
  KVISTA_CHECK(openWeights(checkpoint));
  const auto& tensors = checkpoint.tensors->tensors();
  auto found = tensors.begin();
  for (const auto& [name, shard] : shardOf) {
    while (found != tensors.end() && found->first < name) ++found;  // Both are in order.
    if (found == tensors.end() || found->first != name || found->second.file.native() != shards.at(shard).native())
      return fail(ErrorCode::corruptFile,
                  fmt::format("{} says that tensor {} is in {}, but that file does not hold it.", indexFile.string(),
                              quoteForMessage(name), quoteForMessage(shard)),
                  "Index and shards must come from the same checkpoint: download them again.");
  }
  if (tensors.size() > shardOf.size()) {
    const auto unlisted =
        std::ranges::find_if(tensors, [&](const auto& tensor) { return !shardOf.contains(tensor.first); });
    checkpoint.warnings.push_back(fmt::format("{} does not list {} of the {} tensors in its shards, such as {}.",
                                              indexFile.string(), tensors.size() - shardOf.size(), tensors.size(),
                                              quoteForMessage(unlisted->first)));
  }
  return {};
}

Result<Checkpoint> openIndexed(const fs::path& folder, const fs::path& indexFile) {
  Checkpoint checkpoint;
  checkpoint.path = folder;
  KVISTA_ASSIGN(checkpoint.config, readConfig(folder));
  KVISTA_ASSIGN(const ShardOfTensor shardOf, readShardIndex(indexFile));
  KVISTA_CHECK(openShards(indexFile, shardOf, checkpoint));
  return checkpoint;
}

Result<Checkpoint> openSingle(const fs::path& folder, const fs::path& file) {
  Checkpoint checkpoint;
  checkpoint.path = folder;
  checkpoint.files = {file};
  KVISTA_ASSIGN(checkpoint.config, readConfig(folder));
  KVISTA_CHECK(openWeights(checkpoint));
  return checkpoint;
}

/// Shards that no index lists, all of which are there.
Result<Checkpoint> openUnlisted(const fs::path& folder, std::vector<fs::path> shards) {
  Checkpoint checkpoint;
  checkpoint.path = folder;
  checkpoint.files = std::move(shards);
  KVISTA_ASSIGN(checkpoint.config, readConfig(folder));
  KVISTA_CHECK(openWeights(checkpoint));
  checkpoint.warnings.push_back(fmt::format("{} has no index; its {} shards are taken together by their names.",
                                            folder.string(), checkpoint.files.size()));
  return checkpoint;
}

Result<Checkpoint> openVirtual(const fs::path& folder, const fs::path& file) {
  Checkpoint checkpoint;
  checkpoint.path = folder;
  checkpoint.files = {file};
  KVISTA_ASSIGN(checkpoint.config, readConfig(folder));
  KVISTA_ASSIGN(checkpoint.tensors, openVirtualTensors(file));
  return checkpoint;
}

Result<Checkpoint> openGgufCheckpoint(const fs::path& file) {
  KVISTA_ASSIGN(GgufModel model, openGguf(file));
  return Checkpoint{.path = file,
                    .format = Checkpoint::Format::gguf,
                    .config = std::move(model.config),
                    .tensors = std::move(model.tensors),
                    .files = {file},
                    .warnings = {}};
}

/// The folder's GGUF file, if it holds one alone.
std::optional<fs::path> onlyGguf(const fs::path& folder) {
  std::optional<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() != ".gguf") continue;
    if (found) return std::nullopt;
    found = entry->path();
  }
  return found;
}

Result<Checkpoint> openFolder(const fs::path& folder) {
  // As transformers: one file with everything wins over an index.
  if (isThere(folder / kWeightsName)) return openSingle(folder, folder / kWeightsName);
  if (isThere(folder / kIndexName)) return openIndexed(folder, folder / kIndexName);
  if (isThere(folder / kTorchWeightsName)) return openSingle(folder, folder / kTorchWeightsName);
  if (isThere(folder / kTorchIndexName)) return openIndexed(folder, folder / kTorchIndexName);
  if (isThere(folder / kVirtualTensorsName)) return openVirtual(folder, folder / kVirtualTensorsName);
  if (!isThere(folder / kConfigName)) {
    if (const auto file = onlyGguf(folder)) return openGgufCheckpoint(*file);
  }
  KVISTA_CHECK(readConfig(folder));  // A folder that is no model's at all is told so first.
  KVISTA_ASSIGN(std::vector<fs::path> shards, findShards(folder));
  if (!shards.empty()) return openUnlisted(folder, std::move(shards));
  return noWeights(folder);
}

/// What a file is that is taken for safetensors and is none of a model's; empty where it may be a model's.
std::string_view kindOfOtherFile(std::span<const std::byte> bytes) {
  constexpr std::size_t kLookedAt = 4096;
  constexpr std::string_view kStatistics = "\"kvista.statistics\"";  // a tensor's name in their header
  if (bytes.empty()) return "an empty file";
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto opening = all.substr(0, kLookedAt); opening.find('\0') == opening.npos && opening[0] != '{')
    return "a text";
  std::uint64_t length = 0;
  if (all.size() > sizeof length) std::memcpy(&length, all.data(), sizeof length);
  const std::string_view header = all.substr(std::min(all.size(), sizeof length), length);
  return header.find(kStatistics) != header.npos ? "a file of statistics" : "";
}

/// Whatever a file of weights is, it takes a configuration beside it.
Result<void> checkIsOfModel(const fs::path& file, std::string_view other) {
  constexpr const char* kGive = "Give a model's folder, with config.json and weights, or a .gguf file.";
  if (!other.empty())
    return fail(ErrorCode::io, fmt::format("{} is not a model: it is {}.", file.string(), other), kGive);
  if (isThere(folderOf(file) / kConfigName)) return {};
  return fail(ErrorCode::io,
              fmt::format("{} is not a whole model: there is no {} beside it.", file.string(), kConfigName), kGive);
}

/// A file of weights. One of an index's shards stands for all of them.
Result<Checkpoint> openWeightsFile(const fs::path& file) {
  const fs::path folder = folderOf(file);
  for (const std::string_view name : {kIndexName, kTorchIndexName}) {
    const fs::path indexFile = folder / name;
    if (!isThere(indexFile)) continue;
    KVISTA_ASSIGN(const ShardOfTensor shardOf, readShardIndex(indexFile));
    const auto isThisFile = [&](const auto& entry) { return entry.second == file.filename(); };
    if (std::ranges::any_of(shardOf, isThisFile)) return openIndexed(folder, indexFile);
  }
  return openSingle(folder, file);
}

Result<Checkpoint> openFiles(const fs::path& path) {
  if (path.native().find('\0') != std::string::npos)
    return fail(ErrorCode::invalidArgument, "The model's path contains the character NUL.");
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return openFolder(path);
  KVISTA_ASSIGN(const MappedFile file, MappedFile::open(path));
  switch (kindOfFile(file.bytes())) {
    case FileKind::gguf:
      return openGgufCheckpoint(path);
    case FileKind::json:
      if (path.filename() == kConfigName) return openFolder(folderOf(path));
      KVISTA_CHECK(checkIsOfModel(path, {}));
      return path.filename() == kVirtualTensorsName ? openVirtual(folderOf(path), path)
                                                    : openIndexed(folderOf(path), path);
    case FileKind::torch:
      KVISTA_CHECK(checkIsOfModel(path, {}));
      break;
    case FileKind::safetensors:
      KVISTA_CHECK(checkIsOfModel(path, kindOfOtherFile(file.bytes())));
      break;
  }
  return openWeightsFile(path);
}

Result<Checkpoint> openModel(const fs::path& path) {
  KVISTA_ASSIGN(Checkpoint checkpoint, openFiles(path));
  KVISTA_CHECK(readQuantised(checkpoint));
  return checkpoint;
}

/// The folder, where `path` is one that holds an adapter and no model, or a file of such an adapter.
std::optional<fs::path> adapterFolder(const fs::path& path) {
  std::error_code ignored;
  const bool isFolder = fs::is_directory(path, ignored);
  if (!isFolder && !path.filename().native().starts_with("adapter_")) return std::nullopt;
  const fs::path folder = isFolder ? path : folderOf(path);
  const auto isModel = [&](std::string_view name) { return isThere(folder / name); };
  const bool hasModel =
      std::ranges::any_of(std::array{kWeightsName, kIndexName, kTorchWeightsName, kTorchIndexName}, isModel);
  return isThere(folder / kAdapterConfigName) && !hasModel ? std::optional(folder) : std::nullopt;
}

Result<Checkpoint> openAdapter(const fs::path& folder) {
  const fs::path file = folder / kAdapterConfigName;
  KVISTA_ASSIGN(const nlohmann::json config, readJsonFile(file, kMaximumConfigBytes));
  const auto text = [&](const char* key, const char* otherwise) -> std::string {
    const auto field = config.is_object() ? config.find(key) : config.end();
    return field != config.end() && field->is_string() ? field->get<std::string>() : otherwise;
  };
  if (!config.is_object())
    return fail(ErrorCode::corruptFile, fmt::format("{} is {} instead of an object.", file.string(), kindOf(config)),
                "Get the adapter's files again.");
  KVISTA_ASSIGN(const fs::path place,
                findBaseModel(folder, text("base_model_name_or_path", ""), text("revision", "main")));
  if (adapterFolder(place))
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is an adapter of {}, which is an adapter itself.", folder.string(), place.string()),
                "Merge the lower adapter with PEFT (merge_and_unload) first.");
  KVISTA_ASSIGN(Checkpoint checkpoint, openModel(place));
  KVISTA_CHECK(addAdapter(folder, config, checkpoint));
  return checkpoint;
}

}  // namespace

std::string_view nameOf(Checkpoint::Format format) {
  switch (format) {
    case Checkpoint::Format::pytorch:
      return "pytorch";
    case Checkpoint::Format::gguf:
      return "gguf";
    case Checkpoint::Format::safetensors:
      break;
  }
  return "safetensors";
}

Result<Checkpoint> openCheckpoint(const fs::path& path) {
  if (const auto folder = adapterFolder(path)) return openAdapter(*folder);
  return openModel(path);
}

}  // namespace kvista
