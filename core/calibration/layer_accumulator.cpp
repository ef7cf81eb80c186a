// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/layer_accumulator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/calibration/symmetric_pack.h"
#include "core/model/attention.h"

namespace kvista {
namespace {

/// a^T b of the last two axes in float32. Products of bfloat16 numbers are exact in it, so that a GPU need not convert
/// them.
at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  const bool exactly = a.is_cuda() && a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16;
  if (a.dim() == 3)
    return exactly ? at::bmm(a.transpose(1, 2), b, at::kFloat)
                   : at::bmm(a.to(at::kFloat).transpose(1, 2), b.to(at::kFloat));
  return exactly ? at::mm(a.t(), b, at::kFloat) : at::mm(a.to(at::kFloat).t(), b.to(at::kFloat));
}

/// As it can be added to sums in float64 without further memory: a GPU converts on the way.
at::Tensor readyToAdd(const at::Tensor& term) { return term.is_cuda() ? term : term.to(at::kDouble); }

/// [b, h, n, d] or [b, n, h*d] to [h, b*n, d].
at::Tensor rowsByHead(const at::Tensor& tensor, std::int64_t heads) {
  const at::Tensor four = tensor.dim() == 4 ? tensor : tensor.unflatten(2, {heads, -1}).transpose(1, 2);
  return four.transpose(0, 1).reshape({heads, -1, four.size(3)});
}

at::Tensor secondMomentByHead(const at::Tensor& tensor, std::int64_t heads) {
  const at::Tensor rows = rowsByHead(tensor, heads);
  return readyToAdd(product(rows, rows));
}

at::Tensor withoutBias(const at::Tensor& outputs, const at::Tensor& bias) {
  return bias.defined() ? outputs - bias : outputs;
}

}  // namespace

LayerAccumulator::LayerAccumulator(const ModelShape& shape, bool ofInput, bool gradients,
                                   std::int64_t sampleRowsPerWindow, at::Device device)
    : shape_(shape), ofInput_(ofInput), sampleRowsPerWindow_(sampleRowsPerWindow) {
  const auto sums = at::TensorOptions().dtype(at::kDouble).device(device);
  const std::int64_t n = ofInput ? shape.hiddenSize : shape.cacheWidth();
  const std::int64_t h = shape.kvHeads;
  const std::int64_t d = shape.headDim;
  const std::int64_t dv = shape.valueHeadDim;
  secondMoment_ = at::zeros({n, n}, sums);
  sum_ = at::zeros({n}, sums);
  sinkSum_ = at::zeros({n}, sums);
  rotatedKeys_ = at::zeros({h, d, d}, sums);
  rotatedKeySum_ = at::zeros({h, d}, sums);
  rotatedQueries_ = at::zeros({h, d, d}, sums);
  attentionMaps_ = at::zeros({h, h}, sums);
  if (!gradients) return;
  fisherKeys_ = at::zeros({h, d, d}, sums);
  fisherValues_ = at::zeros({h, dv, dv}, sums);
  fisherRotatedKeys_ = at::zeros({h, d, d}, sums);
  sinkFisherKeys_ = at::zeros({h, d, d}, sums);
  sinkFisherValues_ = at::zeros({h, dv, dv}, sums);
  keyGradientSquares_ = at::zeros({shape.keyWidth(), shape.hiddenSize}, sums);
  valueGradientSquares_ = at::zeros({shape.valueWidth(), shape.hiddenSize}, sums);
}

