// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/text/regex.h"
#include "core/text/tokenizer_fields.h"

namespace kvista {

/// What Replace and Split look for: {"String": ...} or {"Regex": ...}.
class TextPattern {
 public:
  /// Reads `key` of `fields`.
  static Result<TextPattern> read(const TokenizerFields& fields, const char* key);

  /// Replaces `sections` by matches and gaps that cover `text` in order.
  Result<void> search(std::string_view text, std::vector<Section>& sections) const;
  /// Null for a string.
  [[nodiscard]] const Regex* regex() const { return std::get_if<Regex>(&pattern_); }

 private:
  explicit TextPattern(std::variant<std::string, Regex> pattern) : pattern_(std::move(pattern)) {}
  std::variant<std::string, Regex> pattern_;
};

/// The same for single characters that `predicate` picks out.
template <class Predicate>
void searchCharacters(std::string_view text, Predicate predicate, std::vector<Section>& sections);

/// `text` with each match of `pattern` replaced by `content`.
Result<std::string> replaceMatches(const TextPattern& pattern, std::string_view text, std::string_view content);

}  // namespace kvista

#include "core/text/unicode.h"

template <class Predicate>
void kvista::searchCharacters(std::string_view text, Predicate predicate, std::vector<Section>& sections) {
  sections.clear();
  std::size_t covered = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t begin = position;
    if (!predicate(nextCharacter(text, position))) continue;
    if (covered < begin) sections.push_back({covered, begin, false});
    sections.push_back({begin, position, true});
    covered = position;
  }
  if (covered < text.size()) sections.push_back({covered, text.size(), false});
}
