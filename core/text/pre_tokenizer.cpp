// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/pre_tokenizer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/text/byte_alphabet.h"
#include "core/text/metaspace.h"
#include "core/text/pattern.h"
#include "core/text/split.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::string_view kSupported =
    "Sequence, ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit, Punctuation, BertPreTokenizer";
/// GPT-2's: contractions, words, numbers, other signs, white space that leaves its last one to the next word.
constexpr std::string_view kByteLevelPattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
/// Words and runs of signs; joiners count as parts of words here.
constexpr std::string_view kWhitespacePattern = "[[:word:]\\u200c\\u200d]+|[^[:word:]\\u200c\\u200d\\s]+";

using PreTokenizerResult = Result<std::unique_ptr<PreTokenizer>>;

template <class Function>
class Simple final : public PreTokenizer {
 public:
  explicit Simple(Function function) : function_(std::move(function)) {}
  Result<void> apply(TextPieces& pieces) const override { return function_(pieces); }

 private:
  Function function_;
};

template <class Function>
PreTokenizerResult simple(Function function) {
  return std::make_unique<Simple<Function>>(std::move(function));
}

/// Rebuilds the text piece by piece; `rewrite(piece, text)` appends the new piece to `text`.
template <class Rewrite>
void rewritePieces(TextPieces& pieces, Rewrite rewrite) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
    const std::size_t begin = text.size();
    rewrite(i, text);
    pieces.pieces[i].begin = begin;
    pieces.pieces[i].end = text.size();
  }
  pieces.text = std::move(text);
}

template <class Predicate>
Result<void> splitAtCharacters(TextPieces& pieces, SplitBehavior behavior, Predicate predicate) {
  return splitPieces(pieces, behavior, false,
                     [&](std::string_view text, std::vector<Section>& sections) -> Result<void> {
                       searchCharacters(text, predicate, sections);
                       return {};
                     });
}

PreTokenizerResult readByteLevel(const TokenizerFields& fields) {
  KVISTA_ASSIGN(const bool addPrefixSpace, fields.flag("add_prefix_space", true));
  KVISTA_ASSIGN(const bool useRegex, fields.flag("use_regex", true));
  std::optional<Regex> regex;
  if (useRegex) {
    KVISTA_ASSIGN(regex, Regex::compile(kByteLevelPattern, fields.where()));
  }
  return simple([addPrefixSpace, regex = std::move(regex)](TextPieces& pieces) -> Result<void> {
    if (addPrefixSpace) {
      rewritePieces(pieces, [&](std::size_t i, std::string& text) {
        if (!pieces[i].starts_with(' ')) text += ' ';
        text += pieces[i];
      });
    }
    if (regex) {
      KVISTA_CHECK(splitPieces(pieces, SplitBehavior::isolated, false,
                               [&](std::string_view text, auto& sections) { return regex->search(text, sections); }));
    }
    rewritePieces(pieces, [&](std::size_t i, std::string& text) { appendByteLetters(text, pieces[i]); });
    return {};
  });
}

PreTokenizerResult readSplit(const TokenizerFields& fields) {
  KVISTA_ASSIGN(TextPattern pattern, TextPattern::read(fields, "pattern"));
  KVISTA_ASSIGN(const SplitBehavior behavior, readSplitBehavior(fields, SplitBehavior::isolated));
  KVISTA_ASSIGN(const bool invert, fields.flag("invert", false));
  return simple([pattern = std::move(pattern), behavior, invert](TextPieces& pieces) {
    return splitPieces(pieces, behavior, invert,
                       [&](std::string_view text, auto& sections) { return pattern.search(text, sections); });
  });
}

PreTokenizerResult readMetaspace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(Metaspace metaspace, Metaspace::read(fields));
  return simple([metaspace = std::move(metaspace)](TextPieces& pieces) -> Result<void> {
    rewritePieces(pieces, [&](std::size_t i, std::string& text) {
      const std::string_view piece = pieces[i];
      const bool marked = piece.starts_with(metaspace.replacement) || piece.starts_with(' ');
      const bool wanted = metaspace.scheme == Metaspace::Scheme::always ||
                          (metaspace.scheme == Metaspace::Scheme::first && pieces.pieces[i].atStart);
      if (wanted && !marked) text += metaspace.replacement;
      for (const char c : piece) {
        if (c == ' ') {
          text += metaspace.replacement;
        } else {
          text += c;
        }
      }
    });
    if (!metaspace.split) return {};
    std::size_t position = 0;
    const char32_t mark = nextCharacter(metaspace.replacement, position);
    return splitAtCharacters(pieces, SplitBehavior::mergedWithNext, [mark](char32_t c) { return c == mark; });
  });
}

PreTokenizerResult readWhitespace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(Regex regex, Regex::compile(kWhitespacePattern, fields.where()));
  return simple([regex = std::move(regex)](TextPieces& pieces) {
    return splitPieces(pieces, SplitBehavior::removed, true,
                       [&](std::string_view text, auto& sections) { return regex.search(text, sections); });
  });
}

PreTokenizerResult readSequence(const TokenizerFields& fields, int depth) {
  KVISTA_ASSIGN(const auto* list, fields.array("pretokenizers"));
  if (depth >= kMaximumSequenceDepth) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: sequences are nested deeper than {}.", fields.where(), depth));
  }
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (std::size_t i = 0; i < list->size(); ++i) {
    KVISTA_ASSIGN(auto part, PreTokenizer::read((*list)[i], fmt::format("{}[{}]", fields.where(), i), depth + 1));
    parts.push_back(std::move(part));
  }
  return simple([parts = std::move(parts)](TextPieces& pieces) -> Result<void> {
    for (const auto& part : parts) KVISTA_CHECK(part->apply(pieces));
    return {};
  });
}

}  // namespace

PreTokenizerResult PreTokenizer::read(const nlohmann::json& json, std::string where, int depth) {
  KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json, std::move(where)));
  KVISTA_ASSIGN(const std::string type, fields.text("type"));
  if (type == "Sequence") return readSequence(fields, depth);
  if (type == "ByteLevel") return readByteLevel(fields);
  if (type == "Split") return readSplit(fields);
  if (type == "Metaspace") return readMetaspace(fields);
  if (type == "Whitespace") return readWhitespace(fields);
  if (type == "Digits") {
    KVISTA_ASSIGN(const bool individual, fields.flag("individual_digits", false));
    const auto behavior = individual ? SplitBehavior::isolated : SplitBehavior::contiguous;
    return simple([behavior](TextPieces& pieces) { return splitAtCharacters(pieces, behavior, isNumber); });
  }
  if (type == "WhitespaceSplit") {
    return simple([](TextPieces& pieces) { return splitAtCharacters(pieces, SplitBehavior::removed, isWhitespace); });
  }
  if (type == "Punctuation") {
    KVISTA_ASSIGN(const SplitBehavior behavior, readSplitBehavior(fields, SplitBehavior::isolated));
    return simple([behavior](TextPieces& pieces) { return splitAtCharacters(pieces, behavior, isPunctuation); });
  }
  if (type == "BertPreTokenizer") {
    return simple([](TextPieces& pieces) -> Result<void> {
      KVISTA_CHECK(splitAtCharacters(pieces, SplitBehavior::removed, isWhitespace));
      return splitAtCharacters(pieces, SplitBehavior::isolated, isPunctuation);
    });
  }
  return unsupportedType(fields.where(), type, kSupported);
}

}  // namespace kvista
