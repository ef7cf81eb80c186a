// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/tensor_core.cuh"

namespace kvista {

/// Copies tiles of `rows` rows of `bytes` (a multiple of 16) to shared memory, one after the other, by `threads`
/// threads of which this is number `thread`. A power of two of neighbouring threads shares a row; they take `rows` in
/// whole passes.
class RowCopier {
 public:
  __device__ RowCopier(const void* from, std::int64_t tokenBytes, int strideBytes, int bytes, int rows, int thread,
                       int threads)
      : chunks_(bytes / 16), rows_(rows) {
    shift_ = chunks_ <= 2 ? 1 : chunks_ <= 4 ? 2 : chunks_ <= 8 ? 3 : chunks_ <= 16 ? 4 : 5;
    while (threads >> shift_ > rows) ++shift_;  // narrow rows of a short tile
    first_ = thread & ((1 << shift_) - 1);
    row_ = thread >> shift_;
    step_ = threads >> shift_;
    passes_ = rows >> (31 - __clz(step_));
    target_ = row_ * strideBytes + first_ * 16;
    targetStep_ = step_ * strideBytes;
    source_ = static_cast<const char*>(from) + row_ * tokenBytes + first_ * 16;
    sourceStep_ = step_ * tokenBytes;
  }

  /// The next tile, of which rows past `count` become 0. apartBytes: from one tile to the next; valid: any address that
  /// can be read.
  __device__ void copy(std::uint32_t to, int count, std::int64_t apartBytes, const void* valid) {
    std::uint32_t target = to + target_;
    const char* source = source_;
    source_ += apartBytes;
    if (rows_ <= count && chunks_ <= 32) {
      if (first_ >= chunks_) return;
      int passes = passes_;
#pragma unroll 1
      for (; passes >= 4; passes -= 4, target += 4 * targetStep_, source += 4 * sourceStep_) {
#pragma unroll
        for (int i = 0; i < 4; ++i) tensor_core::copyAsync16(target + i * targetStep_, source + i * sourceStep_);
      }
#pragma unroll 1
      for (; passes > 0; --passes, target += targetStep_, source += sourceStep_)
        tensor_core::copyAsync16(target, source);
      return;
    }
#pragma unroll 1
    for (int row = row_; row < rows_; row += step_, target += targetStep_, source += sourceStep_)
#pragma unroll 1
      for (int chunk = 0; first_ + chunk < chunks_; chunk += 1 << shift_)
        tensor_core::copyAsync16(target + chunk * 16,
                                 row < count ? source + chunk * 16 : static_cast<const char*>(valid), row < count);
  }

 private:
  int chunks_, rows_, shift_, first_, row_, step_, passes_, target_, targetStep_;
  const char* source_;
  std::int64_t sourceStep_;
};

}  // namespace kvista
