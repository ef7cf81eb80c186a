// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/measures/sampled_pairs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>

#include "core/compress/sampled_outputs.h"

namespace kvista {

std::vector<at::Tensor> sampledHeads(const MeasureRequest& request) {
  const ModelShape& shape = request.decoder.shape();
  const bool keys = request.side == Side::key;
  const at::Tensor rows = sampledOutputs(request.decoder, request.statistics, request.layer, KeyPosition::afterRope);
  return rows.narrow(1, keys ? 0 : shape.keyWidth(), keys ? shape.keyWidth() : shape.valueWidth())
      .to(at::kCPU, at::kDouble)
      .chunk(shape.kvHeads, 1);
}

Result<std::vector<at::Tensor>> ownMoments(const MeasureRequest& request, bool centred) {
  const ModelShape& shape = request.decoder.shape();
  std::vector<at::Tensor> moments;
  if (request.side == Side::value) {  // which no rotation touches
    KVISTA_ASSIGN(const at::Tensor all, sideMoments(request, centred));
    const at::Tensor blocks = all.view({shape.kvHeads, shape.valueHeadDim, shape.kvHeads, shape.valueHeadDim});
    for (std::int64_t head = 0; head < shape.kvHeads; ++head) moments.push_back(blocks.select(2, head).select(0, head));
    return moments;
  }
  const LayerStatistics& sums = request.statistics.layers[static_cast<std::size_t>(request.layer)];
  const auto tokens = static_cast<double>(request.statistics.tokens);
  if (centred && !sums.rotatedKeySum.defined())
    return fail(ErrorCode::invalidArgument, "The statistics hold no mean of keys after RoPE.",
                "They are of an earlier version: calibrate again.");
  at::Tensor keys = sums.rotatedKeys.to(at::kDouble) / tokens;
  if (centred) {
    const at::Tensor mean = sums.rotatedKeySum / tokens;
    keys = keys - mean.unsqueeze(2) * mean.unsqueeze(1);
  }
  KVISTA_CHECK(checkMoments(keys));
  return keys.unbind(0);
}

at::Tensor alikeOverPairs(const std::vector<at::Tensor>& rows) {
  const auto heads = static_cast<std::int64_t>(rows.size());
  std::vector<at::Tensor> energies;  // of each token, which its pair with itself would add
  for (const at::Tensor& own : rows) energies.push_back(own.square().sum(1));
  const at::Tensor energy = at::stack(energies);
  const at::Tensor ofThemselves = at::matmul(energy, energy.t());
  at::Tensor products = at::empty({heads, heads}, at::kDouble);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const auto row = static_cast<std::int64_t>(i), column = static_cast<std::int64_t>(j);
      const at::Tensor ofPairs = at::matmul(rows[i].t(), rows[j]).square().sum() - ofThemselves[row][column];
      products[row][column].copy_(ofPairs);
      products[column][row].copy_(ofPairs);
    }
  }
  return cosines(products.clamp_min(0)).clamp_max(1);
}

}  // namespace kvista
