// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/sampled_outputs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>

namespace kvista {

at::Tensor sampledOutputs(const Decoder& decoder, const Statistics& statistics, int layer, KeyPosition keyPosition) {
  const ModelShape& shape = decoder.shape();
  const LayerStatistics& sums = statistics.layers[static_cast<std::size_t>(layer)];
  at::Tensor sample = sums.sample.to(decoder.options().device, at::kFloat);
  if (statistics.ofInput)
    sample = at::matmul(
        sample, at::cat({decoder.keyWeight(layer).to(at::kFloat), decoder.valueWeight(layer).to(at::kFloat)}).t());
  if (keyPosition == KeyPosition::beforeRope) return sample;
  at::Tensor keys = sample.narrow(1, 0, shape.keyWidth());
  if (const at::Tensor bias = decoder.keyBias(layer); bias.defined()) keys = keys + bias.to(at::kFloat);
  const at::Tensor rotatedKeys =
      decoder.rotateKeys(layer, keys, sums.samplePositions.to(keys.device(), at::kLong), statistics.tokenIds.size(1));
  return at::cat({rotatedKeys.flatten(1).to(at::kFloat), sample.narrow(1, shape.keyWidth(), shape.valueWidth())}, 1);
}

}  // namespace kvista
