// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

#include "core/io/temporary_paths.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

fs::path folderOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// A name beside the target that nobody else uses: hidden, and the same length for any target.
fs::path temporaryBeside(const fs::path& target) {
  std::random_device random;
  return folderOf(target) / fmt::format(".kvista-{:08x}{:08x}.partial", random(), random());
}

tl::unexpected<Error> systemFailure(const fs::path& path, std::string_view action, int number) {
  return fail(ErrorCode::io, fmt::format("{} cannot be {}: {}.", path.string(), action, describeSystemError(number)));
}

Result<void> checkParent(const fs::path& target) {
  const fs::path parent = folderOf(target);
  std::error_code ignored;
  if (fs::is_directory(parent, ignored)) return {};
  return fail(ErrorCode::io, fmt::format("{} cannot be created: {} is not a folder.", target.string(), parent.string()),
              "Create that folder first, or choose another place.");
}

/// Where a chain of symbolic links ends, whether something is there or not.
Result<fs::path> endOfLinks(fs::path path) {
  constexpr int kMostLinks = 40;  // as Linux
  const std::string name = path.string();
  std::error_code error;
  for (int i = 0; i < kMostLinks; ++i) {
    if (!fs::is_symlink(path, error)) return path;
    path = folderOf(path) / fs::read_symlink(path, error);
    if (error) return fail(ErrorCode::io, fmt::format("The link {} cannot be read: {}.", name, error.message()));
  }
  return fail(ErrorCode::io, fmt::format("{} cannot be written: it is a link that leads back to itself.", name),
              "Choose another name.");
}

/// Renames without replacing anything. Answers an errno value, 0 for success.
int renameToFreeName(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system without the flag: rename replaces an empty folder at most.
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

/// Puts `fresh` in the place of `old` and the other way round. Answers an errno value, 0 for success.
int swapFolders(const fs::path& fresh, const fs::path& old) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, old.c_str(), RENAME_EXCHANGE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  const fs::path aside = temporaryBeside(old);
  if (::rename(old.c_str(), aside.c_str()) != 0) return errno;
  if (::rename(fresh.c_str(), old.c_str()) != 0) {
    const int number = errno;
    return ::rename(aside.c_str(), old.c_str()) == 0 ? number : errno;
  }
  return ::rename(aside.c_str(), fresh.c_str()) == 0 ? 0 : errno;
}

Result<void> flushTree(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->is_symlink(error)) continue;
    if (entry->is_directory(error)) {
      KVISTA_CHECK(flushFolderToDisk(entry->path()));
    } else {
      KVISTA_ASSIGN(const RegularFile file, openRegularFile(entry->path()));
      KVISTA_CHECK(flushToDisk(file.descriptor, entry->path()));
    }
  }
  if (error) return fail(ErrorCode::io, fmt::format("{} cannot be listed: {}.", folder.string(), error.message()));
  return flushFolderToDisk(folder);
}

/// A temporary path that has got its name, or is given up.
void release(fs::path& temporary) { forgetTemporaryPath(std::exchange(temporary, {})); }

std::string sizeInWords(std::uint64_t bytes) {
  if (bytes < 1'000'000) return fmt::format("{} bytes", bytes);
  if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

Result<void> checkFreeSpace(const fs::path& folder, std::uint64_t bytesNeeded, std::string_view what) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) return systemFailure(folder, "asked for its free space", errno);
  const std::uint64_t available = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (available >= bytesNeeded) return {};
  return fail(ErrorCode::io,
              fmt::format("{} needs {}, but {} has only {} free.", what, sizeInWords(bytesNeeded), folder.string(),
                          sizeInWords(available)),
              "Free some space, or choose a place on another disk.");
}

