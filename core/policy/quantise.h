// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/model/live_cache.h"
#include "core/plan/shape.h"

namespace kvista {

/// Bytes of a scale and a zero at 16 bits each.
inline constexpr std::int64_t kScaleBytes = 4;

/// Bytes of `numbers` codes of `bits` bits.
constexpr std::int64_t codeBytes(std::int64_t numbers, std::int64_t bits) { return (numbers * bits + 7) / 8; }

/// Bits of a number that a budget chooses among (Policy::choices).
std::vector<double> bitsToChoose(const ModelShape& shape);

/// Sides that a head has: keys, values or both (see Policy::makeStorage).
constexpr std::int64_t sidesOf(const ModelShape& shape) {
  return (shape.headDim > 0 ? 1 : 0) + (shape.valueHeadDim > 0 ? 1 : 0);
}

/// `x` as codes of `bits` bits with one scale and zero along `dimension` would give it back: lowest + scale * code,
/// scale = (highest - lowest) / (2^bits - 1), both held at 16 bits (methods.md section 10). Of nothing, nothing.
at::Tensor quantised(const at::Tensor& x, std::int64_t dimension, std::int64_t bits);

/// `changed` where `where` (bool [b, heads, s]) holds, else what was there.
at::Tensor replacedWhere(const at::Tensor& where, const at::Tensor& changed, const at::Tensor& x);

/// The tokens that stand before the last `window` read ones, bool as positions.
at::Tensor isOlder(const LiveLayer& layer, std::int64_t tokens, std::int64_t window);

}  // namespace kvista
