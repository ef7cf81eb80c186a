// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_file.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace kvista {
namespace {

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Array elements as doubles; every integer of interest (token types, layer counts) is exact in one.
template <class T>
void appendNumbers(const GgufArray& array, std::vector<double>& out) {
  for (std::size_t i = 0; i < array.count; ++i)
    out.push_back(static_cast<double>(load<T>(array.bytes.data() + i * sizeof(T))));
}

}  // namespace

const GgufTensor* GgufFile::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

Result<std::optional<std::int64_t>> GgufFile::integer(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<std::uint64_t>(value)) {
    if (*number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return static_cast<std::int64_t>(*number);
    return corrupt(fmt::format("metadata key '{}' is {}, which is too large.", key, *number));
  }
  if (const auto* number = std::get_if<std::int64_t>(value)) {
    if (*number >= 0) return *number;
    return corrupt(fmt::format("metadata key '{}' is {}, but must not be negative.", key, *number));
  }
  return corrupt(fmt::format("metadata key '{}' must be an integer.", key));
}

Result<std::optional<double>> GgufFile::real(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<std::uint64_t>(value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<std::int64_t>(value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<double>(value); number != nullptr && std::isfinite(*number)) return *number;
  return corrupt(fmt::format("metadata key '{}' must be a finite number.", key));
}

Result<std::optional<bool>> GgufFile::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  return corrupt(fmt::format("metadata key '{}' must be true or false.", key));
}

Result<std::optional<std::string_view>> GgufFile::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* string = std::get_if<std::string_view>(value);
  if (string == nullptr) return corrupt(fmt::format("metadata key '{}' must be a string.", key));
  if (!isUtf8(*string)) return corrupt(fmt::format("metadata key '{}' is not valid UTF-8.", key));
  return *string;
}

Result<std::vector<std::string_view>> GgufFile::texts(std::string_view key, std::size_t maximumCount) const {
  std::vector<std::string_view> out;
  const GgufValue* value = find(key);
  if (value == nullptr) return out;
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr || array->elementType != GgufType::string)
    return corrupt(fmt::format("metadata key '{}' must be an array of strings.", key));
  if (array->count > maximumCount)
    return unsupported(
        fmt::format("metadata key '{}' has {} entries; at most {} are supported.", key, array->count, maximumCount));
  out.reserve(array->count);
  const char* next = reinterpret_cast<const char*>(array->bytes.data());
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto length = load<std::uint64_t>(reinterpret_cast<const std::byte*>(next));
    next += sizeof length;
    out.emplace_back(next, length);
    if (!isUtf8(out.back())) return corrupt(fmt::format("entry {} of metadata key '{}' is not valid UTF-8.", i, key));
    next += length;
  }
  return out;
}

Result<std::vector<double>> GgufFile::numbers(std::string_view key, std::size_t maximumCount) const {
  std::vector<double> out;
  const GgufValue* value = find(key);
  if (value == nullptr) return out;
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr) return corrupt(fmt::format("metadata key '{}' must be an array of numbers.", key));
  if (array->count > maximumCount)
    return unsupported(
        fmt::format("metadata key '{}' has {} entries; at most {} are supported.", key, array->count, maximumCount));
  out.reserve(array->count);
  switch (array->elementType) {
    case GgufType::u8:
      appendNumbers<std::uint8_t>(*array, out);
      break;
    case GgufType::i8:
      appendNumbers<std::int8_t>(*array, out);
      break;
    case GgufType::u16:
      appendNumbers<std::uint16_t>(*array, out);
      break;
    case GgufType::i16:
      appendNumbers<std::int16_t>(*array, out);
      break;
    case GgufType::u32:
      appendNumbers<std::uint32_t>(*array, out);
      break;
    case GgufType::i32:
      appendNumbers<std::int32_t>(*array, out);
      break;
    case GgufType::u64:
      appendNumbers<std::uint64_t>(*array, out);
      break;
    case GgufType::i64:
      appendNumbers<std::int64_t>(*array, out);
      break;
    case GgufType::f32:
      appendNumbers<float>(*array, out);
      break;
    case GgufType::f64:
      appendNumbers<double>(*array, out);
      break;
    case GgufType::boolean:
    case GgufType::string:
    case GgufType::array:
      return corrupt(fmt::format("metadata key '{}' must be an array of numbers.", key));
  }
  return out;
}

tl::unexpected<Error> GgufFile::corrupt(std::string_view sentence) const {
  return fail(ErrorCode::corruptFile, fmt::format("{}: {}", path().string(), sentence),
              "Fetch the file again, or convert the model again.");
}

tl::unexpected<Error> GgufFile::unsupported(std::string_view sentence, std::string hint) const {
  return fail(ErrorCode::unsupportedModel, fmt::format("{}: {}", path().string(), sentence), std::move(hint));
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string out(text.substr(0, kLongest));
  for (char& letter : out)
    if (letter < 0x20 || letter > 0x7e) letter = '?';
  return text.size() > kLongest ? out + "..." : out;
}

bool isUtf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t i = 0;
  while (i < text.size()) {
    const unsigned first = byte(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > text.size() - i) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    // Overlong forms, surrogates and code points above U+10FFFF show in the second byte.
    const unsigned second = byte(i + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

}  // namespace kvista