Result<AtomicFile> AtomicFile::create(const fs::path& target) {
  const std::string_view other = target.has_filename() ? kindOfOtherThanFile(target) : "a folder";
  if (!other.empty()) {
    return fail(ErrorCode::io, fmt::format("{} is {}, but a file shall be written.", target.string(), other),
                "Give the name of a file.");
  }
  KVISTA_ASSIGN(const fs::path end, endOfLinks(target));
  KVISTA_CHECK(checkParent(end));
  AtomicFile file;
  const fs::path temporary = temporaryBeside(end);
  file.descriptor_ = FileDescriptor(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.descriptor_.isOpen()) return systemFailure(target, "created", errno);
  registerTemporaryPath(temporary);
  file.target_ = end;
  file.temporary_ = temporary;
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept { *this = std::move(other); }

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(target_, other.target_);
  std::swap(temporary_, other.temporary_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

AtomicFile::~AtomicFile() {
  std::error_code ignored;  // nobody is left to tell
  if (temporary_.empty()) return;
  fs::remove(temporary_, ignored);
  forgetTemporaryPath(temporary_);
}

Result<void> AtomicFile::append(std::span<const std::byte> bytes) {
  KVISTA_CHECK(writeAll(descriptor_, bytes, target_));
  // The disk begins with large files at once, so that their commit waits for the rest alone. A hint: commit tells what
  // fails.
  constexpr std::size_t kLarge = std::size_t{1} << 20;
  if (bytes.size() >= kLarge) ::sync_file_range(descriptor_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  return {};
}

Result<void> AtomicFile::commit() {
  KVISTA_CHECK(flushToDisk(descriptor_, target_));
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) return systemFailure(target_, "replaced", errno);
  release(temporary_);
  descriptor_ = FileDescriptor();
  return flushFolderToDisk(folderOf(target_));
}

Result<void> AtomicFile::commitAs(fs::path target) {
  target_ = std::move(target);
  return commit();
}

Result<void> checkWritable(const fs::path& target) {
  return AtomicFile::create(target).map([](const AtomicFile&) {});
}

Result<void> writeFileAtomically(const fs::path& file, std::string_view content) {
  KVISTA_ASSIGN(AtomicFile fresh, AtomicFile::create(file));
  KVISTA_CHECK(fresh.append(std::as_bytes(std::span(content))));
  return fresh.commit();
}

Result<AtomicDirectory> AtomicDirectory::create(const fs::path& target, std::uint64_t bytesNeeded, bool overwrite) {
  std::error_code error;
  AtomicDirectory directory;
  // Follows a link at the target, so that what it points to is replaced and not the link; drops a slash at the end.
  directory.target_ = fs::weakly_canonical(target, error);
  if (error) return fail(ErrorCode::io, fmt::format("{} cannot be created: {}.", target.string(), error.message()));
  if (!directory.target_.has_filename()) directory.target_ = directory.target_.parent_path();
  directory.overwrite_ = overwrite;
  KVISTA_CHECK(checkParent(directory.target_));
  const fs::file_type type = fs::symlink_status(directory.target_, error).type();
  if (type != fs::file_type::not_found && type != fs::file_type::directory)
    return fail(ErrorCode::io, fmt::format("{} exists and is not a folder.", target.string()), "Choose another name.");
  if (type == fs::file_type::directory && !overwrite)
    return fail(ErrorCode::io, fmt::format("{} exists already.", target.string()),
                "Choose another name, or allow overwriting (--overwrite).");
  KVISTA_CHECK(checkFreeSpace(folderOf(directory.target_), bytesNeeded, target.string()));
  const fs::path temporary = temporaryBeside(directory.target_);
  if (::mkdir(temporary.c_str(), 0777) != 0) return systemFailure(target, "created", errno);
  registerTemporaryPath(temporary);
  directory.temporary_ = temporary;
  return directory;
}

AtomicDirectory::AtomicDirectory(AtomicDirectory&& other) noexcept { *this = std::move(other); }

AtomicDirectory& AtomicDirectory::operator=(AtomicDirectory&& other) noexcept {
  std::swap(target_, other.target_);
  std::swap(temporary_, other.temporary_);
  std::swap(overwrite_, other.overwrite_);
  return *this;
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;  // nobody is left to tell
  if (temporary_.empty()) return;
  fs::remove_all(temporary_, ignored);
  forgetTemporaryPath(temporary_);
}

Result<void> AtomicDirectory::commit() {
  KVISTA_CHECK(flushTree(temporary_));
  const int number = renameToFreeName(temporary_, target_);
  if ((number == EEXIST || number == ENOTEMPTY) && overwrite_) {
    if (const int failure = swapFolders(temporary_, target_); failure != 0)
      return systemFailure(target_, "replaced", failure);
    KVISTA_CHECK(flushFolderToDisk(folderOf(target_)));
    const fs::path old = temporary_;
    release(temporary_);
    std::error_code error;
    fs::remove_all(old, error);
    if (error)
      return fail(ErrorCode::io,
                  fmt::format("{} was written, but the folder it replaced, now {}, cannot be removed: {}.",
                              target_.string(), old.string(), error.message()));
    return {};
  }
  if (number != 0) return systemFailure(target_, "created", number);
  release(temporary_);
  return flushFolderToDisk(folderOf(target_));
}

}  // namespace kvista
