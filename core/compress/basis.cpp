// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/basis.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/block_diag.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "core/compress/attention_metric.h"
#include "core/compress/common_heads.h"
#include "core/compress/common_layers.h"
#include "core/compress/quantiser_fit.h"
#include "core/compress/sampled_outputs.h"
#include "core/model/parallel.h"

namespace kvista {
namespace {

/// Eigenvalues of a metric below this share of its largest are raised to it (methods.md section 2).
constexpr double kMetricFloor = 1e-9;
/// Ridge of regressions, in parts of the largest eigenvalue: sums in float32 say nothing of what lies below.
constexpr double kRegressionNoise = 1e-7;

struct SquareRoots {
  at::Tensor root, inverse;  // M^1/2, M^-1/2
};

/// `metrics`: [heads, d, d]. On the CPU's cores, a head each: cuSOLVER takes them one after the other, ten times as
/// long.
SquareRoots squareRootsOf(const at::Tensor& metrics) {
  const at::Tensor here = metrics.cpu();
  at::Tensor roots = at::empty_like(here), inverses = at::empty_like(here);
  parallelFor(here.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const auto [values, vectors] = at::linalg_eigh(here[head]);
      const at::Tensor largest = values.narrow(0, values.size(0) - 1, 1);
      // A head that the loss does not feel at all has no preferred directions: any positive multiple of the identity
      // serves.
      const at::Tensor floored = at::where(largest > 0, values.maximum(largest * kMetricFloor), at::ones_like(values));
      const at::Tensor root = floored.sqrt(), transposed = vectors.t();
      roots[head].copy_(at::matmul(vectors * root, transposed));
      inverses[head].copy_(at::matmul(vectors / root, transposed));
    }
  });
  return {roots.to(metrics.device()), inverses.to(metrics.device())};
}

/// The diagonal blocks of `heads` heads, `width` wide each, from row `begin` on: [heads, width, width].
at::Tensor headBlocks(const at::Tensor& matrix, std::int64_t begin, std::int64_t heads, std::int64_t width) {
  std::vector<at::Tensor> blocks;
  for (std::int64_t head = 0; head < heads; ++head)
    blocks.push_back(matrix.narrow(0, begin + head * width, width).narrow(1, begin + head * width, width));
  return at::stack(blocks);
}

/// [heads, d, d] with a part of each head's mean weight added to all its directions.
at::Tensor damped(const at::Tensor& metrics, double damping) {
  const at::Tensor mean = metrics.diagonal(0, -2, -1).mean(-1);
  return metrics + damping * mean.unsqueeze(-1).unsqueeze(-1) * at::eye(metrics.size(-1), metrics.options());
}

/// Columns of [keys | values] that the slots cover, in the slots' order.
at::Tensor columnsOf(const std::vector<Slot>& slots, const ModelShape& shape) {
  std::vector<std::int64_t> columns;
  for (const Slot& slot : slots) {
    const int width = slotWidth(slot, shape);
    const std::int64_t begin = (slot.side == Side::key ? 0 : shape.keyWidth()) + std::int64_t{slot.head} * width;
    for (int i = 0; i < width; ++i) columns.push_back(begin + i);
  }
  return at::tensor(columns, at::kLong);
}

}  // namespace

BasisRequest basisRequestOf(const CompressionPlan& plan, const Method& method) {
  BasisRequest request;
  request.metric = plan.metric;
  request.damping = plan.damping;
  request.keyPosition = plan.keyPosition;
  request.weightsOnly = method.weightsOnly || plan.unwhitened;
  request.layersTogether = method.layersTogether;
  request.sharesHeads = method.sharesHeads;
  request.centred = plan.centred;
  request.withoutSinks = plan.sinkFree || plan.exactTokens >= kSinkTokens;
  if (plan.storage == Storage::coded) request.codedWidths = method.widths;
  request.trellis = plan.trellis;
  return request;
}

