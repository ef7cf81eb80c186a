// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/companion_files.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "core/io/atomic_file.h"
#include "core/io/gguf.h"
#include "core/io/mapped_file.h"

namespace kvista {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCompanions[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
};
constexpr std::string_view kLicences[] = {"LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "USE_POLICY.md"};

/// The folder in which they lie.
fs::path placeOf(const Checkpoint& checkpoint) {
  std::error_code ignored;
  return fs::is_directory(checkpoint.companions(), ignored) ? checkpoint.companions()
                                                            : checkpoint.companions().parent_path();
}

Result<std::vector<std::string>> copyFrom(const fs::path& source, std::span<const std::string_view> wanted,
                                          const fs::path& folder) {
  std::vector<std::string> names;
  for (const std::string_view name : wanted) {
    std::error_code ignored;
    if (!fs::is_regular_file(source / name, ignored)) continue;
    KVISTA_ASSIGN(const MappedFile file, MappedFile::open(source / name));
    const auto bytes = file.bytes();
    KVISTA_CHECK(writeFileAtomically(folder / name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    names.emplace_back(name);
  }
  return names;
}

Result<std::vector<std::string>> writeFromGguf(const Checkpoint& checkpoint, const fs::path& folder) {
  KVISTA_ASSIGN(const GgufTokenizer vocabulary, readGgufTokenizer(checkpoint.companions()));
  std::vector<std::string> names;
  const auto write = [&](const std::string& name, const nlohmann::json& json) -> Result<void> {
    if (json.is_null()) return {};
    names.push_back(name);
    return writeFileAtomically(folder / name,
                               json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  };
  KVISTA_CHECK(write("tokenizer.json", vocabulary.tokenizer));
  KVISTA_CHECK(write("tokenizer_config.json", vocabulary.tokenizerConfig));
  nlohmann::json generation = nlohmann::json::object();
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
    if (checkpoint.config.contains(key)) generation[key] = checkpoint.config[key];
  KVISTA_CHECK(write("generation_config.json", generation));
  return names;
}

}  // namespace

Result<std::vector<std::string>> writeCompanionFiles(const Checkpoint& checkpoint, const fs::path& folder) {
  if (checkpoint.format == Checkpoint::Format::gguf) return writeFromGguf(checkpoint, folder);
  KVISTA_ASSIGN(std::vector<std::string> names, copyFrom(placeOf(checkpoint), kCompanions, folder));
  KVISTA_ASSIGN(const auto licences, writeLicence(checkpoint, folder));
  names.insert(names.end(), licences.begin(), licences.end());
  return names;
}

Result<std::vector<std::string>> writeLicence(const Checkpoint& checkpoint, const fs::path& folder) {
  if (checkpoint.format == Checkpoint::Format::gguf) return std::vector<std::string>{};
  return copyFrom(placeOf(checkpoint), kLicences, folder);
}

}  // namespace kvista
