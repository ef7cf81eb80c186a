// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

namespace kvista {

double Statistics::baseLoss() const {
  if (heldOutLoss > 0) return heldOutLoss;
  const std::int64_t predictions = tokens - windows;
  return predictions > 0 ? lossSum / static_cast<double>(predictions) : 0.0;
}

at::Tensor compactFactor(const at::Tensor& factor) {
  if (factor.size(0) <= kSinkRank) return factor.to(at::kFloat).contiguous();
  // Eigenvectors of the smaller of the two Gram matrices; rows sqrt(lambda_i) u_i^T come out of either.
  const at::Tensor wide = factor.to(at::kDouble);
  at::Tensor rows;
  if (wide.size(0) <= wide.size(1)) {
    const auto [values, vectors] = at::linalg_eigh(at::matmul(wide, wide.t()));
    rows = at::matmul(vectors.narrow(1, wide.size(0) - kSinkRank, kSinkRank).t(), wide);
  } else {
    const auto [values, vectors] = at::linalg_eigh(at::matmul(wide.t(), wide));
    const std::int64_t rank = std::min<std::int64_t>(kSinkRank, wide.size(1));
    rows = at::matmul(vectors.narrow(1, wide.size(1) - rank, rank).t(), at::matmul(wide.t(), wide));
    rows = rows / values.narrow(0, wide.size(1) - rank, rank).clamp_min(1e-300).sqrt().unsqueeze(1);
  }
  return rows.to(at::kFloat).contiguous();
}

at::Tensor factorsOfBlocks(const at::Tensor& blocks) {
  const std::int64_t width = blocks.size(2);
  const std::int64_t rank = std::min<std::int64_t>(kSinkRank, width);
  const auto [values, vectors] = at::linalg_eigh(blocks);
  const at::Tensor largest = values.narrow(1, width - rank, rank).clamp_min(0).sqrt();
  return (vectors.narrow(2, width - rank, rank) * largest.unsqueeze(1)).transpose(1, 2).to(at::kFloat).contiguous();
}

at::Tensor blocksOfFactors(const at::Tensor& factors) {
  const at::Tensor wide = factors.to(at::kDouble);
  return at::matmul(wide.transpose(1, 2), wide);
}

Result<Statistics> mergeStatistics(const Statistics& a, const Statistics& b) {
  if (a.modelHash != b.modelHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The statistics are of different models (content {} and {}).", a.modelHash, b.modelHash));
  if (a.ofInput != b.ofInput || a.gradients != b.gradients)
    return fail(ErrorCode::invalidArgument, "One of the statistics has gradients and the other has none; they cannot be added.",
                "Calibrate both with, or both without, --no-gradients.");
  if (a.tokensHash == b.tokensHash)
    return fail(ErrorCode::invalidArgument, fmt::format("Both statistics are of the same tokens (hash {}).", a.tokensHash),
                "Give each shard its own windows with --skip-windows.");
  if (a.tokenIds.size(1) != b.tokenIds.size(1))
    return fail(ErrorCode::invalidArgument, fmt::format("The statistics have windows of {} and {} tokens.", a.tokenIds.size(1),
                                                        b.tokenIds.size(1)));
  Statistics sum = a;
  sum.tokens += b.tokens;
  sum.windows += b.windows;
  sum.lossSum += b.lossSum;
  sum.seconds += b.seconds;
  sum.tokensHash = a.tokensHash + "+" + b.tokensHash;
  sum.recipe.paths.insert(sum.recipe.paths.end(), b.recipe.paths.begin(), b.recipe.paths.end());
  sum.recipe.windows.reset();
  sum.tokenIds = at::cat({a.tokenIds, b.tokenIds});
  if (a.response.empty()) {
    sum.response = b.response;
    sum.heldOutLoss = b.heldOutLoss;
  }
  const double weightA = static_cast<double>(a.windows) / static_cast<double>(sum.windows);
  // Scores are means of root mean squares over windows: squares add.
  const auto meanScore = [&](double x, double y) { return std::sqrt(weightA * x * x + (1 - weightA) * y * y); };
  for (std::size_t i = 0; i < sum.layers.size(); ++i) {
    LayerStatistics& layer = sum.layers[i];
    const LayerStatistics& other = b.layers[i];
    layer.secondMoment = layer.secondMoment + other.secondMoment;
    layer.sum = layer.sum + other.sum;
    layer.sinkSum = layer.sinkSum + other.sinkSum;
    layer.sinkFactor = compactFactor(at::cat({layer.sinkFactor, other.sinkFactor}));
    layer.rotatedKeys = layer.rotatedKeys + other.rotatedKeys;
    if (sum.gradients) {
      layer.fisherKeys = layer.fisherKeys + other.fisherKeys;
      layer.fisherValues = layer.fisherValues + other.fisherValues;
      layer.fisherRotatedKeys = layer.fisherRotatedKeys + other.fisherRotatedKeys;
      const auto merged = [](const at::Tensor& x, const at::Tensor& y) {
        return factorsOfBlocks(blocksOfFactors(x) + blocksOfFactors(y));
      };
      layer.sinkFisherKeys = merged(layer.sinkFisherKeys, other.sinkFisherKeys);
      layer.sinkFisherValues = merged(layer.sinkFisherValues, other.sinkFisherValues);
      layer.keyFisherScore = meanScore(layer.keyFisherScore, other.keyFisherScore);
      layer.valueFisherScore = meanScore(layer.valueFisherScore, other.valueFisherScore);
    }
    layer.sample = at::cat({layer.sample, other.sample});
    layer.samplePositions = at::cat({layer.samplePositions, other.samplePositions});
  }
  return sum;
}

}  // namespace kvista
