// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorIndexing.h>
#include <ATen/ops/tril_indices.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/calibration/statistics.h"
#include "core/io/json_file.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

constexpr int kFormatVersion = 1;
constexpr const char* kDescription = "kvista.statistics";

/// [.., n, n] symmetric to [.., n(n+1)/2] float32, rows of the lower triangle one after the other.
at::Tensor pack(const at::Tensor& symmetric) {
  const std::int64_t n = symmetric.size(-1);
  const at::Tensor where = at::tril_indices(n, n);
  return symmetric.to(at::kFloat).index({at::indexing::Ellipsis, where[0], where[1]}).contiguous();
}

at::Tensor unpack(const at::Tensor& packed, std::int64_t n) {
  std::vector<std::int64_t> sizes = packed.sizes().vec();
  sizes.back() = n;
  sizes.push_back(n);
  at::Tensor symmetric = at::zeros(sizes, at::kDouble);
  const at::Tensor where = at::tril_indices(n, n);
  const at::Tensor values = packed.to(at::kDouble);
  symmetric.index_put_({at::indexing::Ellipsis, where[0], where[1]}, values);
  symmetric.index_put_({at::indexing::Ellipsis, where[1], where[0]}, values);
  return symmetric;
}

std::string tensorName(std::size_t layer, std::string_view part) { return fmt::format("layers.{}.{}", layer, part); }

nlohmann::json toJson(const ModelShape& shape) {
  return {{"family", shape.family},           {"layers", shape.layers},         {"queryHeads", shape.queryHeads},
          {"kvHeads", shape.kvHeads},         {"headDim", shape.headDim},       {"valueHeadDim", shape.valueHeadDim},
          {"hiddenSize", shape.hiddenSize},   {"vocabulary", shape.vocabulary}, {"parameters", shape.parameters}};
}

ModelShape shapeFromJson(const nlohmann::json& json) {
  ModelShape shape;
  json.at("family").get_to(shape.family);
  json.at("layers").get_to(shape.layers);
  json.at("queryHeads").get_to(shape.queryHeads);
  json.at("kvHeads").get_to(shape.kvHeads);
  json.at("headDim").get_to(shape.headDim);
  json.at("valueHeadDim").get_to(shape.valueHeadDim);
  json.at("hiddenSize").get_to(shape.hiddenSize);
  json.at("vocabulary").get_to(shape.vocabulary);
  json.at("parameters").get_to(shape.parameters);
  return shape;
}

nlohmann::json describe(const Statistics& statistics) {
  nlohmann::json scores = nlohmann::json::array();
  for (const LayerStatistics& layer : statistics.layers) scores.push_back({layer.keyFisherScore, layer.valueFisherScore});
  nlohmann::json response = nlohmann::json::array();
  for (const auto& [storage, curve] : statistics.response) {
    nlohmann::json points = nlohmann::json::array();
    for (const ResponsePoint& point : curve.points()) points.push_back({point.predicted, point.measured});
    response.push_back({{"storage", static_cast<int>(storage)}, {"points", points}});
  }
  return {{"version", kFormatVersion},         {"shape", toJson(statistics.shape)},   {"modelHash", statistics.modelHash},
          {"recipe", toJson(statistics.recipe)}, {"tokensHash", statistics.tokensHash}, {"ofInput", statistics.ofInput},
          {"gradients", statistics.gradients}, {"tokens", statistics.tokens},         {"windows", statistics.windows},
          {"lossSum", statistics.lossSum},     {"device", statistics.device},         {"seconds", statistics.seconds},
          {"fisherScores", scores},            {"response", response},                {"heldOutLoss", statistics.heldOutLoss}};
}

}  // namespace

Result<void> saveStatistics(const std::filesystem::path& file, const Statistics& statistics, const Task& task) {
  NamedTensors list = {{"token_ids", statistics.tokenIds}};
  for (std::size_t i = 0; i < statistics.layers.size(); ++i) {
    const LayerStatistics& layer = statistics.layers[i];
    list.emplace_back(tensorName(i, "second_moment"), pack(layer.secondMoment));
    list.emplace_back(tensorName(i, "sum"), layer.sum);
    list.emplace_back(tensorName(i, "sink_factor"), layer.sinkFactor);
    list.emplace_back(tensorName(i, "sink_sum"), layer.sinkSum);
    list.emplace_back(tensorName(i, "rotated_keys"), pack(layer.rotatedKeys));
    if (statistics.gradients) {
      list.emplace_back(tensorName(i, "fisher_keys"), pack(layer.fisherKeys));
      list.emplace_back(tensorName(i, "fisher_values"), pack(layer.fisherValues));
      list.emplace_back(tensorName(i, "fisher_rotated_keys"), pack(layer.fisherRotatedKeys));
      list.emplace_back(tensorName(i, "sink_fisher_keys"), pack(layer.sinkFisherKeys));
      list.emplace_back(tensorName(i, "sink_fisher_values"), pack(layer.sinkFisherValues));
    }
    list.emplace_back(tensorName(i, "sample"), layer.sample);
    list.emplace_back(tensorName(i, "sample_positions"), layer.samplePositions);
  }
  return writeTensorFile(file, list, {{kDescription, describe(statistics).dump()}}, task);
}

