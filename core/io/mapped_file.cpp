// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/mapped_file.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "core/io/file_descriptor.h"

namespace kvista {
namespace {

bool isGitLfsPointer(std::span<const std::byte> bytes) {
  constexpr std::string_view kStart = "version https://git-lfs";
  return bytes.size() >= kStart.size() && std::memcmp(bytes.data(), kStart.data(), kStart.size()) == 0;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const RegularFile opened, openRegularFile(file));
  const auto size = static_cast<std::size_t>(opened.size);
  if (size == 0) return MappedFile(file, {});
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, opened.descriptor.get(), 0);
  if (address == MAP_FAILED)
    return fail(ErrorCode::io, fmt::format("{} ({} bytes) cannot be mapped into memory: {}.", file.string(), size,
                                           describeSystemError(errno)));
  MappedFile mapped(file, {static_cast<const std::byte*>(address), size});
  if (isGitLfsPointer(mapped.bytes()))
    return fail(ErrorCode::corruptFile,
                fmt::format("{} is a git-lfs pointer of {} bytes, not the file itself.", file.string(), size),
                fmt::format("Fetch the real file: run `git lfs pull` in {}.", file.parent_path().string()));
  return mapped;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace kvista
