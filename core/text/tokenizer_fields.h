// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// Typed reading of one object of tokenizer.json. A field that is absent or null gives `otherwise`; every error names
/// the source, the object and the field.
class TokenizerFields {
 public:
  static Result<TokenizerFields> of(const nlohmann::json& json, std::string where);

  [[nodiscard]] const std::string& where() const { return where_; }
  /// The field's value, or nullptr when it is absent or null.
  [[nodiscard]] const nlohmann::json* find(const char* key) const;
  [[nodiscard]] Result<const nlohmann::json*> require(const char* key) const;
  [[nodiscard]] Result<std::string> text(const char* key) const;
  [[nodiscard]] Result<std::string> text(const char* key, std::string_view otherwise) const;
  [[nodiscard]] Result<bool> flag(const char* key, bool otherwise) const;
  [[nodiscard]] Result<std::uint32_t> number(const char* key, std::uint32_t otherwise) const;
  /// A string of exactly one character.
  [[nodiscard]] Result<std::string> character(const char* key, std::string_view otherwise) const;
  /// An array; empty when the field is absent.
  [[nodiscard]] Result<const nlohmann::json*> array(const char* key) const;
  [[nodiscard]] tl::unexpected<Error> wrong(const char* key, std::string_view expected) const;

 private:
  TokenizerFields(const nlohmann::json& json, std::string where) : json_(&json), where_(std::move(where)) {}
  const nlohmann::json* json_;
  std::string where_;
};

/// A string of well-formed UTF-8.
Result<std::string> tokenizerText(const nlohmann::json& json, std::string_view where);
/// A token id: an integer from 0 to 4294967295.
Result<std::uint32_t> tokenizerId(const nlohmann::json& json, std::string_view where);

/// The error for a "type" that is not known: names it and what is supported.
[[nodiscard]] tl::unexpected<Error> unsupportedType(std::string_view where, std::string_view type,
                                                    std::string_view supported);

/// Sequences within sequences deeper than this are refused.
inline constexpr int kMaximumSequenceDepth = 8;

}  // namespace kvista
