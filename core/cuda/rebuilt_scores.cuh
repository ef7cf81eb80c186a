// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/tensor_core.cuh"

namespace kvista::rebuilt_columns {

using namespace tensor_core;

/// Scores of one head for 32 tokens, by one warp; this lane's is that of token lane % 4 * 8 + lane / 4.
/// keys: the shared address of row lane % 16, number lane / 16 * 8, of the latents; columns: of row lane / 16 * 8 +
/// lane % 8, number lane / 8 % 2 * 8, of the columns; both of rows of keyStride numbers, in `steps` steps of 16. table:
/// of the first token, [column / 8][segment][4] words.
template <class Number, int kColumnTiles>
__device__ float scoreTokens(std::uint32_t keys, int keyStride, std::uint32_t columns, int steps,
                             const std::uint32_t* table, int segment) {
  static_assert(kColumnTiles % 2 == 0);
  const int lane = threadIdx.x % 32;
  float scores[2][kColumnTiles][4] = {};
#pragma unroll 2
  for (int step = 0; step < steps; ++step, keys += 32, columns += 32) {
    std::uint32_t a[2][4];
    loadMatrices(a[0], keys);
    loadMatrices(a[1], keys + 32 * keyStride);
#pragma unroll
    for (int pair = 0; pair < kColumnTiles / 2; ++pair) {
      std::uint32_t b[4];
      loadMatrices(b, columns + pair * 32 * keyStride);
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        multiplyAdd<Number>(scores[m][2 * pair], a[m], b[0], b[1]);
        multiplyAdd<Number>(scores[m][2 * pair + 1], a[m], b[2], b[3]);
      }
    }
  }
  // Times the table, over the columns: the diagonal of scores [16 tokens, columns] times table [columns, the same
  // tokens], of which each of two products has one half.
  float score[4];
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    float products[2][4] = {};
    const std::uint32_t* entries = table + (m * 16 + lane / 4) * 4 + lane % 4;
#pragma unroll
    for (int n = 0; n < kColumnTiles; n += 2) {
      const std::uint32_t a[4] = {pack<__half>(scores[m][n][0], scores[m][n][1]),
                                  pack<__half>(scores[m][n][2], scores[m][n][3]),
                                  pack<__half>(scores[m][n + 1][0], scores[m][n + 1][1]),
                                  pack<__half>(scores[m][n + 1][2], scores[m][n + 1][3])};
#pragma unroll
      for (int half = 0; half < 2; ++half)
        multiplyAdd<__half>(products[half], a, entries[n * segment * 4 + half * 32],
                            entries[(n + 1) * segment * 4 + half * 32]);
    }
    // Row lane / 4 has its diagonal in column lane / 4.
    score[2 * m] = lane / 4 % 2 == 0 ? products[0][0] : products[0][1];
    score[2 * m + 1] = lane / 4 % 2 == 0 ? products[1][2] : products[1][3];
  }
  // Each lane then keeps one of the four tokens of its row.
  const int own = lane % 4;
  const int owner = lane / 4 * 4 + lane / 8;
#pragma unroll
  for (int i = 0; i < 4; ++i) score[i] = __shfl_sync(0xffffffffU, score[i], owner);
  return own == 0 ? score[0] : own == 1 ? score[1] : own == 2 ? score[2] : score[3];
}

}  // namespace kvista::rebuilt_columns