Result<Statistics> loadStatistics(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const TensorFile reader, TensorFile::open(file));
  const std::string description = reader.text(kDescription);
  if (description.empty())
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no KVista statistics.", file.string()),
                "Give the file that `kvista calibrate -o` wrote.");
  KVISTA_ASSIGN(const nlohmann::json json, parseJson(description, "the description in " + file.string()));
  Statistics statistics;
  std::vector<std::pair<double, double>> scores;
  try {
    if (const int version = json.at("version").get<int>(); version != kFormatVersion)
      return fail(ErrorCode::corruptFile,
                  fmt::format("The statistics {} have version {}; this program reads version {}.", file.string(), version, kFormatVersion),
                  "Run `kvista calibrate` again.");
    statistics.shape = shapeFromJson(json.at("shape"));
    json.at("modelHash").get_to(statistics.modelHash);
    json.at("tokensHash").get_to(statistics.tokensHash);
    json.at("ofInput").get_to(statistics.ofInput);
    json.at("gradients").get_to(statistics.gradients);
    json.at("tokens").get_to(statistics.tokens);
    json.at("windows").get_to(statistics.windows);
    json.at("lossSum").get_to(statistics.lossSum);
    json.at("device").get_to(statistics.device);
    json.at("seconds").get_to(statistics.seconds);
    json.at("heldOutLoss").get_to(statistics.heldOutLoss);
    json.at("fisherScores").get_to(scores);
    for (const nlohmann::json& entry : json.at("response")) {
      std::vector<ResponsePoint> points;
      for (const nlohmann::json& point : entry.at("points")) points.push_back({point.at(0).get<double>(), point.at(1).get<double>()});
      statistics.response.emplace(static_cast<Storage>(entry.at("storage").get<int>()), ResponseCurve(std::move(points)));
    }
    KVISTA_ASSIGN(statistics.recipe, textRecipeFromJson(json.at("recipe")));
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::corruptFile, fmt::format("The description in the statistics {} is damaged.", file.string()),
                "Run `kvista calibrate` again.", error.what());
  }
  const ModelShape& shape = statistics.shape;
  constexpr int kMaximumWidth = 1 << 20;  // far beyond any model, so that products below cannot overflow
  const bool sound = shape.layers > 0 && shape.layers < 100'000 && shape.kvHeads > 0 && shape.kvHeads < kMaximumWidth &&
                     shape.headDim > 0 && shape.headDim < kMaximumWidth && shape.valueHeadDim > 0 &&
                     shape.valueHeadDim < kMaximumWidth && shape.hiddenSize > 0 && shape.hiddenSize < kMaximumWidth &&
                     statistics.windows > 0 && statistics.tokens > 0 && scores.size() == static_cast<std::size_t>(shape.layers);
  if (!sound)
    return fail(ErrorCode::corruptFile, fmt::format("The sizes in the statistics {} make no sense.", file.string()),
                "Run `kvista calibrate` again.");

  KVISTA_ASSIGN(statistics.tokenIds, reader.read("token_ids", at::kInt, {statistics.windows, -1}));
  const std::int64_t n = statistics.ofInput ? shape.hiddenSize : shape.cacheWidth();
  const auto packed = [](std::int64_t size) { return size * (size + 1) / 2; };
  const std::int64_t h = shape.kvHeads;
  const std::int64_t d = shape.headDim;
  const std::int64_t dv = shape.valueHeadDim;
  statistics.layers.resize(static_cast<std::size_t>(shape.layers));
  for (std::size_t i = 0; i < statistics.layers.size(); ++i) {
    LayerStatistics& layer = statistics.layers[i];
    std::tie(layer.keyFisherScore, layer.valueFisherScore) = scores[i];
    KVISTA_ASSIGN(const at::Tensor moment, reader.read(tensorName(i, "second_moment"), at::kFloat, {packed(n)}));
    layer.secondMoment = unpack(moment, n);
    KVISTA_ASSIGN(layer.sum, reader.read(tensorName(i, "sum"), at::kDouble, {n}));
    KVISTA_ASSIGN(layer.sinkFactor, reader.read(tensorName(i, "sink_factor"), at::kFloat, {-1, n}));
    KVISTA_ASSIGN(layer.sinkSum, reader.read(tensorName(i, "sink_sum"), at::kDouble, {n}));
    KVISTA_ASSIGN(const at::Tensor rotated, reader.read(tensorName(i, "rotated_keys"), at::kFloat, {h, packed(d)}));
    layer.rotatedKeys = unpack(rotated, d);
    if (statistics.gradients) {
      KVISTA_ASSIGN(const at::Tensor keys, reader.read(tensorName(i, "fisher_keys"), at::kFloat, {h, packed(d)}));
      KVISTA_ASSIGN(const at::Tensor values, reader.read(tensorName(i, "fisher_values"), at::kFloat, {h, packed(dv)}));
      KVISTA_ASSIGN(const at::Tensor rotatedFisher,
                    reader.read(tensorName(i, "fisher_rotated_keys"), at::kFloat, {h, packed(d)}));
      KVISTA_ASSIGN(const at::Tensor sinkKeys, reader.read(tensorName(i, "sink_fisher_keys"), at::kFloat, {h, packed(d)}));
      KVISTA_ASSIGN(const at::Tensor sinkValues, reader.read(tensorName(i, "sink_fisher_values"), at::kFloat, {h, packed(dv)}));
      layer.sinkFisherKeys = unpack(sinkKeys, d);
      layer.sinkFisherValues = unpack(sinkValues, dv);
      layer.fisherKeys = unpack(keys, d);
      layer.fisherValues = unpack(values, dv);
      layer.fisherRotatedKeys = unpack(rotatedFisher, d);
    }
    KVISTA_ASSIGN(layer.sample, reader.read(tensorName(i, "sample"), at::kBFloat16, {-1, n}));
    KVISTA_ASSIGN(layer.samplePositions, reader.read(tensorName(i, "sample_positions"), at::kInt, {layer.sample.size(0)}));
  }
  return statistics;
}

}  // namespace kvista
