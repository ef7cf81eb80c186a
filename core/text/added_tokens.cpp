// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/text/regex.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::size_t kMaximumBytes = 8 << 20;  // Of all contents together; bounds the tries.

/// A character that may be part of a word: letters, marks, digits, connectors and joiners.
bool isWordCharacter(std::string_view character) {
  static const Result<Regex> word = Regex::compile("[[:word:]\\u200c\\u200d]", "added_tokens");
  std::vector<Section> sections;
  return word && word->search(character, sections) && !sections.empty() && sections[0].isMatch;
}

std::size_t leadingWhitespace(std::string_view text) {
  std::size_t end = 0;
  for (std::size_t position = 0; position < text.size(); end = position) {
    if (!isWhitespace(nextCharacter(text, position))) break;
  }
  return end;
}

std::size_t trailingWhitespaceStart(std::string_view text) {
  std::size_t start = text.size();
  while (start > 0) {
    const std::size_t previous = previousCharacterStart(text, start);
    std::size_t position = previous;
    if (!isWhitespace(nextCharacter(text, position))) break;
    start = previous;
  }
  return start;
}

bool touchesWord(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0) {
    const std::size_t previous = previousCharacterStart(text, begin);
    if (isWordCharacter(text.substr(previous, begin - previous))) return true;
  }
  return end < text.size() && isWordCharacter(text.substr(end, utf8Length(static_cast<unsigned char>(text[end]))));
}

}  // namespace

Result<AddedTokens> AddedTokens::read(const nlohmann::json& json, const std::string& where, const SubwordModel& model,
                                      const TextNormalizer* normalizer) {
  if (!json.is_array())
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; an array is expected.", where, json.type_name()));
  AddedTokens result;
  std::unordered_map<std::string, std::uint32_t> ids;
  std::uint64_t next = model.tokenCount();
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < json.size(); ++i) {
    KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json[i], fmt::format("{}[{}]", where, i)));
    Token token;
    KVISTA_ASSIGN(token.content, fields.text("content"));
    KVISTA_ASSIGN(token.singleWord, fields.flag("single_word", false));
    KVISTA_ASSIGN(token.stripLeft, fields.flag("lstrip", false));
    KVISTA_ASSIGN(token.stripRight, fields.flag("rstrip", false));
    KVISTA_ASSIGN(const bool special, fields.flag("special", false));
    KVISTA_ASSIGN(token.normalized, fields.flag("normalized", !special));
    KVISTA_CHECK(fields.number("id", 0));
    if (token.content.empty()) continue;
    token.normalizedForm = token.content;
    if (token.normalized && normalizer != nullptr) {
      NormalizedText text{token.content};
      KVISTA_CHECK(normalizer->apply(text));
      token.normalizedForm = std::move(text.text);
    }
    bytes += token.normalizedForm.size();
    if (bytes > kMaximumBytes) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}: the tokens have more than {} bytes together.", where, kMaximumBytes));
    }
    std::optional<std::uint32_t> id;
    if (const auto known = ids.find(token.content); known != ids.end()) {
      id = known->second;
    } else if (id = model.idOf(token.content); !id) {
      if (next > std::numeric_limits<std::uint32_t>::max())
        return fail(ErrorCode::corruptFile, fmt::format("{}: no id is left.", where));
      id = static_cast<std::uint32_t>(next++);
    }
    ids[token.content] = *id;
    if (special) result.specials_.insert(token.content);
    result.tokens_.insert_or_assign(*id, std::move(token));
  }
  std::vector<std::pair<std::string_view, std::uint32_t>> raw;
  std::vector<std::pair<std::string_view, std::uint32_t>> normalized;
  for (const auto& [id, token] : result.tokens_)
    (token.normalized ? normalized : raw).emplace_back(token.normalizedForm, id);
  result.raw_ = ByteTrie(std::move(raw));
  result.normalized_ = ByteTrie(std::move(normalized));
  return result;
}

void AddedTokens::find(std::string_view text, Kind kind, std::vector<Stretch>& stretches) const {
  stretches.clear();
  const ByteTrie& trie = kind == Kind::raw ? raw_ : normalized_;
  std::size_t covered = 0;
  for (std::size_t position = 0; position < text.size() && !trie.empty();) {
    std::size_t length = 0;
    std::uint32_t id = 0;
    trie.forEachPrefix(text.substr(position), [&](std::size_t found, std::uint32_t value) {
      length = found;
      id = value;
    });
    if (length == 0) {
      ++position;
      continue;
    }
    std::size_t begin = position;
    std::size_t end = position + length;
    position = end;
    const Token& token = tokens_.at(id);
    if (token.singleWord && touchesWord(text, begin, end)) continue;
    if (token.stripLeft) begin = std::max(trailingWhitespaceStart(text.substr(0, begin)), covered);
    if (token.stripRight) end += leadingWhitespace(text.substr(end));
    if (covered < begin) stretches.push_back({covered, begin, std::nullopt});
    stretches.push_back({begin, end, id});
    covered = end;
  }
  if (covered < text.size()) stretches.push_back({covered, text.size(), std::nullopt});
}

std::optional<std::string_view> AddedTokens::tokenOf(std::uint32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::nullopt : std::optional<std::string_view>(found->second.normalizedForm);
}

std::optional<std::uint32_t> AddedTokens::largestId() const {
  return tokens_.empty() ? std::nullopt : std::optional(tokens_.rbegin()->first);
}

}  // namespace kvista
