// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/io/atomic_file.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// A tensor that will be written: its shape now, its bytes when its turn comes (so that a large model never lies in
/// memory twice). `produce` answers exactly byteCount(type, count) bytes, valid until the next call of the
/// same; it is called from another thread, while the bytes of the tensor before are written.
struct TensorToWrite {
  std::string name;
  std::vector<std::int64_t> shape;
  DataType type = DataType::f32;
  std::function<Result<std::span<const std::byte>>()> produce;
  bool isCarriedOver = false;  ///< The numbers are those of the checkpoint it is made from.
};

/// Writes one .safetensors file: tensors sorted by alignment then name, so that the same tensors give the same bytes;
/// written under a temporary name, flushed, renamed. Errors: invalidArgument (two tensors of one name, a type the
/// format does not know), io, cancelled, what `produce` answers; none of them leaves anything behind.
Result<void> writeSafetensors(const std::filesystem::path& file, std::vector<TensorToWrite> tensors,
                              const std::map<std::string, std::string>& metadata, const Task& task);

/// Writes the tensors of a checkpoint as transformers names their files, into an existing folder: `model.safetensors`,
/// or shards with `model.safetensors.index.json`. No file has its name before `commit`; without it none is left.
class ShardedSafetensorsWriter {
 public:
  ShardedSafetensorsWriter(std::filesystem::path folder, std::uint64_t shardBytes)
      : folder_(std::move(folder)), shardBytes_(shardBytes) {}

  /// Shards of at most `shardBytes`, behind those of earlier calls. Tensors go into them in the order given; one larger
  /// than a shard gets its own. Errors as of writeSafetensors.
  Result<void> add(std::vector<TensorToWrite> tensors, const Task& task);
  /// Gives the files their names and answers these.
  Result<std::vector<std::string>> commit();

 private:
  struct Shard {
    AtomicFile file;
    std::vector<std::string> tensors;
  };
  std::filesystem::path folder_;
  std::uint64_t shardBytes_;
  std::vector<Shard> shards_;
  std::uint64_t bytes_ = 0;
};

/// All of a checkpoint's tensors at once, by the writer above.
Result<std::vector<std::string>> writeShardedSafetensors(const std::filesystem::path& folder,
                                                         std::vector<TensorToWrite> tensors, std::uint64_t shardBytes,
                                                         const Task& task);

}  // namespace kvista
