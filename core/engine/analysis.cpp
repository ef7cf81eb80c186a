// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/analysis.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/compress/cache_spectra.h"
#include "core/evaluate/plan_errors.h"
#include "core/evaluate/truncation_loss.h"

namespace kvista {
namespace {

Matrix matrixOf(const at::Tensor& tensor) {
  const at::Tensor numbers = tensor.to(at::kFloat).cpu().contiguous();
  const float* begin = numbers.const_data_ptr<float>();
  return {static_cast<int>(numbers.size(0)), static_cast<int>(numbers.size(1)), {begin, begin + numbers.numel()}};
}

void takeRow(const Matrix& from, int row, Matrix& to) {
  const std::ptrdiff_t begin = std::ptrdiff_t{row} * to.columns;
  std::copy_n(from.values.begin() + begin, to.columns, to.values.begin() + begin);
}

Matrix emptyMatrix(std::size_t rows, int columns) {
  return {static_cast<int>(rows), columns,
          std::vector<float>(rows * static_cast<std::size_t>(columns), std::numeric_limits<float>::quiet_NaN())};
}

float& cell(Matrix& matrix, int row, int column) {
  return matrix.values[static_cast<std::size_t>(row) * static_cast<std::size_t>(matrix.columns) +
                       static_cast<std::size_t>(column)];
}

}  // namespace

std::vector<int> allLayers(const ModelShape& shape) {
  std::vector<int> layers(static_cast<std::size_t>(shape.layers));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

Result<std::vector<SimilarityRecord>> similaritiesOf(const Decoder& decoder, const Statistics& statistics,
                                                     const Measure& measure, const std::vector<int>& layers,
                                                     const Task& task) {
  std::vector<SimilarityRecord> records;
  for (const int layer : layers) {
    for (const Side side : {Side::key, Side::value}) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_ASSIGN(const at::Tensor matrix, measure.similarity({decoder, statistics, layer, side}));
      records.push_back({layer, side, matrixOf(matrix)});
    }
    task.progress("similarity", records.size() / 2, layers.size(), "layers");
  }
  return records;
}

Result<std::vector<LayerSpectrumRecord>> layerSpectraOf(const Decoder& decoder, const Statistics& statistics,
                                                        const std::vector<int>& layers, const Task& task) {
  KVISTA_ASSIGN(const std::vector<CacheSpectrum> spectra, cacheSpectra(decoder, statistics, layers, {}, task));
  std::vector<LayerSpectrumRecord> records;
  for (const CacheSpectrum& spectrum : spectra)
    records.push_back({spectrum.layer,
                       spectrum.side,
                       measure(spectrum.singularValues),
                       {spectrum.singularValues.begin(), spectrum.singularValues.end()}});
  return records;
}

Result<TextRanksRecord> textRanksOf(const Decoder& decoder, const Statistics& statistics, double kept,
                                    std::int64_t windows, const Task& task) {
  const std::vector<int> layers = allLayers(decoder.shape());
  const auto column = [](Side side) { return side == Side::key ? 0 : 1; };
  TextRanksRecord record;
  record.tokens = statistics.tokens;
  record.layers = emptyMatrix(layers.size(), 2);
  record.keyHeads = record.valueHeads = emptyMatrix(layers.size(), decoder.shape().kvHeads);
  KVISTA_ASSIGN(const std::vector<CacheSpectrum> spectra,
                cacheSpectra(decoder, statistics, layers, {.byHead = true, .andTogether = true}, task));
  for (const CacheSpectrum& spectrum : spectra) {
    const auto rank = static_cast<float>(measure(spectrum.singularValues).normalisedEffectiveRank);
    if (spectrum.head >= 0)
      cell(spectrum.side == Side::key ? record.keyHeads : record.valueHeads, spectrum.layer, spectrum.head) = rank;
    else
      cell(record.layers, spectrum.layer, column(spectrum.side)) = rank;
    record.directions = std::max(record.directions, static_cast<int>(spectrum.singularValues.size()));
  }
  if (!(kept > 0)) return record;
  KVISTA_ASSIGN(const std::vector<TruncationLoss> losses,
                measureTruncation(decoder, statistics, layers, {kept}, windows, task));
  record.losses = emptyMatrix(layers.size(), 2);
  for (const TruncationLoss& each : losses)
    cell(record.losses, each.layer, column(each.side)) = static_cast<float>(each.loss);
  return record;
}

Result<PlanErrorsRecord> planErrorsOf(const Decoder& decoder, const Statistics& statistics, const CompressionPlan& plan,
                                      const CacheTransform& transform, const Task& task) {
  KVISTA_ASSIGN(PlanErrors errors, errorsAtMoments(decoder, statistics, plan, task));
  KVISTA_ASSIGN(MeasuredErrors measured, measureErrors(decoder, statistics, transform, task));
  if (plan.storage == Storage::plainQuantised) {
    errors.keys = std::move(measured.keys);
    errors.values = std::move(measured.values);
  }
  for (int layer = 0; layer < decoder.shape().layers; ++layer) {
    if (!readsAnotherLayer(plan, layer)) continue;
    takeRow(measured.keys, layer, errors.keys);
    takeRow(measured.values, layer, errors.values);
  }
  return PlanErrorsRecord{std::move(errors.keys),     std::move(errors.values),
                          std::move(errors.keyLoss),  std::move(errors.valueLoss),
                          std::move(measured.logits), std::move(measured.attentionOutputs)};
}

PlanRequest requestOf(const PlanWish& wish) {
  PlanRequest request;
  request.method = wish.method;
  request.target = wish.target;
  request.rankStep = wish.rankStep;
  request.minimumRank = wish.minimumRank;
  request.maximumRank = wish.maximumRank;
  request.grouping = wish.grouping;
  request.groupSize = wish.groupSize;
  request.allocator = wish.allocator;
  request.metric = wish.metric;
  request.measure = wish.measure;
  request.damping = wish.damping;
  request.sinkFree = wish.sinkFree;
  request.centred = wish.centred;
  request.compensate = wish.compensate;
  request.unwhitened = wish.unwhitened;
  request.uncalibrated = wish.uncalibrated;
  request.sharedFrom = wish.sharedFrom;
  request.eps = wish.eps;
  request.chain = wish.chain;
  request.trellis = wish.trellis;
  request.tokenNumbers = wish.tokenNumbers;
  request.device = wish.device;
  request.context = wish.context;
  request.batch = wish.batch;
  request.manual = wish.keep;
  return request;
}

}  // namespace kvista
