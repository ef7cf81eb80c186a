// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/pattern.h"

#include <fmt/format.h>

namespace kvista {

Result<TextPattern> TextPattern::read(const TokenizerFields& fields, const char* key) {
  KVISTA_ASSIGN(const auto* value, fields.require(key));
  KVISTA_ASSIGN(const auto pattern, TokenizerFields::of(*value, fmt::format("{}: \"{}\"", fields.where(), key)));
  if (pattern.find("Regex") != nullptr) {
    KVISTA_ASSIGN(const std::string regex, pattern.text("Regex"));
    KVISTA_ASSIGN(Regex compiled, Regex::compile(regex, pattern.where()));
    return TextPattern(std::move(compiled));
  }
  KVISTA_ASSIGN(std::string literal, pattern.text("String"));
  if (literal.empty()) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is an empty string, which matches nothing.", pattern.where()));
  }
  return TextPattern(std::move(literal));
}

Result<void> TextPattern::search(std::string_view text, std::vector<Section>& sections) const {
  if (const auto* regex = std::get_if<Regex>(&pattern_)) return regex->search(text, sections);
  const auto& literal = std::get<std::string>(pattern_);
  sections.clear();
  std::size_t covered = 0;
  for (std::size_t begin = text.find(literal); begin != std::string_view::npos; begin = text.find(literal, covered)) {
    if (covered < begin) sections.push_back({covered, begin, false});
    covered = begin + literal.size();
    sections.push_back({begin, covered, true});
  }
  if (covered < text.size()) sections.push_back({covered, text.size(), false});
  return {};
}

Result<std::string> replaceMatches(const TextPattern& pattern, std::string_view text, std::string_view content) {
  std::vector<Section> sections;
  KVISTA_CHECK(pattern.search(text, sections));
  std::string result;
  result.reserve(text.size());
  for (const Section& section : sections) {
    result += section.isMatch ? content : text.substr(section.begin, section.end - section.begin);
  }
  return result;
}

}  // namespace kvista
