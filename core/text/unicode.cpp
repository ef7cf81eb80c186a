// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

namespace kvista {
namespace {

struct Sequence {
  std::size_t length;  ///< Bytes of the character, or of the ill-formed run.
  bool valid;
};

/// Table 3-7 of the Unicode standard: which second bytes may follow which first byte.
Sequence sequenceAt(std::string_view bytes, std::size_t position) {
  const auto byte = [&](std::size_t offset) -> unsigned {
    return position + offset < bytes.size() ? static_cast<unsigned char>(bytes[position + offset]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const unsigned lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < lowest || byte(1) > highest) return {1, false};
  const std::size_t length = utf8Length(static_cast<unsigned char>(lead));
  for (std::size_t offset = 2; offset < length; ++offset) {
    if ((byte(offset) & 0xC0) != 0x80) return {offset, false};
  }
  return {length, true};
}

utf8proc_category_t categoryOf(char32_t character) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(character));
}

bool isAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Sorts each run of combining marks by combining class (UAX #15, D109).
void orderMarks(std::vector<utf8proc_int32_t>& characters) {
  const auto combiningClass = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto run = characters.begin(); run != characters.end();) {
    if (combiningClass(*run) == 0) {
      ++run;
      continue;
    }
    const auto end = std::find_if(run, characters.end(), [&](auto c) { return combiningClass(c) == 0; });
    std::stable_sort(run, end, [&](auto a, auto b) { return combiningClass(a) < combiningClass(b); });
    run = end;
  }
}

}  // namespace

std::optional<std::size_t> firstInvalidUtf8(std::string_view bytes) {
  for (std::size_t position = 0; position < bytes.size();) {
    const Sequence sequence = sequenceAt(bytes, position);
    if (!sequence.valid) return position;
    position += sequence.length;
  }
  return std::nullopt;
}

std::string replaceInvalidUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t position = 0; position < bytes.size();) {
    const Sequence sequence = sequenceAt(bytes, position);
    if (sequence.valid) {
      text.append(bytes, position, sequence.length);
    } else {
      text += "\uFFFD";
    }
    position += sequence.length;
  }
  return text;
}

std::size_t utf8Length(unsigned char lead) { return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }

char32_t nextCharacter(std::string_view text, std::size_t& position) {
  const auto lead = static_cast<unsigned char>(text[position]);
  const std::size_t length = utf8Length(lead);
  char32_t character = length == 1 ? lead : lead & (0x7FU >> length);
  for (std::size_t offset = 1; offset < length; ++offset) {
    character = character << 6 | (static_cast<unsigned char>(text[position + offset]) & 0x3FU);
  }
  position += length;
  return character;
}

std::size_t previousCharacterStart(std::string_view text, std::size_t end) {
  --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

void appendUtf8(std::string& text, char32_t character) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), bytes.data());
  text.append(bytes.begin(), bytes.begin() + length);
}

bool isWhitespace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool isNumber(char32_t character) {
  const auto category = categoryOf(character);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool isPunctuation(char32_t c) {
  if (c < 0x80)
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  const auto category = categoryOf(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool isMark(char32_t character) {
  const auto category = categoryOf(character);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

std::string toLowercase(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const char32_t character = nextCharacter(text, position);
    if (character == 0x130) {
      result += "i\u0307";  // The only character whose lower case is longer than one.
    } else {
      appendUtf8(result, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character))));
    }
  }
  return result;
}

std::string toNormalForm(std::string_view text, NormalForm form) {
  if (isAscii(text)) return std::string(text);
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const auto decompose =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> characters;
  characters.reserve(text.size());
  std::array<utf8proc_int32_t, 32> buffer{};  // The longest decomposition, of U+FDFA, has 18 characters.
  int boundary = 0;
  for (std::size_t position = 0; position < text.size();) {
    const auto character = static_cast<utf8proc_int32_t>(nextCharacter(text, position));
    const auto length = utf8proc_decompose_char(character, buffer.data(), buffer.size(), decompose, &boundary);
    characters.insert(characters.end(), buffer.begin(), buffer.begin() + std::clamp<utf8proc_ssize_t>(length, 0, 32));
  }
  orderMarks(characters);
  auto size = static_cast<utf8proc_ssize_t>(characters.size());
  if (form == NormalForm::nfc || form == NormalForm::nfkc) {
    size = utf8proc_normalize_utf32(characters.data(), size,
                                    static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  }
  std::string result;
  result.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < size; ++i)
    appendUtf8(result, static_cast<char32_t>(characters[static_cast<std::size_t>(i)]));
  return result;
}

std::size_t graphemeEnd(std::string_view text, std::size_t begin) {
  utf8proc_int32_t state = 0;
  auto previous = static_cast<utf8proc_int32_t>(nextCharacter(text, begin));
  while (begin < text.size()) {
    std::size_t end = begin;
    const auto next = static_cast<utf8proc_int32_t>(nextCharacter(text, end));
    if (utf8proc_grapheme_break_stateful(previous, next, &state)) break;
    previous = next;
    begin = end;
  }
  return begin;
}

}  // namespace kvista
