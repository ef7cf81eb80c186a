// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace kvista {

/// An open POSIX file, closed by the destructor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int value) : value_(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~FileDescriptor();

  [[nodiscard]] int get() const { return value_; }
  [[nodiscard]] bool isOpen() const { return value_ >= 0; }

 private:
  int value_ = -1;
};

/// A regular file opened for reading, and its size in bytes when it was opened.
struct RegularFile {
  FileDescriptor descriptor;
  std::uint64_t size = 0;
};

/// Opens for reading, following links, without ever blocking. Errors (io): missing, a broken link, a circle of links, a
/// folder, a device, a pipe, not permitted; each with its own sentence.
Result<RegularFile> openRegularFile(const std::filesystem::path& file);

/// The whole of a regular file. Errors: as openRegularFile.
Result<std::string> readRegularFile(const std::filesystem::path& file);

/// What stands at a path, links followed, where it is there and is no regular file: "a folder", "a device", "a pipe";
/// else empty.
std::string_view kindOfOtherThanFile(const std::filesystem::path& path);

/// Fills `bytes` from `position` on; a file that has become too short is an error. `file` is for messages.
Result<void> readAt(const FileDescriptor& descriptor, std::uint64_t position, std::span<std::byte> bytes,
                    const std::filesystem::path& file);

/// Writes all bytes at the current position. `file` is for messages.
Result<void> writeAll(const FileDescriptor& descriptor, std::span<const std::byte> bytes,
                      const std::filesystem::path& file);

/// Flushes to disk what was written to an open file, or a folder's list of names.
Result<void> flushToDisk(const FileDescriptor& descriptor, const std::filesystem::path& file);
Result<void> flushFolderToDisk(const std::filesystem::path& folder);

/// The operating system's words for an errno value, as "No space left on device".
std::string describeSystemError(int number);

}  // namespace kvista
