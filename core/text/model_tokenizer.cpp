// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/model_tokenizer.h"

#include <fmt/format.h>

#include "core/io/gguf.h"

namespace kvista {

Result<Tokenizer> tokenizerOf(const Checkpoint& checkpoint) {
  if (checkpoint.format == Checkpoint::Format::gguf) {
    KVISTA_ASSIGN(const GgufTokenizer vocabulary, readGgufTokenizer(checkpoint.companions()));
    if (vocabulary.tokenizer.is_null())
      return fail(ErrorCode::unsupportedModel, fmt::format("{} holds no vocabulary.", checkpoint.companions().string()),
                  "Use a GGUF file with its tokenizer, or the model's Hugging Face folder.");
    return Tokenizer::fromJson(vocabulary.tokenizer, checkpoint.companions().string());
  }
  const std::filesystem::path file = checkpoint.companions() / "tokenizer.json";
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return fail(ErrorCode::io,
                std::filesystem::exists(checkpoint.companions() / "tokenizer.model", error)
                    ? fmt::format("{} has only a tokenizer.model, which is not read; a tokenizer.json is needed.",
                                  checkpoint.companions().string())
                    : fmt::format("{} has no tokenizer.json.", checkpoint.companions().string()),
                "Save the tokenizer with transformers (AutoTokenizer.from_pretrained(...).save_pretrained(folder)).");
  return Tokenizer::fromFile(file);
}

std::optional<std::uint32_t> bosTokenOf(const Checkpoint& checkpoint) {
  const auto found = checkpoint.config.find("bos_token_id");
  if (found == checkpoint.config.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint32_t>();
}

std::vector<std::uint32_t> endTokensOf(const Checkpoint& checkpoint) {
  std::vector<std::uint32_t> ends;
  const auto found = checkpoint.config.find("eos_token_id");
  if (found == checkpoint.config.end()) return ends;
  for (const nlohmann::json& each : found->is_array() ? *found : nlohmann::json::array({*found}))
    if (each.is_number_unsigned()) ends.push_back(each.get<std::uint32_t>());
  return ends;
}

}  // namespace kvista