void LayerAccumulator::add(const LayerRecord& record, const at::Tensor& keyBias, const at::Tensor& valueBias,
                           const AttentionDescription& attention, std::int64_t firstWindow) {
  const at::Tensor outputs =
      (ofInput_ ? record.attentionInput
                : at::cat({withoutBias(record.keys, keyBias), withoutBias(record.values, valueBias)},
                          -1));  // [b, tokens, n]
  const at::Tensor rows = outputs.flatten(0, 1);
  // Everything that takes memory comes first, so that where there is none the sums stay as they are.
  Terms terms = {{&secondMoment_, readyToAdd(product(rows, rows))}, {&sum_, rows.sum(0, false, at::kDouble)}};

  const std::int64_t tokens = outputs.size(1);
  const at::Tensor sinks = outputs.narrow(1, 0, std::min<std::int64_t>(kSinkTokens, tokens)).flatten(0, 1);
  terms.emplace_back(&sinkSum_, sinks.sum(0, false, at::kDouble));
  // On the device: asking for numbers waits for all before.
  const at::Tensor sinkRows = sinks.to(at::kFloat, false, /*copy=*/true);
  std::vector<std::int64_t> positions, places;  // in their windows, in the batch
  for (std::int64_t b = 0; b < outputs.size(0); ++b) {
    for (const std::int64_t position : samplePositionsOf(firstWindow + b, tokens, sampleRowsPerWindow_)) {
      positions.push_back(position);
      places.push_back(b * tokens + position);
    }
  }
  // A GPU goes on meanwhile: the driver keeps a copy of what lies in main memory.
  const at::Tensor index = at::tensor(places, at::kLong).to(outputs.device(), /*non_blocking=*/true);
  const at::Tensor sample = rows.index_select(0, index).to(at::kBFloat16);
  const at::Tensor samplePositions = at::tensor(positions, at::kInt);

  terms.emplace_back(&rotatedKeys_, secondMomentByHead(record.rotatedKeys, shape_.kvHeads));
  terms.emplace_back(&rotatedKeySum_, record.rotatedKeys.sum(at::IntArrayRef{0, 2}, false, at::kDouble));
  if (record.rotatedQueries.size(3) == record.rotatedKeys.size(3)) appendQueries(record, attention, firstWindow, terms);
  if (fisherKeys_.defined()) appendGradients(record, terms);
  for (const auto& [sum, term] : terms) sum->add_(term);
  sinkRows_.push_back(sinkRows);
  sample_.push_back(sample);
  samplePositions_.push_back(samplePositions);
}

void LayerAccumulator::appendGradients(const LayerRecord& record, Terms& terms) {
  const std::int64_t tokens = record.gradientKeys.size(1);
  const std::int64_t sinks = std::min<std::int64_t>(kSinkTokens, tokens);
  const auto moment = [&](const at::Tensor& gradient, std::int64_t begin, std::int64_t count) {
    return secondMomentByHead(gradient.narrow(gradient.dim() - 2, begin, count), shape_.kvHeads);
  };
  terms.emplace_back(&fisherKeys_, moment(record.gradientKeys, sinks, tokens - sinks));
  terms.emplace_back(&fisherValues_, moment(record.gradientValues, sinks, tokens - sinks));
  terms.emplace_back(&fisherRotatedKeys_, moment(record.gradientRotatedKeys, sinks, tokens - sinks));
  terms.emplace_back(&sinkFisherKeys_, moment(record.gradientKeys, 0, sinks));
  terms.emplace_back(&sinkFisherValues_, moment(record.gradientValues, 0, sinks));
  // The papers' score looks at gradients of weights; those of each window are one product of the window's tokens.
  const auto squares = [&](const at::Tensor& gradients) {
    at::Tensor sum;
    for (std::int64_t b = 0; b < record.attentionInput.size(0); ++b) {
      const at::Tensor gradient = product(gradients[b], record.attentionInput[b]);
      sum = sum.defined() ? sum.addcmul_(gradient, gradient) : gradient.square();
    }
    return readyToAdd(sum);
  };
  terms.emplace_back(&keyGradientSquares_, squares(record.gradientKeys));
  terms.emplace_back(&valueGradientSquares_, squares(record.gradientValues));
}

