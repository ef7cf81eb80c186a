// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/common_layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

namespace kvista {
namespace {

constexpr std::int64_t kWindows = 4, kTokens = 256;

/// [2kv, hiddenSize], float64.
at::Tensor projectionsOf(const Decoder& decoder, int layer) {
  return at::cat({decoder.keyWeight(layer), decoder.valueWeight(layer)}).to(decoder.options().device, at::kDouble);
}

}  // namespace

Result<GroupBasis> commonLayerBasis(const Decoder& decoder, int layer, int together) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t outputs = shape.cacheWidth(), inputs = shape.hiddenSize;
  const int first = layer / together * together, end = std::min(first + together, shape.layers);
  at::Tensor sum = at::zeros({inputs, inputs}, at::TensorOptions().dtype(at::kDouble).device(decoder.options().device));
  for (int which = first; which < end; ++which) {
    const at::Tensor weight = projectionsOf(decoder, which);
    sum += at::matmul(weight.t(), weight);
  }
  if (!sum.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical,
                fmt::format("The key and value weights of layers {} to {} are not finite.", first, end - 1),
                "Look for damaged weights with `kvista inspect --weights`.");
  const auto [values, vectors] = at::linalg_eigh((sum + sum.t()) / 2);
  const at::Tensor basis = vectors.flip(1), falling = (values.flip(0).clamp_min(0) / (end - first)).cpu();
  const at::Tensor own = projectionsOf(decoder, layer);

  GroupBasis result;
  const std::int64_t there = std::min(inputs, outputs);
  const double* numbers = falling.const_data_ptr<double>();
  result.spectrum.eigenvalues.assign(numbers, numbers + there);
  if (outputs < inputs) {
    result.up = at::matmul(own, basis.narrow(1, 0, outputs));
    result.down = basis.narrow(1, 0, outputs).t().contiguous();
    return result;
  }
  const at::Tensor nothing = at::zeros({outputs, outputs - inputs}, sum.options());
  result.up = at::cat({at::matmul(own, basis), nothing}, 1);
  result.down =
      at::cat({at::matmul(basis.t(), at::linalg_pinv(own, /*rcond=*/1e-12, /*hermitian=*/false)), nothing.t()});
  result.spectrum.eigenvalues.resize(static_cast<std::size_t>(outputs), 0.0);
  return result;
}

Result<std::vector<at::Tensor>> errorsOfInputs(const Decoder& decoder, const Statistics& statistics,
                                               const CompressionPlan& plan, const PlanFactors& factors,
                                               const Task& task) {
  const at::Tensor& all = statistics.tokenIds;
  const at::Tensor ids =
      all.narrow(0, 0, std::min(kWindows, all.size(0))).narrow(1, 0, std::min(kTokens, all.size(1))).to(at::kLong);
  const std::int64_t exact = std::min<std::int64_t>(plan.exactTokens, ids.size(1) - 1);
  std::vector<at::Tensor> errors(plan.groups.size());
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    KVISTA_CHECK(task.checkStop());
    const at::Tensor inputs = record.attentionInput.narrow(1, exact, ids.size(1) - exact).flatten(0, 1).to(at::kDouble);
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      if (plan.groups[i].slots.front().layer != record.layer || factors[i].isIdentity()) continue;
      const auto here = [&](const at::Tensor& numbers) { return numbers.to(inputs.device(), at::kDouble); };
      const at::Tensor lost =
          projectionsOf(decoder, record.layer) - at::matmul(here(factors[i].up), here(factors[i].down));
      const at::Tensor rows = at::matmul(inputs, lost.t());
      errors[i] = at::matmul(rows.t(), rows) / static_cast<double>(rows.size(0));
    }
    return {};
  };
  KVISTA_CHECK(decoder.withTokensPerStep(ids.numel()).forward(ids, nullptr, visitor, false, task));  // a record a layer
  return errors;
}

}  // namespace kvista