Result<LayerMoments> LayerMoments::of(const Decoder& decoder, const Statistics* statistics, int layer,
                                      const BasisRequest& request) {
  LayerMoments moments;
  moments.shape_ = decoder.shape();
  moments.request_ = request;
  const DecoderDescription& description = decoder.description();
  if (const auto rope = description.layers[static_cast<std::size_t>(layer)].attention.rope) {
    moments.rotaryDim_ = description.ropes[static_cast<std::size_t>(*rope)].rotaryDim;
    moments.isInterleaved_ = description.ropes[static_cast<std::size_t>(*rope)].isInterleaved;
  }
  const auto here = [device = decoder.options().device](const at::Tensor& numbers) {
    return numbers.to(device, at::kDouble);
  };
  const bool needsWeights = request.weightsOnly || statistics->ofInput;
  const at::Tensor weight =
      needsWeights ? at::cat({here(decoder.keyWeight(layer)), here(decoder.valueWeight(layer))}) : at::Tensor();
  if (request.weightsOnly) {
    moments.covariance_ = at::matmul(weight, weight.t());
    if (request.layersTogether > 1) {
      KVISTA_ASSIGN(moments.common_, commonLayerBasis(decoder, layer, request.layersTogether));
    }
    KVISTA_CHECK(moments.weighByAttention(decoder, nullptr, layer));
    moments.damp();
    return moments;
  }

  const LayerStatistics& sums = statistics->layers[static_cast<std::size_t>(layer)];
  if (request.metric == Metric::fisher && !sums.fisherKeys.defined())
    return fail(ErrorCode::invalidArgument, "The statistics hold no gradients, which the Fisher metric needs.",
                "Calibrate without --no-gradients, or choose a method with the identity metric.");
  at::Tensor second = sums.secondMoment(decoder.options().device);
  at::Tensor sum = here(sums.sum);
  double tokens = static_cast<double>(statistics->tokens);
  if (request.withoutSinks) {
    sum = sum - here(sums.sinkSum);
    const at::Tensor sinks = here(sums.sinkFactor);
    second = second - at::matmul(sinks.t(), sinks);
    tokens -= static_cast<double>(statistics->sinkTokens());
  }
  moments.covariance_ = (statistics->ofInput ? at::matmul(at::matmul(weight, second), weight.t()) : second) / tokens;
  moments.mean_ = (statistics->ofInput ? at::matmul(weight, sum) : sum) / tokens;
  if (request.centred) moments.covariance_ -= at::outer(moments.mean_, moments.mean_);
  if (request.metric == Metric::fisher) {
    const bool rotated = request.keyPosition == KeyPosition::afterRope;
    at::Tensor keys = rotated ? sums.fisherRotatedKeys : sums.fisherKeys;
    at::Tensor values = sums.fisherValues;
    if (!request.withoutSinks) {  // errors at the sinks are felt most where they are not kept exact
      if (!rotated) keys = keys + sums.sinkFisherKeys;
      values = values + sums.sinkFisherValues;
    }
    moments.metricKeys_ = here(keys) / tokens;
    moments.metricValues_ = here(values) / tokens;
  }
  if (request.keyPosition == KeyPosition::afterRope)
    KVISTA_CHECK(moments.takeRotatedKeys(sums, static_cast<double>(statistics->tokens)));
  if (request.metric == Metric::eigen) {
    KVISTA_ASSIGN(const at::Tensor queries, queryMetric(decoder, sums, layer, request.keyPosition));
    moments.queries_ = here(queries) / static_cast<double>(statistics->tokens);
  }
  KVISTA_CHECK(moments.weighByAttention(decoder, &sums, layer));
  moments.damp();
  if (!request.codedWidths.empty())
    moments.sample_ = sampledOutputs(decoder, *statistics, layer, request.keyPosition).to(decoder.options().device);
  return moments;
}

/// Of all tokens: no sums of rotated keys leave the sinks out.
Result<void> LayerMoments::takeRotatedKeys(const LayerStatistics& sums, double tokens) {
  const auto here = [this](const at::Tensor& numbers) { return numbers.to(covariance_.device(), at::kDouble); };
  rotatedCovariance_ = here(sums.rotatedKeys) / tokens;
  if (!sums.rotatedKeySum.defined()) {
    if (!request_.centred) return {};
    return fail(ErrorCode::invalidArgument,
                "The statistics hold no sums of rotated keys, which bases around the mean need of keys after RoPE.",
                "They are of an earlier version: calibrate again.");
  }
  rotatedMean_ = here(sums.rotatedKeySum) / tokens;
  if (request_.centred) rotatedCovariance_ = rotatedCovariance_ - rotatedMean_.unsqueeze(2) * rotatedMean_.unsqueeze(1);
  return {};
}

