// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvista {

/// The byte-level alphabet of GPT-2: each byte is one printable character. Bytes that are printable in Latin-1 stand
/// for themselves; the other 68 are U+0100, U+0101, ... in order.
void appendByteLetters(std::string& letters, std::string_view bytes);
/// The bytes that `letters` stand for; nothing when one of them is no letter of the alphabet.
std::optional<std::string> bytesOfLetters(std::string_view letters);

}  // namespace kvista
