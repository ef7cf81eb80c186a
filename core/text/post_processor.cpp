// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/post_processor.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text/tokenizer_fields.h"

namespace kvista {
namespace {

using Template = std::vector<std::optional<std::vector<std::uint32_t>>>;

constexpr std::string_view kSupported = "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence";
constexpr std::size_t kMaximumParts = 64;

Result<std::vector<std::uint32_t>> readSpecial(const TokenizerFields& fields, const std::string& name) {
  const auto* specials = fields.find("special_tokens");
  if (specials == nullptr || !specials->is_object() || !specials->contains(name)) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: the template uses special token \"{}\", which \"special_tokens\" does not define.",
                            fields.where(), name.substr(0, 80)));
  }
  KVISTA_ASSIGN(const auto special,
                TokenizerFields::of((*specials)[name],
                                    fmt::format("{}: special token \"{}\"", fields.where(), name.substr(0, 80))));
  KVISTA_ASSIGN(const auto* list, special.array("ids"));
  if (list->size() > kMaximumParts)
    return special.wrong("ids", fmt::format("an array of at most {} ids", kMaximumParts));
  std::vector<std::uint32_t> ids;
  for (const auto& value : *list) {
    KVISTA_ASSIGN(const std::uint32_t id, tokenizerId(value, special.where() + ": an id"));
    ids.push_back(id);
  }
  return ids;
}

Result<Template> readTemplate(const TokenizerFields& fields, const char* key) {
  KVISTA_ASSIGN(const auto* list, fields.array(key));
  if (list->size() > kMaximumParts)
    return fields.wrong(key, fmt::format("an array of at most {} parts", kMaximumParts));
  Template result;
  for (std::size_t i = 0; i < list->size(); ++i) {
    KVISTA_ASSIGN(const auto part,
                  TokenizerFields::of((*list)[i], fmt::format("{}: \"{}\"[{}]", fields.where(), key, i)));
    if (const auto* special = part.find("SpecialToken")) {
      KVISTA_ASSIGN(const auto token, TokenizerFields::of(*special, part.where()));
      KVISTA_ASSIGN(const std::string name, token.text("id"));
      KVISTA_ASSIGN(auto ids, readSpecial(fields, name));
      result.emplace_back(std::move(ids));
      continue;
    }
    KVISTA_ASSIGN(const auto* sequence, part.require("Sequence"));
    KVISTA_ASSIGN(const auto text, TokenizerFields::of(*sequence, part.where()));
    const auto* id = text.find("id");
    const bool isPair = std::string_view(key) == "pair";
    if (id == nullptr || (*id != "A" && !(*id == "B" && isPair))) {
      return text.wrong("id", isPair ? "\"A\" or \"B\"" : "\"A\"");
    }
    result.emplace_back(std::nullopt);
  }
  return result;
}

/// ["token", id] of BertProcessing and RobertaProcessing.
Result<std::uint32_t> readBoundary(const TokenizerFields& fields, const char* key) {
  const auto* value = fields.find(key);
  if (value == nullptr || !value->is_array() || value->size() != 2) return fields.wrong(key, "a pair of token and id");
  return tokenizerId((*value)[1], fmt::format("{}: the id of \"{}\"", fields.where(), key));
}

}  // namespace

Result<PostProcessor> PostProcessor::read(const nlohmann::json& json, const std::string& where, int depth) {
  KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json, where));
  KVISTA_ASSIGN(const std::string type, fields.text("type"));
  PostProcessor result;
  if (type == "ByteLevel") return result;
  if (type == "TemplateProcessing") {
    KVISTA_ASSIGN(Template single, readTemplate(fields, "single"));
    KVISTA_CHECK(readTemplate(fields, "pair"));
    result.steps_.push_back(std::move(single));
    return result;
  }
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    KVISTA_ASSIGN(const std::uint32_t first, readBoundary(fields, "cls"));
    KVISTA_ASSIGN(const std::uint32_t last, readBoundary(fields, "sep"));
    result.steps_.push_back({std::vector{first}, std::nullopt, std::vector{last}});
    return result;
  }
  if (type != "Sequence") return unsupportedType(where, type, kSupported);
  KVISTA_ASSIGN(const auto* list, fields.array("processors"));
  if (depth >= kMaximumSequenceDepth || list->size() > kMaximumParts) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: sequences are longer than {} or nested deeper than {}.", where,
                                                    kMaximumParts, kMaximumSequenceDepth));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    KVISTA_ASSIGN(PostProcessor part, read((*list)[i], fmt::format("{}[{}]", where, i), depth + 1));
    std::ranges::move(part.steps_, std::back_inserter(result.steps_));
  }
  // Each step may repeat the text; a few of them are all that real files have.
  if (result.steps_.size() > 4) {
    return fail(ErrorCode::unsupportedModel, fmt::format("{}: {} templates follow each other; at most 4 are supported.",
                                                         where, result.steps_.size()));
  }
  return result;
}

std::vector<std::uint32_t> PostProcessor::apply(std::vector<std::uint32_t> ids, bool addSpecial) const {
  for (const Template& step : steps_) {
    std::vector<std::uint32_t> result;
    for (const auto& part : step) {
      if (!part) {
        result.insert(result.end(), ids.begin(), ids.end());
      } else if (addSpecial) {
        result.insert(result.end(), part->begin(), part->end());
      }
    }
    ids = std::move(result);
  }
  return ids;
}

std::optional<std::uint32_t> PostProcessor::largestId() const {
  std::optional<std::uint32_t> largest;
  for (const Template& step : steps_) {
    for (const auto& part : step) {
      if (part && !part->empty()) largest = std::max(largest.value_or(0), *std::ranges::max_element(*part));
    }
  }
  return largest;
}

}  // namespace kvista