Result<void> LayerMoments::weighByAttention(const Decoder& decoder, const LayerStatistics* sums, int layer) {
  const bool weighsKeys = request_.metric == Metric::query || request_.metric == Metric::attention;
  const bool weighsValues = request_.metric == Metric::output || request_.metric == Metric::attention;
  if (!weighsKeys && !weighsValues) return {};
  if (weighsKeys && sums == nullptr)
    return fail(ErrorCode::invalidArgument, "The metric of queries needs statistics of the model.",
                "Choose another metric, or a method that reads text.");
  const auto alike = [](const at::Tensor& blocks) -> Result<at::Tensor> {
    return at::eye(blocks.size(-1), blocks.options()).expand_as(blocks);
  };
  at::Tensor keys = rotatedCovariance_;
  if (!keys.defined()) keys = headBlocks(covariance_, 0, shape_.kvHeads, shape_.headDim);
  const at::Tensor values = headBlocks(covariance_, shape_.keyWidth(), shape_.kvHeads, shape_.valueHeadDim);
  KVISTA_ASSIGN(const at::Tensor ofKeys,
                weighsKeys ? queryMetric(decoder, *sums, layer, request_.keyPosition) : alike(keys));
  KVISTA_ASSIGN(const at::Tensor ofValues, weighsValues ? outputMetric(decoder, layer) : alike(values));
  metricKeys_ = relativeTo(ofKeys, keys);
  metricValues_ = relativeTo(ofValues, values);
  return {};
}

void LayerMoments::damp() {
  if (request_.damping == 0 || !metricKeys_.defined()) return;
  for (at::Tensor* blocks : {&metricKeys_, &metricValues_}) *blocks = damped(*blocks, request_.damping);
}

at::Tensor LayerMoments::covarianceOf(const std::vector<Slot>& slots) const {
  if (rotatedCovariance_.defined() && slots.front().side == Side::key) return rotatedCovariance_[slots.front().head];
  return ofSlots(covariance_, slots);
}

at::Tensor LayerMoments::ofSlots(const at::Tensor& matrix, const std::vector<Slot>& slots) const {
  const at::Tensor columns = columnsOf(slots, shape_).to(matrix.device());
  const at::Tensor rows = matrix.index_select(0, columns);
  return rows.dim() == 2 ? rows.index_select(1, columns) : rows;
}

at::Tensor LayerMoments::sampleOf(const at::Tensor& sample, const std::vector<Slot>& slots) const {
  return sample.defined() ? sample.index_select(1, columnsOf(slots, shape_).to(sample.device())) : at::Tensor();
}

at::Tensor LayerMoments::meanOf(const std::vector<Slot>& slots) const {
  if (rotatedMean_.defined() && slots.front().side == Side::key) return rotatedMean_[slots.front().head];
  return ofSlots(mean_, slots);
}

at::Tensor LayerMoments::metricOf(const Slot& slot) const {
  const at::Tensor& blocks = slot.side == Side::key ? metricKeys_ : metricValues_;
  return blocks.defined() ? blocks[slot.head] : at::Tensor();
}

at::Tensor LayerMoments::Weighted::of(const at::Tensor& covariance) const {
  return root.defined() ? at::matmul(at::matmul(root, covariance), root) : covariance;
}

LayerMoments::Weighted LayerMoments::metric(const std::vector<Slot>& slots) const {
  Weighted metric;
  if (!metricKeys_.defined()) return metric;
  std::vector<at::Tensor> roots, inverses;
  for (auto first = slots.begin(); first != slots.end();) {  // heads of one side are as wide as each other
    const auto end = std::find_if(first, slots.end(), [&](const Slot& slot) { return slot.side != first->side; });
    std::vector<at::Tensor> blocks;
    for (; first != end; ++first) blocks.push_back(metricOf(*first));
    const SquareRoots side = squareRootsOf(at::stack(blocks));
    std::ranges::copy(side.root.unbind(), std::back_inserter(roots));
    std::ranges::copy(side.inverse.unbind(), std::back_inserter(inverses));
  }
  metric.root = at::block_diag(roots);
  metric.inverse = at::block_diag(inverses);
  return metric;
}

