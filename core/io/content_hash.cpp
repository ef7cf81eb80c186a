// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/io/checkpoint.h"
#include "core/io/file_descriptor.h"
#include "core/io/file_hash.h"

namespace kvista {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{1} << 20;
// Blocks spread over the weights: few enough bytes that a checkpoint of many shards is known at once.
constexpr std::uint64_t kBlockBytes = std::uint64_t{128} << 10;
constexpr std::uint64_t kBlocks = 64;
// Holds the header of any file met so far; hashing the start alike in all formats needs no parser here.
constexpr std::uint64_t kHeaderBytes = 8 * kReadBytes;

using HashState = std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)>;

void update(const HashState& state, std::span<const std::byte> bytes) {
  XXH3_64bits_update(state.get(), bytes.data(), bytes.size());
}

/// Hashes `size` bytes from `position` on. Reads rather than maps: scattered page faults cost far more.
Result<void> hashRange(const HashState& state, const RegularFile& file, std::uint64_t position, std::uint64_t size,
                       const std::filesystem::path& path) {
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kReadBytes, size)));
  for (std::uint64_t done = 0; done < size; done += kReadBytes) {
    const auto part = std::span(buffer).first(static_cast<std::size_t>(std::min(kReadBytes, size - done)));
    KVISTA_CHECK(readAt(file.descriptor, position + done, part, path));
    update(state, part);
  }
  return {};
}

Result<void> hashFile(const HashState& state, const std::filesystem::path& path) {
  KVISTA_ASSIGN(const RegularFile file, openRegularFile(path));
  update(state, std::as_bytes(std::span(&file.size, 1)));
  if (file.size <= kHeaderBytes + kBlocks * kBlockBytes) return hashRange(state, file, 0, file.size, path);
  KVISTA_CHECK(hashRange(state, file, 0, kHeaderBytes, path));
  // From the first block's start to the last one's.
  const std::uint64_t spread = file.size - kHeaderBytes - kBlockBytes;
  for (std::uint64_t block = 0; block < kBlocks; ++block)
    KVISTA_CHECK(hashRange(state, file, kHeaderBytes + spread * block / (kBlocks - 1), kBlockBytes, path));
  return {};
}

Result<HashState> begunHash() {
  HashState state(XXH3_createState(), &XXH3_freeState);
  if (state && XXH3_64bits_reset(state.get()) == XXH_OK) return state;
  return fail(ErrorCode::outOfMemory, "Files cannot be hashed: there is not enough memory.");
}

std::string digits(const HashState& state) { return fmt::format("{:016x}", XXH3_64bits_digest(state.get())); }

}  // namespace

Result<std::string> fileHash(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const HashState state, begunHash());
  KVISTA_CHECK(hashFile(state, file));
  return digits(state);
}

Result<std::string> contentHash(const Checkpoint& checkpoint) {
  KVISTA_ASSIGN(const HashState state, begunHash());
  const std::string config = checkpoint.config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  update(state, std::as_bytes(std::span(config)));
  for (const std::filesystem::path& path : checkpoint.files) KVISTA_CHECK(hashFile(state, path));
  return digits(state);
}

}  // namespace kvista
