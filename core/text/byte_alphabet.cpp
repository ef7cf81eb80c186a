// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/byte_alphabet.h"

#include <array>

#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr char32_t kLetters = 0x100 + 68;

struct Alphabet {
  std::array<std::string, 256> letterOf;
  std::array<int, kLetters> byteOf{};

  Alphabet() {
    byteOf.fill(-1);
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const char32_t letter = printable ? byte : next++;
      appendUtf8(letterOf[byte], letter);
      byteOf[letter] = static_cast<int>(byte);
    }
  }
  static const Alphabet& instance() {
    static const Alphabet alphabet;
    return alphabet;
  }
};

}  // namespace

void appendByteLetters(std::string& letters, std::string_view bytes) {
  const Alphabet& alphabet = Alphabet::instance();
  for (const char byte : bytes) letters += alphabet.letterOf[static_cast<unsigned char>(byte)];
}

std::optional<std::string> bytesOfLetters(std::string_view letters) {
  const Alphabet& alphabet = Alphabet::instance();
  std::string bytes;
  for (std::size_t position = 0; position < letters.size();) {
    const char32_t letter = nextCharacter(letters, position);
    if (letter >= kLetters || alphabet.byteOf[letter] < 0) return std::nullopt;
    bytes += static_cast<char>(alphabet.byteOf[letter]);
  }
  return bytes;
}

}  // namespace kvista
