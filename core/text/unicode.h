// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvista {

/// Byte offset of the first byte that does not belong to well-formed UTF-8; nothing when all of it is well-formed.
std::optional<std::size_t> firstInvalidUtf8(std::string_view bytes);
/// `bytes` with each maximal ill-formed run replaced by U+FFFD (Unicode standard, section 3.9, "U+FFFD substitution").
std::string replaceInvalidUtf8(std::string_view bytes);

/// The character at `position`, which moves behind it. `text` must be well-formed and `position` a character's start.
char32_t nextCharacter(std::string_view text, std::size_t& position);
/// Start of the character that ends before `end` (> 0).
std::size_t previousCharacterStart(std::string_view text, std::size_t end);
void appendUtf8(std::string& text, char32_t character);
/// The bytes of the character whose first byte is `lead`.
std::size_t utf8Length(unsigned char lead);

bool isWhitespace(char32_t character);   ///< Property White_Space.
bool isNumber(char32_t character);       ///< General category N.
bool isPunctuation(char32_t character);  ///< ASCII punctuation and symbols, and general category P.
bool isMark(char32_t character);         ///< General category M.

/// Each character's full lower case, whatever its neighbours.
std::string toLowercase(std::string_view text);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// Unicode normalisation (UAX #15), in O(n log n) for any input.
std::string toNormalForm(std::string_view text, NormalForm form);

/// End of the extended grapheme cluster (UAX #29) that starts at `begin`.
std::size_t graphemeEnd(std::string_view text, std::size_t begin);

}  // namespace kvista