Result<LayerMoments::Weighted> LayerMoments::weighted(const std::vector<Slot>& slots) const {
  Weighted result = metric(slots);
  at::Tensor weighted = result.of(covarianceOf(slots));
  if (queries_.defined() && slots.front().side == Side::key) weighted = weighted + queries_[slots.front().head];
  if (!weighted.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical,
                fmt::format("The second moments of layer {} are not finite.", slots.front().layer),
                "Look for damaged weights with `kvista inspect --weights`, or calibrate in float32.");
  result.matrix = (weighted + weighted.t()) / 2;
  return result;
}

Result<std::vector<double>> LayerMoments::eigenvalues(const std::vector<Slot>& slots) const {
  if (common_) return decompose(slots).map([](GroupBasis basis) { return std::move(basis.spectrum.eigenvalues); });
  KVISTA_ASSIGN(const Weighted metric, weighted(slots));
  const at::Tensor falling = at::linalg_eigvalsh(metric.matrix).flip(0).clamp_min(0).cpu();
  const double* first = falling.const_data_ptr<double>();
  return std::vector<double>(first, first + falling.size(0));
}

Result<Spectrum> LayerMoments::spectrum(const std::vector<Slot>& slots) const {
  if (sample_.defined() || (request_.sharesHeads && slots.size() > 1))
    return decompose(slots).map([](GroupBasis basis) { return std::move(basis.spectrum); });
  Spectrum spectrum;
  KVISTA_ASSIGN(spectrum.eigenvalues, eigenvalues(slots));
  return spectrum;
}

Result<GroupBasis> LayerMoments::decompose(const std::vector<Slot>& slots) const {
  if (common_) {
    const at::Tensor columns = columnsOf(slots, shape_);
    if (columns.equal(at::arange(shape_.cacheWidth(), columns.options()))) return *common_;
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("A group of layer {} has not all of its heads in order, whose latents are shared between layers.",
                    slots.front().layer),
        "Use the grouping joint.");
  }
  if (request_.sharesHeads && slots.front().side == Side::key && slots.size() > 1) {
    std::vector<at::Tensor> metrics;
    for (const Slot& slot : slots)
      if (metricKeys_.defined()) metrics.push_back(metricOf(slot));
    return commonHeadBasis(covarianceOf(slots), metrics.empty() ? at::Tensor() : at::stack(metrics),
                           static_cast<std::int64_t>(slots.size()), {rotaryDim_, isInterleaved_});
  }
  KVISTA_ASSIGN(const Weighted metric, weighted(slots));
  const at::Tensor mean = request_.centred ? meanOf(slots) : at::Tensor();
  return basisOf(metric, {}, {sampleOf(sample_, slots), mean, mean});
}

Result<GroupBasis> LayerMoments::decomposeRest(const std::vector<Slot>& slots, const at::Tensor& rest) const {
  Weighted metric = this->metric(slots);
  const at::Tensor wide = rest.to(at::kDouble);
  const at::Tensor weighted = metric.of(at::matmul(wide.t(), wide) / static_cast<double>(wide.size(0)));
  if (!weighted.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical,
                fmt::format("What the layer before does not predict of layer {} is not finite.", slots.front().layer),
                "Look for damaged weights with `kvista inspect --weights`, or plan without a chain.");
  metric.matrix = (weighted + weighted.t()) / 2;
  return basisOf(metric, {}, {rest, {}, {}});
}

