// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/quantise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>

namespace kvista {

std::vector<double> bitsToChoose(const ModelShape&) { return {8, 4, 3, 2}; }

at::Tensor quantised(const at::Tensor& x, std::int64_t dimension, std::int64_t bits) {
  if (x.numel() == 0) return x;
  const at::Tensor wide = x.to(at::kFloat);
  const auto at16 = [](const at::Tensor& numbers) { return numbers.to(at::kHalf).to(at::kFloat); };
  const double levels = static_cast<double>((std::int64_t{1} << bits) - 1);
  const at::Tensor lowest = at16(wide.amin({dimension}, true));
  // No smaller than the least that 16 bits hold apart from 0.
  const at::Tensor scale = at16(((wide.amax({dimension}, true) - lowest) / levels).clamp_min(6e-8));
  return (at::round((wide - lowest) / scale).clamp(0, levels) * scale + lowest).to(x.scalar_type());
}

at::Tensor replacedWhere(const at::Tensor& where, const at::Tensor& changed, const at::Tensor& x) {
  return at::where(where.unsqueeze(-1), changed, x);
}

at::Tensor isOlder(const LiveLayer& layer, std::int64_t tokens, std::int64_t window) {
  return layer.positions.lt(tokens - window).logical_and(layer.positions.ge(0));
}

}  // namespace kvista
