// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/attention_metric.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <vector>

namespace kvista {
namespace {

/// How a layer turns the numbers of one key head.
struct Rotation {
  std::vector<std::int64_t> partner;  // The other number of each one's rotary pair; itself where it is not rotated.
  at::Tensor weights;                 // float64 [d]: what the norm makes of each, up to a common factor.
};

/// Read off what becomes of unit vectors at two positions, so that every layout of rotary pairs is known alike.
Result<Rotation> rotationOf(const Decoder& decoder, int layer) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t d = shape.headDim;
  const at::Tensor unit = at::eye(d, at::TensorOptions().dtype(at::kFloat).device(decoder.options().device));
  const auto turned = [&](std::int64_t position) {
    const at::Tensor positions = at::full({d}, position, unit.options().dtype(at::kLong));
    return decoder.rotateKeys(layer, unit.repeat({1, shape.kvHeads}), positions, 2).select(1, 0).to(at::kDouble).cpu();
  };
  const at::Tensor still = turned(0), moved = turned(1);
  Rotation rotation;
  rotation.weights = still.diagonal().abs().contiguous();
  const auto isZero = [](const at::Tensor& numbers) { return (numbers == 0).all().item<bool>(); };
  if (!isZero(still - rotation.weights.diag_embed()))
    return fail(
        ErrorCode::invalidArgument,
        fmt::format(
            "The norm of the keys of layer {} mixes the numbers of a head; no metric of queries is known for it.",
            layer),
        "Choose another metric.");
  for (std::int64_t i = 0; i < d; ++i) {
    at::Tensor others = moved[i].abs().clone();
    others[i] = 0;
    rotation.partner.push_back(isZero(others) ? i : others.argmax().item<std::int64_t>());
  }
  return rotation;
}

}  // namespace

Error noQueries(const Decoder& decoder, int layer, std::string_view what, std::string_view needs) {
  if (decoder.description().layers[static_cast<std::size_t>(layer)].attention.latent)
    return {ErrorCode::invalidArgument,
            fmt::format("Layer {} has latent attention: what it keeps is not what its queries meet, so no statistics "
                        "of it hold {}, which {}.",
                        layer, what, needs),
            {},
            "Choose what looks at keys and values alone, such as the metric fisher or identity, or the measure cka."};
  return {ErrorCode::invalidArgument,
          fmt::format("The statistics hold no {}, which {}.", what, needs),
          {},
          "They are of an earlier version: calibrate again."};
}

Result<at::Tensor> queryMetric(const Decoder& decoder, const LayerStatistics& sums, int layer,
                               KeyPosition keyPosition) {
  if (!sums.rotatedQueries.defined())
    return tl::unexpected(
        noQueries(decoder, layer, "second moments of queries", "a metric or spectrum of queries needs"));
  const at::Tensor& queries = sums.rotatedQueries;
  const auto here = [&](const at::Tensor& numbers) { return numbers.to(decoder.options().device); };
  if (keyPosition == KeyPosition::afterRope) return here(queries);
  KVISTA_ASSIGN(const Rotation rotation, rotationOf(decoder, layer));
  at::Tensor mean = at::zeros_like(queries);
  const auto d = static_cast<std::int64_t>(rotation.partner.size());
  for (std::int64_t i = 0; i < d; ++i) {
    const std::int64_t other = rotation.partner[static_cast<std::size_t>(i)];
    const auto element = [](const at::Tensor& matrices, std::int64_t row, std::int64_t column) {
      return matrices.select(1, row).select(1, column);
    };
    if (other != i) {
      element(mean, i, i).copy_((element(queries, i, i) + element(queries, other, other)) / 2);
      continue;
    }
    for (std::int64_t j = 0; j < d; ++j)
      if (rotation.partner[static_cast<std::size_t>(j)] == j) element(mean, i, j).copy_(element(queries, i, j));
  }
  return here(mean * rotation.weights.unsqueeze(0) * rotation.weights.unsqueeze(1));
}

Result<at::Tensor> outputMetric(const Decoder& decoder, int layer) {
  const ModelShape& shape = decoder.shape();
  if (decoder.description().layers[static_cast<std::size_t>(layer)].attention.latent)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The values of layer {} are a latent that keys are made from too; no metric of its output "
                            "projection is known.",
                            layer),
                "Choose another metric.");
  const at::Tensor columns =
      decoder.outputWeight(layer).to(at::kDouble).view({shape.hiddenSize, shape.kvHeads, -1, shape.valueHeadDim});
  const at::Tensor rows = columns.permute({1, 0, 2, 3}).flatten(1, 2);  // [kvHeads, hiddenSize * queries a group, d]
  return at::matmul(rows.transpose(1, 2), rows);
}

at::Tensor relativeTo(const at::Tensor& forms, const at::Tensor& covariances) {
  const double energy = (forms * covariances).sum().item<double>();
  return energy > 0 ? forms / energy : forms;
}

}  // namespace kvista
