// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/measures/measures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

// One line a measure: X(name) is the function `Measure nameMeasure()` of its file in this folder.
#define KVISTA_MEASURES(X) \
  X(cka)                   \
  X(ckaCentred)            \
  X(ckaSinkFree)           \
  X(ckaRotated)            \
  X(ckaReleased)           \
  X(subspace)              \
  X(subspaceRotated)       \
  X(svcca)                 \
  X(svccaRotated)          \
  X(projection)            \
  X(weightCosine)          \
  X(attention)

namespace kvista {

#define KVISTA_DECLARE(name) Measure name##Measure();
KVISTA_MEASURES(KVISTA_DECLARE)

const std::vector<Measure>& measures() {
#define KVISTA_CALL(name) name##Measure(),
  static const std::vector<Measure> all = {KVISTA_MEASURES(KVISTA_CALL)};
  return all;
}

Result<const Measure*> findMeasure(std::string_view name) {
  const auto found = std::ranges::find(measures(), name, &Measure::name);
  if (found != measures().end()) return &*found;
  std::vector<std::string_view> names;
  for (const Measure& measure : measures()) names.push_back(measure.name);
  return fail(ErrorCode::invalidArgument, fmt::format("There is no measure \"{}\".", name),
              fmt::format("Choose one of: {}.", fmt::join(names, ", ")));
}

at::Tensor cosines(const at::Tensor& products) {
  const at::Tensor sizes = products.diagonal().sqrt();
  const at::Tensor scales = at::outer(sizes, sizes);
  at::Tensor similarity = at::where(scales > 0, products / scales, at::zeros_like(products));
  similarity.fill_diagonal_(1);
  return similarity;
}

OutputMoments outputMoments(const MeasureRequest& request, bool withoutSinks) {
  const LayerStatistics& sums = request.statistics.layers[static_cast<std::size_t>(request.layer)];
  at::Tensor second = sums.secondMoment();
  at::Tensor mean = sums.sum;
  auto tokens = static_cast<double>(request.statistics.tokens);
  if (withoutSinks) {
    const at::Tensor sinks = sums.sinkFactor.to(at::kDouble);
    second = second - at::matmul(sinks.t(), sinks);
    mean = mean - sums.sinkSum;
    tokens -= static_cast<double>(request.statistics.sinkTokens());
  }
  if (request.statistics.ofInput) {
    const at::Tensor weight = at::cat({request.decoder.keyWeight(request.layer).cpu().to(at::kDouble),
                                       request.decoder.valueWeight(request.layer).cpu().to(at::kDouble)});
    second = at::matmul(at::matmul(weight, second), weight.t());
    mean = at::matmul(weight, mean);
  }
  return {second / tokens, mean / tokens};
}

Result<at::Tensor> sideMoments(const MeasureRequest& request, bool centred) {
  const ModelShape& shape = request.decoder.shape();
  const bool keys = request.side == Side::key;
  const std::int64_t begin = keys ? 0 : shape.keyWidth(), width = keys ? shape.keyWidth() : shape.valueWidth();
  const OutputMoments moments = outputMoments(request, false);
  at::Tensor own = moments.second.narrow(0, begin, width).narrow(1, begin, width).contiguous();
  if (centred) {
    const at::Tensor mean = moments.mean.narrow(0, begin, width);
    own = own - at::outer(mean, mean);
  }
  KVISTA_CHECK(checkMoments(own));
  return own;
}

Result<void> checkMoments(const at::Tensor& moments) {
  if (moments.isfinite().all().item<bool>()) return {};
  return fail(ErrorCode::numerical, "The second moments of a layer are not finite.",
              "Look for damaged weights with `kvista inspect --weights`, or calibrate in float32.");
}

}  // namespace kvista
