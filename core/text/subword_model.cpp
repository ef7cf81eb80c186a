// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/subword_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/text/bpe.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/unigram.h"

namespace kvista {

std::size_t SubwordModel::independentEnd(std::string_view piece, std::size_t) const { return piece.size(); }

Result<std::unique_ptr<SubwordModel>> SubwordModel::read(const nlohmann::json& json, std::string where) {
  KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json, std::move(where)));
  // Old files do not name the type: only BPE has merges, and only Unigram keeps its vocabulary as a list.
  const auto* vocabulary = fields.find("vocab");
  const bool isList = vocabulary != nullptr && vocabulary->is_array();
  const char* guess = fields.find("merges") != nullptr ? "BPE" : isList ? "Unigram" : "WordLevel or WordPiece";
  KVISTA_ASSIGN(const std::string type, fields.text("type", guess));
  if (type == "BPE") return BpeModel::read(fields);
  if (type == "Unigram") return UnigramModel::read(fields);
  return unsupportedType(fields.where(), type, "BPE, Unigram");
}

std::array<std::optional<std::uint32_t>, 256> byteTokenIds(const TokenIds& ids) {
  std::array<std::optional<std::uint32_t>, 256> result;
  for (std::size_t byte = 0; byte < result.size(); ++byte) {
    if (const auto found = ids.find(fmt::format("<0x{:02X}>", byte)); found != ids.end()) result[byte] = found->second;
  }
  return result;
}

}  // namespace kvista
