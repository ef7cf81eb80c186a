// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
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

/// The first part that can cuts the text; those behind it take what it has cut.
class Sequence final : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  Result<void> apply(TextPieces& pieces) const override {
    for (const auto& part : parts_) KVISTA_CHECK(part->apply(pieces));
    return {};
  }
  Result<void> applyInParts(TextPieces& pieces, const Visit& visit) const override {
    auto next = parts_.begin();
    for (; next != parts_.end() && !(*next)->goesInParts(); ++next) KVISTA_CHECK((*next)->apply(pieces));
    if (next == parts_.end()) return visit(pieces, pieces.text.size());
    return (*next)->applyInParts(pieces, [&](TextPieces& part, std::size_t end) -> Result<void> {
      for (auto behind = next + 1; behind != parts_.end(); ++behind) KVISTA_CHECK((*behind)->apply(part));
      return visit(part, end);
    });
  }
  bool goesInParts() const override {
    return std::ranges::any_of(parts_, [](const auto& part) { return part->goesInParts(); });
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

constexpr std::size_t kPartSections = 1 << 16;  // of a text that is cut a part at a time
constexpr std::size_t kPartBytes = 1 << 18;

/// Splits at a regular expression.
class RegexSplit final : public PreTokenizer {
 public:
  RegexSplit(Regex regex, SplitBehavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  Result<void> apply(TextPieces& pieces) const override {
    return splitPieces(pieces, behavior_, invert_,
                       [&](std::string_view text, auto& sections) { return regex_.search(text, sections); });
  }
  Result<void> applyInParts(TextPieces& pieces, const Visit& visit) const override {
    if (!goesInParts()) return PreTokenizer::applyInParts(pieces, visit);
    std::vector<Section> sections;
    for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
      const std::string_view text = pieces[i];
      for (Regex::Place place; !place.isAtEnd;) {
        KVISTA_CHECK(regex_.searchOn(text, place, kPartSections, sections));
        if (sections.empty()) continue;
        const std::size_t begin = sections.front().begin;
        TextPieces part{std::string(text.substr(begin, place.covered - begin)), {}};
        for (Section& section : sections) section.isMatch ^= invert_;
        applySplitBehavior(sections, behavior_);
        for (const Section& section : sections)
          if (section.begin < section.end)
            part.pieces.push_back(
                {section.begin - begin, section.end - begin, pieces.pieces[i].atStart && section.begin == 0});
        KVISTA_CHECK(visit(part, pieces.pieces[i].begin + place.covered));
      }
    }
    return {};
  }
  /// What becomes of a match then depends on no other.
  bool goesInParts() const override {
    return behavior_ == SplitBehavior::isolated || behavior_ == SplitBehavior::removed;
  }

 private:
  Regex regex_;
  SplitBehavior behavior_;
  bool invert_;
};

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

/// Begins a piece at each mark of Metaspace.
class MarkSplit final : public PreTokenizer {
 public:
  explicit MarkSplit(char32_t mark) : mark_(mark) { appendUtf8(bytes_, mark); }
  Result<void> apply(TextPieces& pieces) const override {
    return splitAtCharacters(pieces, SplitBehavior::mergedWithNext, [this](char32_t c) { return c == mark_; });
  }
  Result<void> applyInParts(TextPieces& pieces, const Visit& visit) const override {
    for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
      const std::string_view text = pieces[i];
      for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(bytes_, begin + kPartBytes), text.size());
        TextPieces part{std::string(text.substr(begin, end - begin)),
                        {{0, end - begin, pieces.pieces[i].atStart && begin == 0}}};
        KVISTA_CHECK(apply(part));
        KVISTA_CHECK(visit(part, pieces.pieces[i].begin + end));
        begin = end;
      }
    }
    return {};
  }
  bool goesInParts() const override { return true; }

 private:
  char32_t mark_;
  std::string bytes_;
};

PreTokenizerResult readByteLevel(const TokenizerFields& fields) {
  KVISTA_ASSIGN(const bool addPrefixSpace, fields.flag("add_prefix_space", true));
  KVISTA_ASSIGN(const bool useRegex, fields.flag("use_regex", true));
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  const auto add = [&](auto function) {
    parts.push_back(std::make_unique<Simple<decltype(function)>>(std::move(function)));
  };
  if (addPrefixSpace) {
    add([](TextPieces& pieces) -> Result<void> {
      rewritePieces(pieces, [&](std::size_t i, std::string& text) {
        if (!pieces[i].starts_with(' ')) text += ' ';
        text += pieces[i];
      });
      return {};
    });
  }
  if (useRegex) {
    KVISTA_ASSIGN(Regex regex, Regex::compile(kByteLevelPattern, fields.where()));
    parts.push_back(std::make_unique<RegexSplit>(std::move(regex), SplitBehavior::isolated, false));
  }
  add([](TextPieces& pieces) -> Result<void> {
    rewritePieces(pieces, [&](std::size_t i, std::string& text) { appendByteLetters(text, pieces[i]); });
    return {};
  });
  return std::make_unique<Sequence>(std::move(parts));
}

PreTokenizerResult readSplit(const TokenizerFields& fields) {
  KVISTA_ASSIGN(TextPattern pattern, TextPattern::read(fields, "pattern"));
  KVISTA_ASSIGN(const SplitBehavior behavior, readSplitBehavior(fields, SplitBehavior::isolated));
  KVISTA_ASSIGN(const bool invert, fields.flag("invert", false));
  if (const Regex* regex = pattern.regex()) return std::make_unique<RegexSplit>(*regex, behavior, invert);
  return simple([pattern = std::move(pattern), behavior, invert](TextPieces& pieces) {
    return splitPieces(pieces, behavior, invert,
                       [&](std::string_view text, auto& sections) { return pattern.search(text, sections); });
  });
}

PreTokenizerResult readMetaspace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(Metaspace metaspace, Metaspace::read(fields));
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  std::size_t position = 0;
  const char32_t mark = nextCharacter(metaspace.replacement, position);
  const bool splits = metaspace.split;
  auto rewrite = [metaspace = std::move(metaspace)](TextPieces& pieces) -> Result<void> {
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
    return {};
  };
  parts.push_back(std::make_unique<Simple<decltype(rewrite)>>(std::move(rewrite)));
  if (splits) parts.push_back(std::make_unique<MarkSplit>(mark));
  return std::make_unique<Sequence>(std::move(parts));
}

PreTokenizerResult readWhitespace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(Regex regex, Regex::compile(kWhitespacePattern, fields.where()));
  return std::make_unique<RegexSplit>(std::move(regex), SplitBehavior::removed, true);
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
  return std::make_unique<Sequence>(std::move(parts));
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
