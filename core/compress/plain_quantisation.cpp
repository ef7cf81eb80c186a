// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/plain_quantisation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

namespace kvista {
namespace {

constexpr float kExactLevels = 65535;  // 2^16 - 1: a head that keeps its 16 bits

at::Tensor quantiseAlong(const at::Tensor& values, std::int64_t dimension, const at::Tensor& levels) {
  const at::Tensor lowest = values.amin({dimension}, true);
  const at::Tensor scale = ((values.amax({dimension}, true) - lowest) / levels).clamp_min(1e-5);
  return at::where(levels == kExactLevels, values, at::round((values - lowest) / scale) * scale + lowest)
      .to(values.scalar_type());
}

}  // namespace

PlainQuantisation::PlainQuantisation(const CompressionPlan& plan, const ModelShape& shape, at::Device device)
    : block_(plan.scaleBlock), exactTokens_(plan.exactTokens), kvHeads_(shape.kvHeads) {
  for (int layer = 0; layer < shape.layers; ++layer)
    layers_.push_back({at::full({shape.keyWidth()}, kExactLevels), at::full({shape.kvHeads, 1}, kExactLevels)});
  for (const Group& group : plan.groups) {
    const Slot& slot = group.slots.front();
    const float levels = std::ldexp(1.0F, group.widths.front()) - 1;
    LayerBits& bits = layers_[static_cast<std::size_t>(slot.layer)];
    if (slot.side == Side::key)
      bits.keyLevels.narrow(0, std::int64_t{slot.head} * shape.headDim, shape.headDim).fill_(levels);
    else
      bits.valueLevels[slot.head].fill_(levels);
  }
  for (LayerBits& bits : layers_) bits = {bits.keyLevels.to(device), bits.valueLevels.to(device)};
}

KeyValues PlainQuantisation::quantise(int layer, const KeyValues& raw) const {
  const LayerBits& bits = layers_[static_cast<std::size_t>(layer)];
  const std::int64_t tokens = raw.keys.size(1);
  const std::int64_t exact = std::min<std::int64_t>(exactTokens_, tokens);
  const std::int64_t full = (tokens - exact) / block_ * block_;
  at::Tensor keys = raw.keys;
  if (full > 0) {
    const at::Tensor blocks = raw.keys.narrow(1, exact, full).unflatten(1, {-1, block_});  // [b, blocks, block, kv]
    keys = at::cat({raw.keys.narrow(1, 0, exact), quantiseAlong(blocks, 2, bits.keyLevels).flatten(1, 2),
                    raw.keys.narrow(1, exact + full, tokens - exact - full)},
                   1);
  }
  // [b, n, heads, d].
  const at::Tensor heads = raw.values.narrow(1, exact, tokens - exact).unflatten(2, {kvHeads_, -1});
  return {keys, at::cat({raw.values.narrow(1, 0, exact), quantiseAlong(heads, 3, bits.valueLevels).flatten(2)}, 1)};
}

}  // namespace kvista
