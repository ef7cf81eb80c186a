// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/trellis.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/min.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/cuda/trellis_row.h"
#include "core/model/fused_operators.h"

namespace kvista {
namespace {

using trellis::kHalf;
using trellis::kStates;
using trellis::kSubsets;
using trellis::subsetOf;

}  // namespace

void trellisCodes(std::span<const float> numbers, int bits, std::span<std::uint8_t> codes) {
  thread_local std::vector<std::uint32_t> path;
  path.resize(std::max(path.size(), numbers.size()));
  trellis::codeRow(numbers.data(), static_cast<std::int64_t>(numbers.size()), bits, codes.data(), path.data(), 1);
}

void trellisLevels(std::span<const std::uint8_t> codes, int bits, std::span<float> numbers) {
  const float middle = std::ldexp(1.0F, bits) - 0.5F;
  int state = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const int bit = codes[i] & 1;
    numbers[i] = static_cast<float>(4 * (codes[i] >> 1) + subsetOf(state, bit)) - middle;
    state = (2 * state + bit) % kStates;
  }
}

at::Tensor trellisCodes(const at::Tensor& numbers, int bits) {
  const at::Tensor rows = numbers.to(at::kFloat).contiguous();
  return fused::isFusable(rows) ? fused::trellisCodes(rows, bits) : trellisCodesByOperators(rows, bits);
}

at::Tensor trellisCodesByOperators(const at::Tensor& numbers, int bits) {
  const std::int64_t count = numbers.size(-1);
  if (numbers.numel() == 0) return at::empty(numbers.sizes(), numbers.options().dtype(at::kByte));
  const at::Tensor rows = numbers.to(at::kFloat).reshape({-1, count});
  const at::TensorOptions floats = rows.options();
  std::vector<std::int64_t> froms, subsets;  // of the lower, then of the upper of the two states that lead to a state
  for (const int upper : {0, kHalf})
    for (int state = 0; state < kStates; ++state) {
      froms.push_back(state / 2 + upper);
      subsets.push_back(subsetOf(state / 2 + upper, state & 1));
    }
  const at::Tensor from = at::tensor(froms, at::kLong).to(rows.device()),
                   subset = at::tensor(subsets, at::kLong).to(rows.device());
  // [rows, n, subsets].
  const at::Tensor shifted = rows.unsqueeze(-1) + (std::ldexp(1.0, bits) - 0.5) - at::arange(kSubsets, floats);
  const at::Tensor places = at::clamp(at::floor(shifted * 0.25 + 0.5).nan_to_num(0), 0, std::ldexp(1.0, bits - 1) - 1);
  const at::Tensor errors = (shifted - places * 4).square().index_select(2, subset);
  at::Tensor cost = at::full({rows.size(0), kStates}, trellis::kNever, floats);
  cost.select(1, 0).zero_();
  std::vector<at::Tensor> isUpper;
  for (std::int64_t i = 0; i < count; ++i) {
    // Of equals the lower.
    const auto [least, way] = at::min((cost.index_select(1, from) + errors.select(1, i)).view({-1, 2, kStates}), 1);
    cost = least;
    isUpper.push_back(way);
  }
  // Before each direction, and behind the last; [rows, 1].
  std::vector<at::Tensor> states(static_cast<std::size_t>(count) + 1);
  states.back() = cost.argmin(1, true);
  for (std::size_t i = isUpper.size(); i-- > 0;)
    states[i] = states[i + 1].bitwise_right_shift(1) + isUpper[i].gather(1, states[i + 1]) * kHalf;
  const at::Tensor path = at::cat(states, 1), before = path.narrow(1, 0, count),
                   bit = path.narrow(1, 1, count).bitwise_and(1);
  const at::Tensor own =
      bit.bitwise_xor(before.bitwise_right_shift(1).bitwise_and(1)).bitwise_xor(before.bitwise_right_shift(2)) * 2 +
      before.bitwise_and(1);
  return (places.gather(2, own.unsqueeze(-1)).squeeze(-1).to(at::kLong) * 2 + bit).to(at::kByte).view(numbers.sizes());
}

at::Tensor trellisLevels(const at::Tensor& codes, int bits) {
  const at::Tensor whole = codes.to(at::kInt), last = whole.bitwise_and(1);
  const std::int64_t count = codes.size(-1);
  const auto earlier = [&](std::int64_t by) { return at::constant_pad_nd(last, {by, 0}, 0).narrow(-1, 0, count); };
  const at::Tensor subset = last.bitwise_xor(earlier(2)).bitwise_xor(earlier(3)) * 2 + earlier(1);
  return (whole.bitwise_right_shift(1) * 4 + subset).to(at::kFloat) - (std::ldexp(1.0, bits) - 0.5);
}

}  // namespace kvista