void LayerAccumulator::appendQueries(const LayerRecord& record, const AttentionDescription& attention,
                                     std::int64_t firstWindow, Terms& terms) {
  const std::int64_t heads = shape_.kvHeads, tokens = record.rotatedQueries.size(2);
  const at::Tensor grouped = record.rotatedQueries.unflatten(1, {heads, -1});  // [b, h, queries a group, n, d]
  const at::Tensor rows = grouped.transpose(0, 1).flatten(1, 3);
  terms.emplace_back(&rotatedQueries_, readyToAdd(product(rows, rows)));

  constexpr std::int64_t kMostMaps = 64;  // a window: maps of long windows cost as much as its attention
  at::Tensor products;
  for (std::int64_t b = 0; b < grouped.size(0); ++b) {
    const auto places = samplePositionsOf(firstWindow + b, tokens, std::min(sampleRowsPerWindow_, kMostMaps));
    if (places.empty()) continue;
    const at::Tensor positions = at::tensor(places, at::kLong).to(rows.device(), /*non_blocking=*/true);
    const at::Tensor queries = record.rotatedQueries.narrow(0, b, 1).index_select(2, positions);
    const at::Tensor weights = attentionWeights(attention, queries, record.rotatedKeys.narrow(0, b, 1), positions);
    const at::Tensor maps = weights.squeeze(0).unflatten(0, {heads, -1}).mean(1, false, at::kFloat).flatten(1);
    const at::Tensor some = at::matmul(maps, maps.t());
    products = products.defined() ? products + some : some;
  }
  if (products.defined()) terms.emplace_back(&attentionMaps_, readyToAdd(products));
}

Result<LayerAccumulator> LayerAccumulator::together(const ProcessGroup& processes, const Task& task) const {
  LayerAccumulator all = *this;  // shares the tensors, none of which changes
  if (processes.isAlone()) return all;
  std::vector<at::Tensor> flat;
  for (const auto& [name, tensor] : all.sums()) flat.push_back(tensor->flatten());
  const at::Tensor sums = at::cat(flat);
  KVISTA_CHECK(processes.sum(sums, task));
  std::int64_t begin = 0;
  for (const auto& [name, tensor] : all.sums()) {
    *tensor = sums.narrow(0, begin, tensor->numel()).view(tensor->sizes());
    begin += tensor->numel();
  }
  const std::int64_t width = sum_.size(0);
  const auto rows = [](const std::vector<at::Tensor>& parts, at::IntArrayRef none, at::ScalarType type) {
    return parts.empty() ? at::empty(none, type) : at::cat(parts).cpu();
  };
  KVISTA_ASSIGN(const at::Tensor sinkRows, processes.gatherRows(rows(sinkRows_, {0, width}, at::kFloat), task));
  KVISTA_ASSIGN(const at::Tensor sample, processes.gatherRows(rows(sample_, {0, width}, at::kBFloat16), task));
  KVISTA_ASSIGN(const at::Tensor positions, processes.gatherRows(rows(samplePositions_, {0}, at::kInt), task));
  all.sinkRows_ = {sinkRows};
  all.sample_ = {sample};
  all.samplePositions_ = {positions};
  return all;
}

