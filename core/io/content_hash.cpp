// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "core/io/checkpoint.h"
#include "core/io/mapped_file.h"

namespace kvista {
namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kBlocks = 64;
// Holds the header of any file met so far; hashing the start alike in all formats needs no parser here.
constexpr std::uint64_t kHeaderBytes = std::uint64_t{16} << 20;

using HashState = std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)>;

void update(const HashState& state, std::span<const std::byte> bytes) {
  XXH3_64bits_update(state.get(), bytes.data(), bytes.size());
}

void hashFile(const HashState& state, std::span<const std::byte> bytes) {
  const std::uint64_t size = bytes.size();
  update(state, std::as_bytes(std::span(&size, 1)));
  if (size <= kHeaderBytes + kBlocks * kBlockBytes) return update(state, bytes);
  update(state, bytes.first(kHeaderBytes));
  const std::uint64_t spread = size - kHeaderBytes - kBlockBytes;  // from the first block's start to the last one's
  for (std::uint64_t block = 0; block < kBlocks; ++block)
    update(state, bytes.subspan(kHeaderBytes + spread * block / (kBlocks - 1), kBlockBytes));
}

}  // namespace

Result<std::string> contentHash(const Checkpoint& checkpoint) {
  const HashState state(XXH3_createState(), &XXH3_freeState);
  if (!state || XXH3_64bits_reset(state.get()) != XXH_OK)
    return fail(ErrorCode::outOfMemory, "The checkpoint cannot be hashed: there is not enough memory.");
  const std::string config = checkpoint.config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  update(state, std::as_bytes(std::span(config)));
  for (const std::filesystem::path& path : checkpoint.files) {
    KVISTA_ASSIGN(const MappedFile file, MappedFile::open(path));
    hashFile(state, file.bytes());
  }
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

}  // namespace kvista
