// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

/// Viterbi's search for the codes of one row (core/model/trellis.h), as CPUs and GPUs do it.
namespace kvista::trellis {

// A state is the last bits of the three codes before: u[-1] + 2 u[-2] + 4 u[-3].
inline constexpr int kStates = 8, kHalf = kStates / 2, kSubsets = 4;
inline constexpr float kNever = 3e38F;

/// Of the levels 4 k + subset, the subset that a code's last bit leads to.
constexpr int subsetOf(int state, int bit) { return 2 * (bit ^ (state >> 1 & 1) ^ (state >> 2)) + (state & 1); }

/// Codes of least squared error of `count` numbers in steps; of equals those of lower states. `path`: scratch of
/// `count` numbers that are `stride` apart.
constexpr void codeRow(const float* numbers, std::int64_t count, int bits, std::uint8_t* codes, std::uint32_t* path,
                       std::int64_t stride) {
  const float middle = static_cast<float>(1 << bits) - 0.5F, last = static_cast<float>(1 << (bits - 1)) - 1;
  float cost[kStates] = {0, kNever, kNever, kNever, kNever, kNever, kNever, kNever};
  for (std::int64_t i = 0; i < count; ++i) {
    float error[kSubsets] = {};
    std::uint32_t step = 0;  // of each subset the k of its nearest level, 3 bits; then of each state whether the path
                             // came from the upper of two
    for (int subset = 0; subset < kSubsets; ++subset) {
      const float shifted = numbers[i] + middle - static_cast<float>(subset), wanted = shifted * 0.25F + 0.5F;
      const float bounded = wanted > 0 ? (wanted < last ? wanted : last) : 0;  // not a number: 0
      const int place = static_cast<int>(bounded);
      const float left = shifted - static_cast<float>(4 * place);
      error[subset] = left * left;
      step |= static_cast<std::uint32_t>(place) << 3 * subset;
    }
    float next[kStates] = {};
    for (int state = 0; state < kStates; ++state) {
      const float lower = cost[state / 2] + error[subsetOf(state / 2, state & 1)];
      const float upper = cost[state / 2 + kHalf] + error[subsetOf(state / 2 + kHalf, state & 1)];
      step |= (upper < lower ? 1U : 0U) << (3 * kSubsets + state);
      next[state] = upper < lower ? upper : lower;
    }
    for (int state = 0; state < kStates; ++state) cost[state] = next[state];
    path[i * stride] = step;
  }
  int state = 0;
  for (int other = 1; other < kStates; ++other) state = cost[other] < cost[state] ? other : state;
  for (std::int64_t i = count; i-- > 0;) {
    const std::uint32_t step = path[i * stride];
    const int bit = state & 1, before = state / 2 + static_cast<int>(step >> (3 * kSubsets + state) & 1) * kHalf;
    codes[i] = static_cast<std::uint8_t>(2 * (step >> 3 * subsetOf(before, bit) & 7) + static_cast<std::uint32_t>(bit));
    state = before;
  }
}

}  // namespace kvista::trellis
