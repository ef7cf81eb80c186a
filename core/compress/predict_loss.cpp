// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "core/compress/basis.h"
#include "core/compress/common_layers.h"
#include "core/compress/planner.h"

namespace kvista {

Result<std::optional<double>> predictLoss(const Decoder& decoder, const Statistics& statistics,
                                          const CompressionPlan& plan, const PlanFactors& factors, const Task& task) {
  if (!statistics.gradients || plan.storage == Storage::plainQuantised) return std::nullopt;
  const ModelShape& shape = decoder.shape();
  BasisRequest request;
  request.keyPosition = plan.keyPosition;
  request.withoutSinks = plan.exactTokens >= kSinkTokens;
  std::vector<at::Tensor> ofInputs;
  if (readsInputs(plan, shape)) {
    KVISTA_ASSIGN(ofInputs, errorsOfInputs(decoder, statistics, plan, factors, task));
  }
  double loss = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, &statistics, layer, request));
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      const Group& group = plan.groups[i];
      if (group.slots.front().layer != layer || factors[i].isIdentity()) continue;
      const at::Tensor covariance = moments.covarianceOf(group.slots);
      const auto here = [&](const at::Tensor& numbers) { return numbers.to(covariance.device(), at::kDouble); };
      at::Tensor lost, error;
      if (ofInputs.empty()) {
        lost =
            at::eye(covariance.size(0), covariance.options()) - at::matmul(here(factors[i].up), here(factors[i].down));
        error = at::matmul(at::matmul(lost, covariance), lost.t());
      } else {
        error = ofInputs[i];
      }
      const bool centred = factors[i].offset.defined();
      if (centred) {  // what is lost is lost * y less a constant
        const at::Tensor constant = here(factors[i].offset) + at::matmul(here(factors[i].up), here(factors[i].shift));
        const at::Tensor crossed = at::outer(at::matmul(lost, moments.meanOf(group.slots)), constant);
        error = error - crossed - crossed.t() + at::outer(constant, constant);
      }
      if (plan.storage == Storage::coded) {  // what the coder adds, were the latents Gaussian
        std::vector<double> distortions;
        for (const std::uint8_t width : factors[i].widths)
          distortions.push_back(plan.trellis ? trellisDistortion(width) : gaussianDistortion(width));
        at::Tensor latents =
            at::matmul(at::matmul(here(factors[i].down), covariance), here(factors[i].down).t()).diagonal();
        if (centred) {
          const at::Tensor shift = here(factors[i].shift);
          latents =
              latents + 2 * shift * at::matmul(here(factors[i].down), moments.meanOf(group.slots)) + shift * shift;
        }
        const at::Tensor coder = latents * at::tensor(distortions, covariance.options());
        error = error + at::matmul(here(factors[i].up) * coder, here(factors[i].up).t());
      }
      std::int64_t begin = 0;
      for (const Slot& slot : group.slots) {
        const std::int64_t width = slotWidth(slot, shape);
        const at::Tensor block = error.narrow(0, begin, width).narrow(1, begin, width);
        loss += 0.5 * (moments.metricOf(slot) * block).sum().item<double>();
        begin += width;
      }
    }
  }
  return loss;
}

}  // namespace kvista
