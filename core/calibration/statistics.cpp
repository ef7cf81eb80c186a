// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "core/calibration/symmetric_pack.h"

namespace kvista {
namespace {

std::uint64_t mix(std::uint64_t value) {  // splitmix64: a well-mixed hash of a counter
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

/// The bytes of one row of int32 [windows, window].
std::string_view windowAt(const at::Tensor& ids, std::int64_t window) {
  const std::size_t bytes = static_cast<std::size_t>(ids.size(1)) * ids.itemsize();
  return {static_cast<const char*>(ids.const_data_ptr()) + static_cast<std::size_t>(window) * bytes, bytes};
}

/// Held-out windows that neither pass has seen, each once; undefined where none is left. What one shard leaves out
/// another may have summed.
at::Tensor unseen(const std::vector<at::Tensor>& heldOut, std::set<std::string_view> seen) {
  std::vector<at::Tensor> windows;
  for (const at::Tensor& ids : heldOut)
    for (std::int64_t i = 0; ids.defined() && i < ids.size(0); ++i)
      if (seen.insert(windowAt(ids, i)).second) windows.push_back(ids.narrow(0, i, 1));
  return windows.empty() ? at::Tensor() : at::cat(windows);
}

}  // namespace

at::Tensor LayerStatistics::secondMoment(at::Device device) const {
  return unpackSymmetric(packedSecondMoment.to(device), sum.size(0));
}

double Statistics::baseLoss() const {
  if (heldOutLoss > 0) return heldOutLoss;
  const std::int64_t predictions = tokens - windows;
  return predictions > 0 ? lossSum / static_cast<double>(predictions) : 0.0;
}

bool sumsInputs(const ModelShape& shape) { return shape.hiddenSize < shape.cacheWidth(); }

std::int64_t sampleRowsPerWindow(const ModelShape& shape, std::int64_t windows, std::int64_t window) {
  // Sampled rows of all layers together take about this much.
  constexpr std::int64_t kSampleBytes = 64'000'000;
  constexpr std::int64_t kMinimumRows = 128;
  constexpr std::int64_t kMaximumRows = 4096;
  constexpr std::int64_t kBytesPerNumber = 2;
  const std::int64_t width = sumsInputs(shape) ? shape.hiddenSize : shape.cacheWidth();
  const std::int64_t rows =
      std::clamp(kSampleBytes / (kBytesPerNumber * width * shape.layers), kMinimumRows, kMaximumRows);
  return std::clamp<std::int64_t>((rows + windows - 1) / windows, 0, std::max<std::int64_t>(0, window - kSinkTokens));
}

std::vector<std::int64_t> samplePositionsOf(std::int64_t window, std::int64_t tokens, std::int64_t rows) {
  std::vector<std::int64_t> positions;
  const std::int64_t choices = tokens - kSinkTokens;
  if (choices <= 0) return positions;
  rows = std::min(rows, choices);
  for (std::int64_t i = 0; i < rows; ++i) {  // one from each of `rows` equal stretches
    const std::int64_t begin = choices * i / rows;
    const std::int64_t length = choices * (i + 1) / rows - begin;
    const auto draw = mix(static_cast<std::uint64_t>(window) * 1'000'003 + static_cast<std::uint64_t>(i));
    positions.push_back(kSinkTokens + begin + static_cast<std::int64_t>(draw % static_cast<std::uint64_t>(length)));
  }
  return positions;
}

std::int64_t mostSinkRows(std::int64_t width) { return std::clamp<std::int64_t>(65536 / width, 16, kSinkRank); }

at::Tensor compactFactor(const at::Tensor& factor) {
  const std::int64_t width = factor.size(1);
  const std::int64_t limit = mostSinkRows(width);
  if (factor.size(0) <= limit) return factor.to(at::kFloat).contiguous();
  const std::int64_t most = std::min(width, limit);
  // Eigenvectors of the smaller of the two Gram matrices; rows sqrt(lambda_i) u_i^T come out of either.
  const at::Tensor wide = factor.to(at::kDouble);
  if (wide.size(0) <= width) {
    const auto [values, vectors] = at::linalg_eigh(at::matmul(wide, wide.t()));
    return at::matmul(vectors.narrow(1, wide.size(0) - most, most).t(), wide).to(at::kFloat).contiguous();
  }
  const auto [values, vectors] = at::linalg_eigh(at::matmul(wide.t(), wide));
  const at::Tensor largest = values.narrow(0, width - most, most).clamp_min(0).sqrt();
  return (vectors.narrow(1, width - most, most) * largest).t().to(at::kFloat).contiguous();
}

Result<Statistics> mergeStatistics(const Statistics& a, const Statistics& b) {
  if (a.modelHash != b.modelHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The statistics are of different models (content {} and {}).", a.modelHash, b.modelHash));
  if (a.ofInput != b.ofInput || a.gradients != b.gradients)
    return fail(ErrorCode::invalidArgument,
                "One of the statistics has gradients and the other has none; they cannot be added.",
                "Calibrate both with, or both without, --no-gradients.");
  if (a.tokensHash == b.tokensHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Both statistics are of the same tokens (hash {}).", a.tokensHash),
                "Give each shard its own windows with --skip-windows.");
  if (a.tokenIds.size(1) != b.tokenIds.size(1))
    return fail(ErrorCode::invalidArgument, fmt::format("The statistics have windows of {} and {} tokens.",
                                                        a.tokenIds.size(1), b.tokenIds.size(1)));
  std::set<std::string_view> seen;
  for (std::int64_t i = 0; i < a.tokenIds.size(0); ++i) seen.insert(windowAt(a.tokenIds, i));
  for (std::int64_t i = 0; i < b.tokenIds.size(0); ++i)
    if (!seen.insert(windowAt(b.tokenIds, i)).second)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("Window {} of the second statistics is in the first as well; it would count double.", i),
                  "Give each shard its own windows with --skip-windows and --windows.");
  Statistics sum = a;
  sum.tokens += b.tokens;
  sum.windows += b.windows;
  sum.lossSum += b.lossSum;
  sum.seconds += b.seconds;
  sum.tokensHash = a.tokensHash + "+" + b.tokensHash;
  sum.recipe.paths.insert(sum.recipe.paths.end(), b.recipe.paths.begin(), b.recipe.paths.end());
  if (a.recipe.weights.empty() || b.recipe.weights.empty())
    sum.recipe.weights.clear();
  else
    sum.recipe.weights.insert(sum.recipe.weights.end(), b.recipe.weights.begin(), b.recipe.weights.end());
  sum.recipe.windows.reset();
  sum.tokenIds = at::cat({a.tokenIds, b.tokenIds});
  sum.heldOutIds = unseen({a.heldOutIds, b.heldOutIds}, seen);
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
    layer.packedSecondMoment = packSymmetric(layer.secondMoment() + other.secondMoment());
    layer.sum = layer.sum + other.sum;
    layer.sinkSum = layer.sinkSum + other.sinkSum;
    layer.sinkFactor = compactFactor(at::cat({layer.sinkFactor, other.sinkFactor}));
    layer.rotatedKeys = layer.rotatedKeys + other.rotatedKeys;
    for (at::Tensor LayerStatistics::*part :
         {&LayerStatistics::rotatedKeySum, &LayerStatistics::rotatedQueries, &LayerStatistics::attentionMaps})
      layer.*part = (layer.*part).defined() && (other.*part).defined() ? layer.*part + other.*part : at::Tensor();
    if (sum.gradients) {
      layer.fisherKeys = layer.fisherKeys + other.fisherKeys;
      layer.fisherValues = layer.fisherValues + other.fisherValues;
      layer.fisherRotatedKeys = layer.fisherRotatedKeys + other.fisherRotatedKeys;
      layer.sinkFisherKeys = layer.sinkFisherKeys + other.sinkFisherKeys;
      layer.sinkFisherValues = layer.sinkFisherValues + other.sinkFisherValues;
      layer.keyFisherScore = meanScore(layer.keyFisherScore, other.keyFisherScore);
      layer.valueFisherScore = meanScore(layer.valueFisherScore, other.valueFisherScore);
    }
    layer.sample = at::cat({layer.sample, other.sample});
    layer.samplePositions = at::cat({layer.samplePositions, other.samplePositions});
  }
  return sum;
}

}  // namespace kvista
