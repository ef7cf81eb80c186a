// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvista::test {

template <class Number>
std::string littleEndian(Number value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// Bytes of float32 numbers.
inline std::string floats(const std::vector<float>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)};
}

struct ZipFile {
  std::string name, bytes;
  std::uint16_t method = 0;
};

/// A zip archive of files as they are; with `longLengths` all lengths and offsets stand in zip64 fields.
inline std::string zipBytes(const std::vector<ZipFile>& files, bool longLengths = false) {
  std::string archive, directory;
  const auto tooLong = [&](std::uint64_t value) {
    return littleEndian(longLengths ? 0xffffffffu : static_cast<std::uint32_t>(value));
  };
  for (const ZipFile& file : files) {
    const auto name = static_cast<std::uint16_t>(file.name.size());
    std::string extra;
    if (longLengths)  // Behind a field of another kind, as torch.save pads with.
      extra = littleEndian<std::uint32_t>(0x00024246) + "ZZ" + littleEndian<std::uint32_t>(0x00180001) +
              littleEndian<std::uint64_t>(file.bytes.size()) + littleEndian<std::uint64_t>(file.bytes.size()) +
              littleEndian<std::uint64_t>(archive.size());
    // CRC, packed, whole.
    const std::string lengths = std::string(4, '\0') + tooLong(file.bytes.size()) + tooLong(file.bytes.size());
    const std::string fields = littleEndian<std::uint16_t>(0) + littleEndian(file.method) + std::string(4, '\0') +
                               lengths + littleEndian(name);
    directory += "PK\x01\x02" + littleEndian<std::uint32_t>(20) + fields +
                 littleEndian(static_cast<std::uint16_t>(extra.size())) + std::string(10, '\0') +
                 tooLong(archive.size()) + file.name + extra;
    archive += "PK\x03\x04" + littleEndian<std::uint16_t>(20) + fields + littleEndian<std::uint16_t>(3) + file.name +
               "pad" + file.bytes;
  }
  const std::uint64_t count = files.size(), begin = archive.size(), length = directory.size();
  archive += directory;
  if (longLengths) {
    const std::uint64_t end = archive.size();
    archive += "PK\x06\x06" + littleEndian<std::uint64_t>(44) + std::string(12, '\0') + littleEndian(count) +
               littleEndian(count) + littleEndian(length) + littleEndian(begin);
    archive += "PK\x06\x07" + littleEndian<std::uint32_t>(0) + littleEndian(end) + littleEndian<std::uint32_t>(1);
  }
  return archive + "PK\x05\x06" + std::string(4, '\0') + littleEndian(static_cast<std::uint16_t>(count)) +
         littleEndian(static_cast<std::uint16_t>(count)) + tooLong(length) + tooLong(begin) +
         littleEndian<std::uint16_t>(0);
}

// Pieces of pickles, protocol 2.
inline std::string pickledText(std::string_view text) {
  return std::string("X").append(littleEndian(static_cast<std::uint32_t>(text.size()))).append(text);
}
inline std::string pickledInteger(std::int64_t value) { return std::string("\x8a\x08").append(littleEndian(value)); }
inline std::string pickledTuple(const std::vector<std::int64_t>& values) {
  std::string out = "(";
  for (const std::int64_t value : values) out += pickledInteger(value);
  return out + "t";
}
/// A tensor of `type` ("FloatStorage") in storage `key` of `count` numbers; `view` stands for what the older form has
/// behind these.
inline std::string pickledTensor(std::string_view key, std::string_view type, std::int64_t count, std::int64_t offset,
                                 const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
                                 std::string_view view = "") {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickledText("storage") + "ctorch\n" + std::string(type) + "\n" +
         pickledText(key) + pickledText("cpu") + pickledInteger(count) + std::string(view) + "tQ" +
         pickledInteger(offset) + pickledTuple(shape) + pickledTuple(strides) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}
/// A dictionary of pickled values by name.
inline std::string pickledDictionary(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "\x80\x02}(";
  for (const auto& [name, value] : entries) out += pickledText(name) + value;
  return out + "u.";
}

}  // namespace kvista::test
