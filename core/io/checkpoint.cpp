// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/io/gguf.h"
#include "core/io/json_file.h"
#include "core/io/mapped_file.h"
#include "core/io/safetensors_reader.h"
#include "core/io/shard_index.h"
#include "core/io/virtual_tensors.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfigName = "config.json";
constexpr std::string_view kWeightsName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::size_t kMaximumConfigBytes = std::size_t{16} << 20;
constexpr std::string_view kPickleProblem = "a Python pickle that can run code when it is read; safetensors are needed";
constexpr std::string_view kPickleHint =
    "Get the model's safetensors, or load it with transformers and save it again with save_pretrained.";

/// Is there anything of this name, be it a broken link?
bool isThere(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

fs::path folderOf(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

Result<nlohmann::json> readConfig(const fs::path& folder) {
  const fs::path file = folder / kConfigName;
  if (!isThere(file))
    return fail(ErrorCode::io, fmt::format("{} is not a model's folder: it has no {}.", folder.string(), kConfigName),
                "Give the folder that holds config.json and the weights, or a .gguf file.");
  KVISTA_ASSIGN(nlohmann::json config, readJsonFile(file, kMaximumConfigBytes));
  if (!config.is_object())
    return fail(ErrorCode::corruptFile, fmt::format("{} is {} instead of an object.", file.string(), kindOf(config)),
                "Get the model's config.json again from where the model came from.");
  return config;
}

/// Says what the folder holds in place of safetensors.
tl::unexpected<Error> noSafetensors(const fs::path& folder) {
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
  for (const std::string_view extension : {".bin", ".pt", ".pth"})
    if (const auto pickle = firstWith(extension); pickle != others.end())
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("{} holds its weights only as {}, which is {}.", folder.string(),
                              pickle->filename().string(), kPickleProblem),
                  std::string(kPickleHint));
  return fail(ErrorCode::unsupportedModel,
              fmt::format("{} holds no weights: neither {} nor {}.", folder.string(), kWeightsName, kIndexName),
              "Download the model's safetensors into the folder.");
}

using ShardOfTensor = std::map<std::string, std::string>;

/// Opens the shards that an index names and holds them against its list.
Result<void> openShards(const fs::path& indexFile, const ShardOfTensor& shardOf, Checkpoint& checkpoint) {
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shardOf) shards.insert(shard);
  for (const std::string& shard : shards) checkpoint.files.push_back(checkpoint.path / shard);
  for (const fs::path& file : checkpoint.files)
    if (!isThere(file))
      return fail(ErrorCode::io,
                  fmt::format("The shard {} that {} names does not exist ({} shards in all).", file.string(),
                              indexFile.filename().string(), shards.size()),
                  "Download the missing shard into the model's folder.");
  KVISTA_ASSIGN(checkpoint.tensors, openSafetensors(checkpoint.files));
  const auto& tensors = checkpoint.tensors->tensors();
  for (const auto& [name, shard] : shardOf) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.file != checkpoint.path / shard)
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
  KVISTA_ASSIGN(checkpoint.tensors, openSafetensors(checkpoint.files));
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

Result<Checkpoint> openFolder(const fs::path& folder) {
  // As transformers: one file with everything wins over an index.
  if (isThere(folder / kWeightsName)) return openSingle(folder, folder / kWeightsName);
  if (isThere(folder / kIndexName)) return openIndexed(folder, folder / kIndexName);
  if (isThere(folder / kVirtualTensorsName)) return openVirtual(folder, folder / kVirtualTensorsName);
  KVISTA_CHECK(readConfig(folder));  // A folder that is no model's at all is told so first.
  return noSafetensors(folder);
}

/// A .safetensors file. One of an index's shards stands for all of them.
Result<Checkpoint> openSafetensorsFile(const fs::path& file) {
  const fs::path folder = folderOf(file);
  const fs::path indexFile = folder / kIndexName;
  if (isThere(indexFile)) {
    KVISTA_ASSIGN(const ShardOfTensor shardOf, readShardIndex(indexFile));
    const auto isThisFile = [&](const auto& entry) { return entry.second == file.filename(); };
    if (std::ranges::any_of(shardOf, isThisFile)) return openIndexed(folder, indexFile);
  }
  return openSingle(folder, file);
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

enum class FileKind { gguf, json, pickle, safetensors };

/// By the first bytes. What is nothing else is taken for safetensors, whose reader says what is wrong with it.
FileKind kindOfFile(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 8));
  if (start.starts_with("GGUF")) return FileKind::gguf;
  // Safetensors begin with a 64-bit length of less than 2^32, which may have any low bytes; the others are text or
  // tags.
  if (start.ends_with(std::string_view("\0\0\0\0", 4))) return FileKind::safetensors;
  if (start.starts_with("PK\x03\x04") || start.starts_with("\x80\x02")) return FileKind::pickle;
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  return first != start.npos && start[first] == '{' ? FileKind::json : FileKind::safetensors;
}

}  // namespace

Result<Checkpoint> openCheckpoint(const fs::path& path) {
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
      return path.filename() == kVirtualTensorsName ? openVirtual(folderOf(path), path) : openIndexed(folderOf(path), path);
    case FileKind::pickle:
      return fail(ErrorCode::unsupportedModel, fmt::format("{} is {}.", path.string(), kPickleProblem),
                  std::string(kPickleHint));
    case FileKind::safetensors:
      break;
  }
  return openSafetensorsFile(path);
}

}  // namespace kvista
