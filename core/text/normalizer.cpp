// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/normalizer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/text/byte_alphabet.h"
#include "core/text/pattern.h"
#include "core/text/precompiled_charsmap.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::string_view kSupported =
    "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, Prepend, Precompiled, Nmt, ByteLevel";

/// Any normaliser that is a function of the text alone.
template <class Function>
class Simple final : public TextNormalizer {
 public:
  explicit Simple(Function function) : function_(std::move(function)) {}
  Result<void> apply(NormalizedText& text) const override { return function_(text); }

 private:
  Function function_;
};

template <class Function>
Result<std::unique_ptr<TextNormalizer>> simple(Function function) {
  return std::make_unique<Simple<Function>>(std::move(function));
}

/// Drops each character for which `keep` says no.
template <class Predicate>
void filterCharacters(NormalizedText& text, Predicate keep) {
  std::string kept;
  kept.reserve(text.text.size());
  for (std::size_t position = 0; position < text.text.size();) {
    const std::size_t begin = position;
    if (keep(nextCharacter(text.text, position))) {
      kept.append(text.text, begin, position - begin);
    } else if (begin == 0) {
      text.keepsFront = false;
    }
  }
  text.text = std::move(kept);
}

void strip(NormalizedText& text, bool left, bool right) {
  std::size_t begin = 0;
  std::size_t end = text.text.size();
  while (left && begin < end) {
    std::size_t next = begin;
    if (!isWhitespace(nextCharacter(text.text, next))) break;
    begin = next;
  }
  while (right && end > begin) {
    const std::size_t last = previousCharacterStart(text.text, end);
    std::size_t position = last;
    if (!isWhitespace(nextCharacter(text.text, position))) break;
    end = last;
  }
  if (begin > 0) text.keepsFront = false;
  text.text = text.text.substr(begin, end - begin);
}

/// SentencePiece's "nmt" rules: control characters go, odd spaces become a space.
void applyNmt(NormalizedText& text) {
  filterCharacters(text, [](char32_t c) {
    return !((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F);
  });
  std::string result;
  for (std::size_t position = 0; position < text.text.size();) {
    const char32_t c = nextCharacter(text.text, position);
    const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
                       c == 0xFFFD;
    appendUtf8(result, space ? U' ' : c);
  }
  text.text = std::move(result);
}

Result<std::unique_ptr<TextNormalizer>> readReplace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(TextPattern pattern, TextPattern::read(fields, "pattern"));
  KVISTA_ASSIGN(std::string content, fields.text("content"));
  return simple([pattern = std::move(pattern), content = std::move(content)](NormalizedText& text) -> Result<void> {
    std::vector<Section> sections;
    KVISTA_CHECK(pattern.search(text.text, sections));
    if (content.empty() && !sections.empty() && sections[0].isMatch && sections[0].end > 0) text.keepsFront = false;
    std::string result;
    result.reserve(text.text.size());
    for (const Section& section : sections) {
      if (section.isMatch) {
        result += content;
      } else {
        result.append(text.text, section.begin, section.end - section.begin);
      }
    }
    text.text = std::move(result);
    return {};
  });
}

Result<std::unique_ptr<TextNormalizer>> readSequence(const TokenizerFields& fields, int depth) {
  KVISTA_ASSIGN(const auto* list, fields.array("normalizers"));
  if (depth >= kMaximumSequenceDepth) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: sequences are nested deeper than {}.", fields.where(), depth));
  }
  std::vector<std::unique_ptr<TextNormalizer>> parts;
  for (std::size_t i = 0; i < list->size(); ++i) {
    KVISTA_ASSIGN(auto part, TextNormalizer::read((*list)[i], fmt::format("{}[{}]", fields.where(), i), depth + 1));
    parts.push_back(std::move(part));
  }
  return simple([parts = std::move(parts)](NormalizedText& text) -> Result<void> {
    for (const auto& part : parts) KVISTA_CHECK(part->apply(text));
    return {};
  });
}

Result<std::unique_ptr<TextNormalizer>> readForm(NormalForm form) {
  return simple([form](NormalizedText& text) -> Result<void> {
    text.text = toNormalForm(text.text, form);
    return {};
  });
}

}  // namespace

Result<std::unique_ptr<TextNormalizer>> TextNormalizer::read(const nlohmann::json& json, std::string where, int depth) {
  KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json, std::move(where)));
  KVISTA_ASSIGN(const std::string type, fields.text("type"));
  if (type == "Sequence") return readSequence(fields, depth);
  if (type == "NFC") return readForm(NormalForm::nfc);
  if (type == "NFD") return readForm(NormalForm::nfd);
  if (type == "NFKC") return readForm(NormalForm::nfkc);
  if (type == "NFKD") return readForm(NormalForm::nfkd);
  if (type == "Replace") return readReplace(fields);
  if (type == "Lowercase") {
    return simple([](NormalizedText& text) -> Result<void> {
      text.text = toLowercase(text.text);
      return {};
    });
  }
  if (type == "Strip") {
    KVISTA_ASSIGN(const bool left, fields.flag("strip_left", true));
    KVISTA_ASSIGN(const bool right, fields.flag("strip_right", true));
    return simple([left, right](NormalizedText& text) -> Result<void> {
      strip(text, left, right);
      return {};
    });
  }
  if (type == "StripAccents") {
    return simple([](NormalizedText& text) -> Result<void> {
      filterCharacters(text, [](char32_t c) { return !isMark(c); });
      return {};
    });
  }
  if (type == "Prepend") {
    KVISTA_ASSIGN(std::string front, fields.text("prepend"));
    return simple([front = std::move(front)](NormalizedText& text) -> Result<void> {
      if (!text.text.empty()) text.text.insert(0, front);
      return {};
    });
  }
  if (type == "Precompiled") {
    KVISTA_ASSIGN(const std::string base64, fields.text("precompiled_charsmap"));
    KVISTA_ASSIGN(PrecompiledCharsmap map,
                  PrecompiledCharsmap::read(base64, fmt::format("{}: \"precompiled_charsmap\"", fields.where())));
    return simple([map = std::move(map)](NormalizedText& text) -> Result<void> {
      KVISTA_ASSIGN(text.text, map.normalize(text.text));
      return {};
    });
  }
  if (type == "Nmt") {
    return simple([](NormalizedText& text) -> Result<void> {
      applyNmt(text);
      return {};
    });
  }
  if (type == "ByteLevel") {
    return simple([](NormalizedText& text) -> Result<void> {
      std::string letters;
      appendByteLetters(letters, text.text);
      text.text = std::move(letters);
      return {};
    });
  }
  return unsupportedType(fields.where(), type, kSupported);
}

}  // namespace kvista