LayerStatistics LayerAccumulator::finish(std::int64_t windows) const {
  // Sums go through the file's packing, so that a plan made at once and one made from the file are the same.
  const auto packed = [](const at::Tensor& sums) { return packSymmetric((sums + sums.transpose(-1, -2)) / 2); };
  const auto symmetric = [&](const at::Tensor& sums) { return unpackSymmetric(packed(sums), sums.size(-1)).cpu(); };
  LayerStatistics result;
  result.packedSecondMoment = packed(secondMoment_).cpu();
  result.sum = sum_.cpu().clone();
  result.sinkSum = sinkSum_.cpu().clone();
  result.sinkFactor = compactFactor(at::cat(sinkRows_)).cpu();
  result.rotatedKeys = symmetric(rotatedKeys_);
  result.rotatedKeySum = rotatedKeySum_.cpu().clone();
  if (rotatedQueries_.any().item<bool>()) {  // all zero: the queries are of another width
    result.rotatedQueries = symmetric(rotatedQueries_);
    result.attentionMaps = ((attentionMaps_ + attentionMaps_.t()) / 2).cpu();
  }
  if (fisherKeys_.defined()) {
    result.fisherKeys = symmetric(fisherKeys_);
    result.fisherValues = symmetric(fisherValues_);
    result.fisherRotatedKeys = symmetric(fisherRotatedKeys_);
    result.sinkFisherKeys = symmetric(sinkFisherKeys_);
    result.sinkFisherValues = symmetric(sinkFisherValues_);
    const auto score = [&](const at::Tensor& squares) {
      return (squares / static_cast<double>(windows)).sqrt_().mean(at::kDouble).item<double>();
    };
    result.keyFisherScore = score(keyGradientSquares_);
    result.valueFisherScore = score(valueGradientSquares_);
  }
  result.sample = at::cat(sample_).cpu();
  result.samplePositions = at::cat(samplePositions_);
  return result;
}

std::vector<std::pair<const char*, at::Tensor*>> LayerAccumulator::sums() {
  std::vector<std::pair<const char*, at::Tensor*>> parts = {{"second_moment", &secondMoment_},
                                                            {"sum", &sum_},
                                                            {"sink_sum", &sinkSum_},
                                                            {"rotated_keys", &rotatedKeys_},
                                                            {"rotated_key_sum", &rotatedKeySum_},
                                                            {"rotated_queries", &rotatedQueries_},
                                                            {"attention_maps", &attentionMaps_}};
  if (fisherKeys_.defined()) {
    parts.insert(parts.end(), {{"fisher_keys", &fisherKeys_},
                               {"fisher_values", &fisherValues_},
                               {"fisher_rotated_keys", &fisherRotatedKeys_},
                               {"sink_fisher_keys", &sinkFisherKeys_},
                               {"sink_fisher_values", &sinkFisherValues_},
                               {"key_gradient_squares", &keyGradientSquares_},
                               {"value_gradient_squares", &valueGradientSquares_}});
  }
  return parts;
}

std::int64_t LayerAccumulator::sumBytes() const {
  LayerAccumulator view = *this;  // shares the tensors
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : view.sums()) bytes += static_cast<std::int64_t>(tensor->nbytes());
  return bytes;
}

void LayerAccumulator::appendState(const std::string& prefix, NamedTensors& tensors) const {
  LayerAccumulator view = *this;  // shares the tensors
  for (const auto& [name, tensor] : view.sums()) tensors.emplace_back(prefix + name, *tensor);
  tensors.emplace_back(prefix + "sink_rows", at::cat(sinkRows_));
  tensors.emplace_back(prefix + "sample", at::cat(sample_));
  tensors.emplace_back(prefix + "sample_positions", at::cat(samplePositions_));
}

Result<void> LayerAccumulator::restoreState(const std::string& prefix, const TensorFile& file) {
  LayerAccumulator restored = *this;
  for (const auto& [name, tensor] : restored.sums()) {
    KVISTA_ASSIGN(const at::Tensor kept, file.read(prefix + name, tensor->scalar_type(), tensor->sizes().vec()));
    *tensor = kept.to(tensor->device());
  }
  const std::int64_t width = sum_.size(0);
  KVISTA_ASSIGN(const at::Tensor sinkRows, file.read(prefix + "sink_rows", at::kFloat, {-1, width}));
  KVISTA_ASSIGN(const at::Tensor sample, file.read(prefix + "sample", at::kBFloat16, {-1, width}));
  KVISTA_ASSIGN(const at::Tensor positions, file.read(prefix + "sample_positions", at::kInt, {sample.size(0)}));
  restored.sinkRows_ = {sinkRows.to(sum_.device())};
  restored.sample_ = {sample.to(sum_.device())};
  restored.samplePositions_ = {positions};
  *this = std::move(restored);
  return {};
}

}  // namespace kvista
