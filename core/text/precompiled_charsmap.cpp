// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/precompiled_charsmap.h"

#include <fmt/format.h>

#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::size_t kMaximumBase64 = 32 << 20;

std::optional<std::string> decodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t position = 0; position < text.size(); position += 4) {
    std::uint32_t group = 0;
    std::size_t padding = 0;
    for (const char c : text.substr(position, 4)) {
      std::uint32_t digit = 0;
      if (c >= 'A' && c <= 'Z') {
        digit = static_cast<std::uint32_t>(c - 'A');
      } else if (c >= 'a' && c <= 'z') {
        digit = static_cast<std::uint32_t>(c - 'a') + 26;
      } else if (c >= '0' && c <= '9') {
        digit = static_cast<std::uint32_t>(c - '0') + 52;
      } else if (c == '+' || c == '/') {
        digit = c == '+' ? 62 : 63;
      } else if (c == '=') {
        ++padding;
      } else {
        return std::nullopt;
      }
      if (padding > 0 && c != '=') return std::nullopt;
      group = group << 6 | digit;
    }
    if (padding > 2 || (padding > 0 && position + 4 != text.size())) return std::nullopt;
    for (std::size_t i = 0; i < 3 - padding; ++i) bytes += static_cast<char>(group >> (16 - 8 * i) & 0xFF);
  }
  return bytes;
}

std::uint32_t littleEndian32(std::string_view bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

bool hasLeaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t labelOf(std::uint32_t unit) { return unit & (1U << 31 | 0xFFU); }
std::uint32_t offsetOf(std::uint32_t unit) { return (unit >> 10) << ((unit & 1U << 9) >> 6); }
std::uint32_t valueOf(std::uint32_t unit) { return unit & ~(1U << 31); }

}  // namespace

Result<PrecompiledCharsmap> PrecompiledCharsmap::read(std::string_view base64, std::string_view where) {
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorCode::corruptFile, fmt::format("{} {}.", where, why));
  };
  if (base64.size() > kMaximumBase64)
    return refuse(fmt::format("has {} bytes; at most {} are supported", base64.size(), kMaximumBase64));
  const auto bytes = decodeBase64(base64);
  if (!bytes) return refuse("is not base64");
  if (bytes->size() < 4) return refuse(fmt::format("holds {} bytes; at least 4 are needed", bytes->size()));
  const std::size_t trieBytes = littleEndian32(*bytes, 0);
  if (trieBytes > bytes->size() - 4 || trieBytes < 4 || trieBytes % 4 != 0) {
    return refuse(fmt::format("announces a trie of {} bytes, but {} bytes follow", trieBytes, bytes->size() - 4));
  }
  PrecompiledCharsmap map;
  map.where_ = where;
  map.units_.reserve(trieBytes / 4);
  for (std::size_t offset = 4; offset < 4 + trieBytes; offset += 4)
    map.units_.push_back(littleEndian32(*bytes, offset));
  map.blob_ = bytes->substr(4 + trieBytes);
  if (const auto invalid = firstInvalidUtf8(map.blob_))
    return refuse(fmt::format("has replacements that are not UTF-8 at byte {}", *invalid));
  return map;
}

tl::unexpected<Error> PrecompiledCharsmap::corrupt() const {
  return fail(ErrorCode::corruptFile, fmt::format("{} points outside of its own {} units or {} bytes of replacements.",
                                                  where_, units_.size(), blob_.size()));
}

Result<std::optional<std::string_view>> PrecompiledCharsmap::find(std::string_view key) const {
  std::size_t node = offsetOf(units_[0]);
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size()) return corrupt();
    const std::uint32_t unit = units_[node];
    if (labelOf(unit) != byte) break;
    node ^= offsetOf(unit);
    if (!hasLeaf(unit)) continue;
    if (node >= units_.size()) return corrupt();
    const std::size_t begin = valueOf(units_[node]);
    if (begin > blob_.size() || (begin < blob_.size() && (static_cast<unsigned char>(blob_[begin]) & 0xC0) == 0x80))
      return corrupt();
    return std::string_view(blob_).substr(begin, blob_.find('\0', begin) - begin);
  }
  return std::optional<std::string_view>();
}

Result<std::string> PrecompiledCharsmap::normalize(std::string_view text) const {
  std::string result;
  result.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = graphemeEnd(text, begin);
    if (end - begin < 6) {
      KVISTA_ASSIGN(const auto replacement, find(text.substr(begin, end - begin)));
      if (replacement) {
        result += *replacement;
        begin = end;
        continue;
      }
    }
    while (begin < end) {
      const std::size_t start = begin;
      nextCharacter(text, begin);
      const std::string_view character = text.substr(start, begin - start);
      KVISTA_ASSIGN(const auto replacement, find(character));
      result += replacement.value_or(character);
    }
  }
  return result;
}

}  // namespace kvista
