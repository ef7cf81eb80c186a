// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/common_layers.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

namespace kvista {

Result<GroupBasis> commonLayerBasis(const Decoder& decoder, int layer, int together) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t outputs = shape.cacheWidth(), inputs = shape.hiddenSize;
  if (outputs < inputs)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Layers share what makes latents of their {} inputs, which the {} keys and values of this model do not determine.",
                            inputs, outputs),
                "Use the method joint, or a model with as many keys and values as its hidden size.");
  const auto weightOf = [&](int which) {
    return at::cat({decoder.keyWeight(which), decoder.valueWeight(which)}).to(decoder.options().device, at::kDouble);
  };
  const int first = layer / together * together, end = std::min(first + together, shape.layers);
  at::Tensor sum = at::zeros({inputs, inputs}, at::TensorOptions().dtype(at::kDouble).device(decoder.options().device));
  for (int which = first; which < end; ++which) {
    const at::Tensor weight = weightOf(which);
    sum += at::matmul(weight.t(), weight);
  }
  if (!sum.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical, fmt::format("The key and value weights of layers {} to {} are not finite.", first, end - 1),
                "Look for damaged weights with `kvista inspect --weights`.");
  const auto [values, vectors] = at::linalg_eigh((sum + sum.t()) / 2);
  const at::Tensor basis = vectors.flip(1), falling = (values.flip(0).clamp_min(0) / (end - first)).cpu();
  const at::Tensor own = weightOf(layer), nothing = at::zeros({outputs, outputs - inputs}, sum.options());

  GroupBasis result;
  result.up = at::cat({at::matmul(own, basis), nothing}, 1);
  result.down = at::cat({at::matmul(basis.t(), at::linalg_pinv(own, /*rcond=*/1e-12, /*hermitian=*/false)), nothing.t()});
  const double* numbers = falling.const_data_ptr<double>();
  result.spectrum.eigenvalues.assign(numbers, numbers + inputs);
  result.spectrum.eigenvalues.resize(static_cast<std::size_t>(outputs), 0.0);
  return result;
}

}  // namespace kvista
