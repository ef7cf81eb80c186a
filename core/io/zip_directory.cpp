// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/zip_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "core/io/json_file.h"

namespace kvista {
namespace {

// Lengths of the records up to their variable parts.
constexpr std::size_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kEntryBytes = 46, kLocalBytes = 30;
constexpr std::size_t kLongestComment = 65535;
constexpr std::uint32_t kEndTag = 0x06054b50, kLocatorTag = 0x07064b50, kEnd64Tag = 0x06064b50, kEntryTag = 0x02014b50,
                        kLocalTag = 0x04034b50;
// What a 32-bit field holds when its value stands in the zip64 field instead.
constexpr std::uint64_t kElsewhere = 0xffffffff;
constexpr std::uint16_t kZip64Field = 1;

tl::unexpected<Error> corrupt(std::string sentence) { return fail(ErrorCode::corruptFile, std::move(sentence)); }

class ZipReader {
 public:
  explicit ZipReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<std::map<std::string, ZipEntry, std::less<>>> read() {
    KVISTA_CHECK(findDirectory());
    std::map<std::string, ZipEntry, std::less<>> entries;
    std::uint64_t at = begin_;
    for (std::uint64_t i = 0; i < count_; ++i) {
      std::string name;
      ZipEntry entry;
      KVISTA_CHECK(readEntry(at, name, entry));
      if (!entries.emplace(name, entry).second)
        return corrupt(fmt::format("its zip archive holds {} twice.", quoteForMessage(name)));
    }
    return entries;
  }

 private:
  template <class Number>
  [[nodiscard]] Number number(std::uint64_t at) const {
    Number value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  /// Do `length` bytes lie at `at` before `end`?
  static bool fits(std::uint64_t at, std::uint64_t length, std::uint64_t end) {
    return at <= end && length <= end - at;
  }

  [[nodiscard]] std::optional<std::size_t> findEnd() const {
    const std::size_t size = bytes_.size();
    for (std::size_t comment = 0; comment <= kLongestComment && kEndBytes + comment <= size; ++comment) {
      const std::size_t at = size - kEndBytes - comment;
      if (number<std::uint32_t>(at) == kEndTag && number<std::uint16_t>(at + 20) == comment) return at;
    }
    return std::nullopt;
  }

  Result<void> findDirectory() {
    const auto end = findEnd();
    if (!end) return corrupt("its zip archive has no directory at the end: the file is cut off.");
    std::uint64_t length = number<std::uint32_t>(*end + 12);
    count_ = number<std::uint16_t>(*end + 10);
    begin_ = number<std::uint32_t>(*end + 16);
    if (*end >= kLocatorBytes && number<std::uint32_t>(*end - kLocatorBytes) == kLocatorTag) {
      const auto at = number<std::uint64_t>(*end - kLocatorBytes + 8);
      if (!fits(at, kEnd64Bytes, *end) || number<std::uint32_t>(at) != kEnd64Tag)
        return corrupt("its zip archive names a directory of 64-bit lengths where there is none.");
      count_ = number<std::uint64_t>(at + 32);
      length = number<std::uint64_t>(at + 40);
      begin_ = number<std::uint64_t>(at + 48);
    }
    if (!fits(begin_, length, *end) || count_ > length / kEntryBytes)
      return corrupt(fmt::format(
          "its zip archive claims a directory of {} files and {} bytes at byte {}, which does not fit into {} bytes.",
          count_, length, begin_, bytes_.size()));
    end_ = begin_ + length;
    return {};
  }

  /// Reads the entry at `at` and moves behind it.
  Result<void> readEntry(std::uint64_t& at, std::string& name, ZipEntry& entry) const {
    if (!fits(at, kEntryBytes, end_) || number<std::uint32_t>(at) != kEntryTag)
      return corrupt(fmt::format("its zip archive has no directory entry at byte {}.", at));
    const std::uint64_t nameBytes = number<std::uint16_t>(at + 28), extraBytes = number<std::uint16_t>(at + 30);
    const std::uint64_t whole = kEntryBytes + nameBytes + extraBytes + number<std::uint16_t>(at + 32);
    if (!fits(at, whole, end_)) return corrupt(fmt::format("the zip directory entry at byte {} is cut off.", at));
    name.assign(reinterpret_cast<const char*>(bytes_.data() + at + kEntryBytes), nameBytes);
    std::uint64_t size = number<std::uint32_t>(at + 24), packed = number<std::uint32_t>(at + 20),
                  local = number<std::uint32_t>(at + 42);
    readLongValues(at + kEntryBytes + nameBytes, extraBytes, {&size, &packed, &local});
    // The local header repeats name and fields; only their lengths are needed to find the data behind them.
    if (!fits(local, kLocalBytes, begin_) || number<std::uint32_t>(local) != kLocalTag)
      return corrupt(
          fmt::format("its zip archive holds no file at byte {}, where {} should be.", local, quoteForMessage(name)));
    const std::uint64_t data =
        local + kLocalBytes + number<std::uint16_t>(local + 26) + number<std::uint16_t>(local + 28);
    if (!fits(data, packed, begin_))
      return corrupt(fmt::format("{} in its zip archive claims {} bytes at byte {}, which do not fit into {} bytes.",
                                 quoteForMessage(name), packed, data, bytes_.size()));
    const bool isEncrypted = (number<std::uint16_t>(at + 8) & 1) != 0;
    entry.isStored = number<std::uint16_t>(at + 10) == 0 && !isEncrypted && size == packed;
    entry.bytes = bytes_.subspan(data, packed);
    at += whole;
    return {};
  }

  /// Fills those of `values` that stand in the zip64 field, in its order. One that is not there stays too large to fit.
  void readLongValues(std::uint64_t at, std::uint64_t extraBytes, std::initializer_list<std::uint64_t*> values) const {
    const std::uint64_t end = at + extraBytes;
    while (fits(at, 4, end)) {
      const auto tag = number<std::uint16_t>(at);
      const std::uint64_t length = number<std::uint16_t>(at + 2);
      at += 4;
      if (!fits(at, length, end)) return;
      if (tag == kZip64Field) {
        const std::uint64_t fieldEnd = at + length;
        for (std::uint64_t* value : values) {
          if (*value != kElsewhere) continue;
          if (!fits(at, 8, fieldEnd)) return;
          *value = number<std::uint64_t>(at);
          at += 8;
        }
        return;
      }
      at += length;
    }
  }

  std::span<const std::byte> bytes_;
  std::uint64_t begin_ = 0, end_ = 0, count_ = 0;  // the directory
};

}  // namespace

Result<std::map<std::string, ZipEntry, std::less<>>> readZipDirectory(std::span<const std::byte> bytes) {
  return ZipReader(bytes).read();
}

}  // namespace kvista