Result<GroupBasis> LayerMoments::compensate(const std::vector<Slot>& slots, const PrefixMoments& prefix) const {
  Weighted metric = this->metric(slots);
  at::Tensor compressed = prefix.compressed, error = prefix.crossed - prefix.compressed;
  if (request_.centred) {
    compressed = compressed - at::outer(prefix.compressedMean, prefix.compressedMean);
    error = error - at::outer(prefix.originalMean - prefix.compressedMean, prefix.compressedMean);
  }
  const at::Tensor second = metric.of(ofSlots(compressed, slots));
  const at::Tensor shift = metric.of(ofSlots(error, slots));
  if (!second.isfinite().all().item<bool>() || !shift.isfinite().all().item<bool>())
    return fail(
        ErrorCode::numerical,
        fmt::format("The second moments of layer {} behind compressed layers are not finite.", slots.front().layer),
        "Keep more of the layers before it, or plan without compensation.");
  const auto [values, vectors] = at::linalg_eigh((second + second.t()) / 2);
  const at::Tensor energy = values.clamp_min(0) + values.narrow(0, values.size(0) - 1, 1) * kRegressionNoise;
  const at::Tensor inverse = at::where(energy > 0, 1 / energy, at::zeros_like(energy));
  const at::Tensor regression =
      at::eye(values.size(0), values.options()) + at::matmul(at::matmul(shift, vectors * inverse), vectors.t());
  const at::Tensor explained = at::matmul(at::matmul(regression, second), regression.t());
  metric.matrix = (explained + explained.t()) / 2;
  const auto own = [&](const at::Tensor& mean) { return request_.centred ? ofSlots(mean, slots) : at::Tensor(); };
  return basisOf(metric, regression,
                 {sampleOf(prefix.sample, slots), own(prefix.compressedMean), own(prefix.originalMean)});
}

GroupBasis LayerMoments::basisOf(const Weighted& metric, const at::Tensor& regression, const Seen& seen) const {
  const auto [values, vectors] = at::linalg_eigh(metric.matrix);
  const at::Tensor falling = values.flip(0).clamp_min(0);
  const at::Tensor basis = vectors.flip(1);

  GroupBasis result;
  result.up = metric.inverse.defined() ? at::matmul(metric.inverse, basis) : basis.contiguous();
  const at::Tensor down = regression.defined() ? at::matmul(basis.t(), regression) : basis.t();
  result.down = metric.root.defined() ? at::matmul(down, metric.root) : down.contiguous();
  if (request_.centred) {
    result.shift = -at::matmul(result.down, seen.mean);
    result.offset = seen.target;
  }
  const at::Tensor there = falling.cpu();
  const double* first = there.const_data_ptr<double>();
  result.spectrum.eigenvalues.assign(first, first + falling.size(0));
  if (!request_.codedWidths.empty()) {
    at::Tensor latents = at::matmul(seen.sample, result.down.to(at::kFloat).t());
    if (request_.centred) latents = latents + result.shift.to(at::kFloat);
    QuantiserFit fit = fitQuantisers(latents.cpu(), request_.codedWidths, request_.trellis);
    result.trellis = request_.trellis;
    result.spectrum.widths = request_.codedWidths;
    result.spectrum.distortion = std::move(fit.distortion);
    result.steps = fit.steps;
  }
  return result;
}

GroupFactors factorsOf(const GroupBasis& basis, const Group& group) {
  GroupFactors factors;
  const bool identity = std::ranges::all_of(group.widths, [](int width) { return width == 16; });
  if (identity) return factors;
  std::vector<std::int64_t> directions(group.widths.size());
  std::iota(directions.begin(), directions.end(), 0);
  std::erase_if(directions, [&](std::int64_t i) { return group.widths[static_cast<std::size_t>(i)] == 0; });
  std::ranges::stable_sort(directions, std::greater{},
                           [&](std::int64_t i) { return group.widths[static_cast<std::size_t>(i)]; });

  factors.widths = latentWidths(group);
  std::vector<float> steps;
  for (const std::int64_t direction : directions) {
    const int width = group.widths[static_cast<std::size_t>(direction)];
    const auto place = std::ranges::find(basis.spectrum.widths, width);
    steps.push_back(width == 16 || !basis.steps.defined()
                        ? 0.0F
                        : basis.steps[direction][place - basis.spectrum.widths.begin()].item<float>());
  }
  const at::Tensor index = at::tensor(directions, at::kLong).to(basis.up.device());
  factors.up = basis.up.index_select(1, index).to(at::kFloat);
  factors.down = basis.down.index_select(0, index).to(at::kFloat);
  factors.steps = at::tensor(steps, at::kFloat).to(basis.up.device());
  factors.prediction = basis.prediction;
  factors.trellis = basis.trellis;
  if (basis.shift.defined()) {
    factors.shift = basis.shift.index_select(0, index).to(at::kFloat);
    factors.offset = basis.offset.to(at::kFloat);
  }
  return factors;
}

}  // namespace kvista
