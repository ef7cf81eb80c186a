// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/file_descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kvista {
namespace {

std::string_view kindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "something else";
}

tl::unexpected<Error> notRegular(const std::filesystem::path& file, std::string_view why) {
  return fail(ErrorCode::io, fmt::format("{} is not a regular file: it is {}.", file.string(), why),
              why.find("link") != why.npos
                  ? "A file must stand there, or a link that leads to one: get it again from where it came from."
                  : "Give the name of a file.");
}

tl::unexpected<Error> cannotOpen(const std::filesystem::path& file, int number) {
  struct stat link {};
  const bool isLink = ::lstat(file.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
  if (number == ELOOP) return notRegular(file, "a link that leads back to itself");
  if (isLink && number == ENOENT) {
    std::error_code ignored;
    const auto target = std::filesystem::read_symlink(file, ignored);
    return notRegular(file, fmt::format("a broken link to {}", target.string()));
  }
  if (number == ENOENT || number == ENOTDIR)
    return fail(ErrorCode::io, fmt::format("{} does not exist.", file.string()), "Check the path.");
  return fail(ErrorCode::io, fmt::format("{} cannot be opened: {}.", file.string(), describeSystemError(number)),
              "Check the file's permissions.");
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (isOpen()) ::close(value_);
}

std::string describeSystemError(int number) { return std::generic_category().message(number); }

Result<RegularFile> openRegularFile(const std::filesystem::path& file) {
  // The path's C string would end at a NUL and name another file.
  if (file.native().find('\0') != std::string::npos)
    return fail(ErrorCode::invalidArgument, "A file name contains the character NUL.");
  struct stat status {};
  // Asked before opening, since opening alone has effects on some devices; asked again after, since it may have
  // changed.
  if (::stat(file.c_str(), &status) != 0) return cannotOpen(file, errno);
  if (!S_ISREG(status.st_mode)) return notRegular(file, kindOf(status.st_mode));
  FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!descriptor.isOpen()) return cannotOpen(file, errno);
  if (::fstat(descriptor.get(), &status) != 0) return cannotOpen(file, errno);
  if (!S_ISREG(status.st_mode)) return notRegular(file, kindOf(status.st_mode));
  return RegularFile{std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
}

Result<std::string> readRegularFile(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const RegularFile opened, openRegularFile(file));
  std::string content(opened.size, '\0');
  KVISTA_CHECK(readAt(opened.descriptor, 0, std::as_writable_bytes(std::span(content)), file));
  return content;
}

std::string_view kindOfOtherThanFile(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return {};
  return kindOf(status.st_mode);
}

Result<void> readAt(const FileDescriptor& descriptor, std::uint64_t position, std::span<std::byte> bytes,
                    const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(descriptor.get(), bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail(ErrorCode::io, fmt::format("{} cannot be read: {}.", file.string(), describeSystemError(errno)));
    if (got == 0)
      return fail(ErrorCode::io, fmt::format("{} ends at byte {} while it is being read.", file.string(), position));
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    position += static_cast<std::uint64_t>(got);
  }
  return {};
}

namespace {

/// How far a file came on a disk that is full, or beyond what a file may be here.
tl::unexpected<Error> cannotWrite(const FileDescriptor& descriptor, const std::filesystem::path& file, int number) {
  const std::string reason = fmt::format("{} cannot be written: {}", file.string(), describeSystemError(number));
  struct stat status {};
  if ((number != ENOSPC && number != EDQUOT && number != EFBIG) || ::fstat(descriptor.get(), &status) != 0)
    return fail(ErrorCode::io, reason + ".");
  const auto written = static_cast<double>(status.st_size) / 1e6;
  if (number == EFBIG)
    return fail(ErrorCode::io, fmt::format("{} after {:.1f} MB, the most that a file may have here.", reason, written),
                "Raise the limit (ulimit -f), or choose a place on another file system.");
  struct statvfs disk {};
  if (::fstatvfs(descriptor.get(), &disk) != 0) return fail(ErrorCode::io, reason + ".");
  return fail(ErrorCode::io,
              fmt::format("{}; {:.1f} MB of it were written, {:.1f} MB are free.", reason, written,
                          static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) / 1e6),
              "Free some space, or choose a place on another disk.");
}

}  // namespace

Result<void> writeAll(const FileDescriptor& descriptor, std::span<const std::byte> bytes,
                      const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannotWrite(descriptor, file, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> flushToDisk(const FileDescriptor& descriptor, const std::filesystem::path& file) {
  if (::fsync(descriptor.get()) == 0) return {};
  return fail(ErrorCode::io,
              fmt::format("{} cannot be flushed to disk: {}.", file.string(), describeSystemError(errno)));
}

Result<void> flushFolderToDisk(const std::filesystem::path& folder) {
  const FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.isOpen()) return cannotOpen(folder, errno);
  // Some network file systems do not know fsync of a folder and say EINVAL; there is nothing to flush there.
  if (::fsync(descriptor.get()) == 0 || errno == EINVAL) return {};
  return fail(ErrorCode::io,
              fmt::format("{} cannot be flushed to disk: {}.", folder.string(), describeSystemError(errno)));
}

}  // namespace kvista
