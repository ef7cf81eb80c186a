// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What files of tensors have in common when they are written: sizes first, then one tensor's numbers after the other.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors_writer.h"

namespace kvista {

/// A tensor whose size is known and checked.
struct SizedTensor {
  TensorToWrite tensor;
  std::uint64_t bytes = 0;
};

/// Refuses (invalidArgument) two tensors of one name, shapes that make no sense, sizes beyond 64 bits, and types behind
/// `last` in DataType, which `format` does not know.
Result<std::vector<SizedTensor>> sizeTensors(std::vector<TensorToWrite> tensors, DataType last,
                                             std::string_view format);

std::uint64_t totalBytes(const std::vector<SizedTensor>& tensors);

/// What has been written of how much, over all files of a checkpoint.
class WriteProgress {
 public:
  WriteProgress(const Task& task, std::uint64_t total) : task_(task), total_(total) {}
  Result<void> advance(std::uint64_t bytes) {
    task_.progress("write", done_ += bytes, total_, "bytes");
    return task_.checkStop();
  }

 private:
  const Task& task_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

/// Writes the tensors' numbers in their order, each followed by zeros up to a multiple of `alignment` bytes. Each is
/// made while the one before it is written; what made it is given back afterwards, with what it holds. Errors: io,
/// cancelled, what `produce` answers.
Result<void> writeTensorData(AtomicFile& out, std::vector<SizedTensor> tensors, std::uint64_t alignment,
                             WriteProgress& progress);

}  // namespace kvista
