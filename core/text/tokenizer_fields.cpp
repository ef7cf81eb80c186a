// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/tokenizer_fields.h"

#include <fmt/format.h>

#include <limits>

#include "core/text/unicode.h"

namespace kvista {
namespace {

const nlohmann::json& emptyArray() {
  static const nlohmann::json array = nlohmann::json::array();
  return array;
}

}  // namespace

Result<TokenizerFields> TokenizerFields::of(const nlohmann::json& json, std::string where) {
  if (!json.is_object()) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; an object is expected.", where, json.type_name()));
  }
  return TokenizerFields(json, std::move(where));
}

const nlohmann::json* TokenizerFields::find(const char* key) const {
  const auto found = json_->find(key);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

tl::unexpected<Error> TokenizerFields::wrong(const char* key, std::string_view expected) const {
  const auto* value = find(key);
  return fail(ErrorCode::corruptFile, fmt::format("{}: \"{}\" is {}; {} is expected.", where_, key,
                                                  value == nullptr ? "missing" : value->type_name(), expected));
}

Result<const nlohmann::json*> TokenizerFields::require(const char* key) const {
  if (const auto* value = find(key)) return value;
  return fail(ErrorCode::corruptFile, fmt::format("{}: \"{}\" is missing.", where_, key));
}

Result<std::string> TokenizerFields::text(const char* key) const {
  const auto* value = find(key);
  if (value == nullptr || !value->is_string()) return wrong(key, "a string");
  return tokenizerText(*value, fmt::format("{}: \"{}\"", where_, key));
}

Result<std::string> TokenizerFields::text(const char* key, std::string_view otherwise) const {
  return find(key) == nullptr ? Result<std::string>(otherwise) : text(key);
}

Result<bool> TokenizerFields::flag(const char* key, bool otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) return wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::uint32_t> TokenizerFields::number(const char* key, std::uint32_t otherwise) const {
  const auto* value = find(key);
  if (value == nullptr) return otherwise;
  return tokenizerId(*value, fmt::format("{}: \"{}\"", where_, key));
}

Result<std::string> TokenizerFields::character(const char* key, std::string_view otherwise) const {
  KVISTA_ASSIGN(std::string value, text(key, otherwise));
  if (value.empty() || utf8Length(static_cast<unsigned char>(value[0])) != value.size()) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: \"{}\" has {} bytes; exactly one character is expected.", where_, key, value.size()));
  }
  return value;
}

Result<const nlohmann::json*> TokenizerFields::array(const char* key) const {
  const auto* value = find(key);
  if (value == nullptr) return &emptyArray();
  if (!value->is_array()) return wrong(key, "an array");
  return value;
}

Result<std::string> tokenizerText(const nlohmann::json& json, std::string_view where) {
  if (!json.is_string())
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; a string is expected.", where, json.type_name()));
  const auto& text = json.get_ref<const std::string&>();
  if (const auto invalid = firstInvalidUtf8(text)) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is not UTF-8 at byte {}.", where, *invalid));
  }
  return text;
}

Result<std::uint32_t> tokenizerId(const nlohmann::json& json, std::string_view where) {
  constexpr std::uint64_t highest = std::numeric_limits<std::uint32_t>::max();
  const bool negative = json.is_number_integer() && !json.is_number_unsigned() && json.get<std::int64_t>() < 0;
  if (!json.is_number_integer() || negative || json.get<std::uint64_t>() > highest) {
    const std::string shown = json.is_number() ? json.dump() : json.type_name();
    return fail(ErrorCode::corruptFile,
                fmt::format("{} is {}; an integer from 0 to {} is expected.", where, shown, highest));
  }
  return json.get<std::uint32_t>();
}

tl::unexpected<Error> unsupportedType(std::string_view where, std::string_view type, std::string_view supported) {
  return fail(ErrorCode::unsupportedModel,
              fmt::format("{}: type \"{}\" is not supported; supported: {}.", where, type.substr(0, 80), supported));
}

}  // namespace kvista
