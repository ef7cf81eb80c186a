// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/base/error.h"
#include "core/io/file_descriptor.h"

namespace kvista {

/// Refuses when the file system that holds `folder` has less than `bytesNeeded` free. `what` names what would be
/// written.
Result<void> checkFreeSpace(const std::filesystem::path& folder, std::uint64_t bytesNeeded, std::string_view what);

/// A file that appears whole or not at all: written under a temporary name beside the target; `commit()` flushes it to
/// disk and renames it. Without a commit the destructor removes it. An existing target is replaced at commit.
class AtomicFile {
 public:
  /// Where `target` is a symbolic link, what it leads to is written and the link stays. Errors (io): no folder, and
  /// what is there and is no regular file: a device or a pipe would be replaced.
  static Result<AtomicFile> create(const std::filesystem::path& target);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  Result<void> append(std::span<const std::byte> bytes);
  Result<void> commit();
  /// Under another name in the same file system.
  Result<void> commitAs(std::filesystem::path target);

 private:
  AtomicFile() = default;
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty once committed or moved from
  FileDescriptor descriptor_;
};

/// Refuses a file that could not be created or replaced, before hours are spent on what shall be in it: its folder does
/// not exist or cannot be written, or it is a folder itself. Leaves nothing behind.
Result<void> checkWritable(const std::filesystem::path& target);

/// Replaces a file's content: temporary file beside it, flushed to disk, renamed. The old content survives any failure.
Result<void> writeFileAtomically(const std::filesystem::path& file, std::string_view content);

/// A folder that appears whole or not at all. Files are written into `path()`, a temporary folder beside the target;
/// `commit()` flushes and renames it. Without a commit the temporary folder is removed by the destructor.
class AtomicDirectory {
 public:
  /// Refuses an existing target unless `overwrite`, in which case the old folder is replaced at commit, whole by whole;
  /// refuses a target whose parent does not exist or has less than `bytesNeeded` free.
  static Result<AtomicDirectory> create(const std::filesystem::path& target, std::uint64_t bytesNeeded, bool overwrite);
  AtomicDirectory(AtomicDirectory&& other) noexcept;
  AtomicDirectory& operator=(AtomicDirectory&& other) noexcept;
  ~AtomicDirectory();

  [[nodiscard]] const std::filesystem::path& path() const { return temporary_; }
  Result<void> commit();

 private:
  AtomicDirectory() = default;
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty once committed or moved from
  bool overwrite_ = false;
};

}  // namespace kvista
