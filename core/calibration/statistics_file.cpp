// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/statistics_file.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/calibration/statistics.h"
#include "core/calibration/symmetric_pack.h"
#include "core/io/file_descriptor.h"
#include "core/io/json_file.h"
#include "core/io/project.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

constexpr int kFormatVersion = 3;  // 2: symmetric matrices in 24 bits; 3: held-out tokens, queries, attention maps
constexpr int kOldestFormatVersion = 2;  // still read, without what it lacks
constexpr const char* kDescription = "kvista.statistics";
constexpr const char* kGiveStatistics = "Give the file that `kvista calibrate -o` wrote.";

/// One tensor of every layer, in memory and in the file.
struct Part {
  const char* name;
  at::Tensor LayerStatistics::*tensor;
  at::ScalarType type;  // in the file; bytes: symmetric matrices, packed (in memory as well where `sizes` are of bytes)
  std::vector<std::int64_t> sizes;  // in memory; -1: as many rows as there are
  bool optional = false;            // the description says whether the file has it
};

std::vector<Part> partsOf(const ModelShape& shape, bool ofInput, bool gradients) {
  const std::int64_t n = ofInput ? shape.hiddenSize : shape.cacheWidth();
  const std::int64_t h = shape.kvHeads;
  const std::int64_t d = shape.headDim;
  const std::int64_t dv = shape.valueHeadDim;
  std::vector<Part> parts = {{"second_moment", &LayerStatistics::packedSecondMoment, at::kByte, {packedBytes(n)}},
                             {"sum", &LayerStatistics::sum, at::kDouble, {n}},
                             {"sink_factor", &LayerStatistics::sinkFactor, at::kFloat, {-1, n}},
                             {"sink_sum", &LayerStatistics::sinkSum, at::kDouble, {n}},
                             {"rotated_keys", &LayerStatistics::rotatedKeys, at::kByte, {h, d, d}},
                             {"rotated_key_sum", &LayerStatistics::rotatedKeySum, at::kDouble, {h, d}, true},
                             {"rotated_queries", &LayerStatistics::rotatedQueries, at::kByte, {h, d, d}, true},
                             {"attention_maps", &LayerStatistics::attentionMaps, at::kDouble, {h, h}, true},
                             {"sample", &LayerStatistics::sample, at::kBFloat16, {-1, n}},
                             {"sample_positions", &LayerStatistics::samplePositions, at::kInt, {-1}}};
  if (gradients)
    parts.insert(parts.end(), {{"fisher_keys", &LayerStatistics::fisherKeys, at::kByte, {h, d, d}},
                               {"fisher_values", &LayerStatistics::fisherValues, at::kByte, {h, dv, dv}},
                               {"fisher_rotated_keys", &LayerStatistics::fisherRotatedKeys, at::kByte, {h, d, d}},
                               {"sink_fisher_keys", &LayerStatistics::sinkFisherKeys, at::kByte, {h, d, d}},
                               {"sink_fisher_values", &LayerStatistics::sinkFisherValues, at::kByte, {h, dv, dv}}});
  return parts;
}

bool isPackedByFile(const Part& part) { return part.type == at::kByte && part.sizes.size() > 1; }

/// Sizes as the file has them.
std::vector<std::int64_t> storedSizes(const Part& part) {
  std::vector<std::int64_t> sizes = part.sizes;
  if (isPackedByFile(part)) {
    const std::int64_t n = sizes.back();
    sizes.pop_back();
    sizes.back() = packedBytes(n);
  }
  return sizes;
}

std::string tensorName(std::size_t layer, std::string_view part) { return fmt::format("layers.{}.{}", layer, part); }

nlohmann::json toJson(const ModelShape& shape) {
  return {{"family", shape.family},         {"layers", shape.layers},         {"queryHeads", shape.queryHeads},
          {"kvHeads", shape.kvHeads},       {"headDim", shape.headDim},       {"valueHeadDim", shape.valueHeadDim},
          {"hiddenSize", shape.hiddenSize}, {"vocabulary", shape.vocabulary}, {"parameters", shape.parameters}};
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

/// Whether all layers have it.
bool holds(const Statistics& statistics, const Part& part) {
  return std::ranges::all_of(statistics.layers,
                             [&](const LayerStatistics& layer) { return (layer.*part.tensor).defined(); });
}

nlohmann::json describe(const Statistics& statistics) {
  nlohmann::json optional = nlohmann::json::array();
  for (const Part& part : partsOf(statistics.shape, statistics.ofInput, statistics.gradients))
    if (part.optional && holds(statistics, part)) optional.push_back(part.name);
  nlohmann::json scores = nlohmann::json::array();
  for (const LayerStatistics& layer : statistics.layers)
    scores.push_back({layer.keyFisherScore, layer.valueFisherScore});
  nlohmann::json response = nlohmann::json::array();
  for (const auto& [storage, curve] : statistics.response) {
    nlohmann::json points = nlohmann::json::array();
    for (const ResponsePoint& point : curve.points()) points.push_back({point.predicted, point.measured});
    response.push_back({{"storage", static_cast<int>(storage)}, {"points", points}});
  }
  return {{"version", kFormatVersion},
          {"shape", toJson(statistics.shape)},
          {"modelHash", statistics.modelHash},
          {"recipe", toJson(statistics.recipe)},
          {"tokensHash", statistics.tokensHash},
          {"ofInput", statistics.ofInput},
          {"gradients", statistics.gradients},
          {"tokens", statistics.tokens},
          {"windows", statistics.windows},
          {"lossSum", statistics.lossSum},
          {"device", statistics.device},
          {"seconds", statistics.seconds},
          {"fisherScores", scores},
          {"response", response},
          {"heldOutLoss", statistics.heldOutLoss},
          {"optionalParts", optional},
          {"heldOutWindows", statistics.heldOutIds.defined() ? statistics.heldOutIds.size(0) : 0}};
}

Result<TensorFile> openStatisticsFile(const std::filesystem::path& file) {
  const std::string_view other = looksLikeProject(file) ? "a project" : kindOfOtherThanFile(file);
  if (other.empty()) return TensorFile::open(file);
  return fail(ErrorCode::io, fmt::format("{} is {}, not a file of statistics.", file.string(), other), kGiveStatistics);
}

Result<nlohmann::json> readDescription(const TensorFile& reader, const std::filesystem::path& file) {
  const std::string description = reader.text(kDescription);
  if (description.empty())
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no KVista statistics.", file.string()), kGiveStatistics);
  return parseJson(description, "the description in " + file.string());
}

/// `field`: of the description, which lacks it or has something else there.
tl::unexpected<Error> damaged(const std::filesystem::path& file, std::string_view field) {
  return fail(
      ErrorCode::corruptFile,
      fmt::format("The description in the statistics {} is damaged: its field '{}' is missing or of the wrong kind.",
                  file.string(), field),
      "Run `kvista calibrate` again.");
}

}  // namespace

Result<void> saveStatistics(const std::filesystem::path& file, const Statistics& statistics, const Task& task) {
  NamedTensors list = {{"token_ids", statistics.tokenIds}};
  if (statistics.heldOutIds.defined()) list.emplace_back("held_out_ids", statistics.heldOutIds);
  const std::vector<Part> parts = partsOf(statistics.shape, statistics.ofInput, statistics.gradients);
  for (std::size_t i = 0; i < statistics.layers.size(); ++i) {
    for (const Part& part : parts) {
      if (part.optional && !holds(statistics, part)) continue;
      const at::Tensor& tensor = statistics.layers[i].*part.tensor;
      list.emplace_back(tensorName(i, part.name), isPackedByFile(part) ? packSymmetric(tensor) : tensor.to(part.type));
    }
  }
  return writeTensorFile(file, list, {{kDescription, describe(statistics).dump()}}, task);
}

std::int64_t statisticsBytes(const ModelShape& shape, std::int64_t windows, std::int64_t window, bool gradients) {
  const bool ofInput = sumsInputs(shape);
  const std::int64_t width = ofInput ? shape.hiddenSize : shape.cacheWidth();
  std::int64_t layerBytes = 0;
  for (const Part& part : partsOf(shape, ofInput, gradients)) {
    std::int64_t numbers = 1;
    for (const std::int64_t size : storedSizes(part)) {
      const bool ofSinks = part.tensor == &LayerStatistics::sinkFactor;
      numbers *= size >= 0 ? size
                 : ofSinks ? std::min(mostSinkRows(width), windows * std::min<std::int64_t>(window, kSinkTokens))
                           : windows * sampleRowsPerWindow(shape, windows, window);
    }
    layerBytes += numbers * static_cast<std::int64_t>(c10::elementSize(part.type));
  }
  return shape.layers * layerBytes + windows * window * static_cast<std::int64_t>(sizeof(std::int32_t));
}

Result<std::string> modelOfStatistics(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const TensorFile reader, openStatisticsFile(file));
  KVISTA_ASSIGN(const nlohmann::json json, readDescription(reader, file));
  try {
    return json.at("modelHash").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    return damaged(file, "modelHash");
  }
}

Result<Statistics> loadStatistics(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const TensorFile reader, openStatisticsFile(file));
  KVISTA_ASSIGN(const nlohmann::json json, readDescription(reader, file));
  Statistics statistics;
  std::vector<std::pair<double, double>> scores;
  std::int64_t heldOutWindows = 0;
  std::vector<std::string> optional;
  const char* field = "";  // that is read
  const auto take = [&](const char* name) -> const nlohmann::json& { return json.at(field = name); };
  try {
    if (const int version = take("version").get<int>(); version < kOldestFormatVersion || version > kFormatVersion)
      return fail(ErrorCode::corruptFile,
                  fmt::format("The statistics {} have version {}; this program reads versions {} to {}.", file.string(),
                              version, kOldestFormatVersion, kFormatVersion),
                  "Run `kvista calibrate` again.");
    statistics.shape = shapeFromJson(take("shape"));
    take("modelHash").get_to(statistics.modelHash);
    take("tokensHash").get_to(statistics.tokensHash);
    take("ofInput").get_to(statistics.ofInput);
    take("gradients").get_to(statistics.gradients);
    take("tokens").get_to(statistics.tokens);
    take("windows").get_to(statistics.windows);
    take("lossSum").get_to(statistics.lossSum);
    take("device").get_to(statistics.device);
    take("seconds").get_to(statistics.seconds);
    take("heldOutLoss").get_to(statistics.heldOutLoss);
    heldOutWindows = json.value(field = "heldOutWindows", std::int64_t{0});
    optional = json.value(field = "optionalParts", optional);
    take("fisherScores").get_to(scores);
    for (const nlohmann::json& entry : take("response")) {
      std::vector<ResponsePoint> points;
      for (const nlohmann::json& point : entry.at("points"))
        points.push_back({point.at(0).get<double>(), point.at(1).get<double>()});
      statistics.response.emplace(static_cast<Storage>(entry.at("storage").get<int>()),
                                  ResponseCurve(std::move(points)));
    }
    KVISTA_ASSIGN(statistics.recipe, textRecipeFromJson(take("recipe")));
  } catch (const nlohmann::json::exception&) {
    return damaged(file, field);
  }
  for (const auto& [name, value] :
       {std::pair{"lossSum", statistics.lossSum}, std::pair{"heldOutLoss", statistics.heldOutLoss},
        std::pair{"seconds", statistics.seconds}, std::pair{"heldOutWindows", static_cast<double>(heldOutWindows)}})
    if (!(value >= 0) || !std::isfinite(value))
      return fail(ErrorCode::corruptFile,
                  fmt::format("The field '{}' in the description of the statistics {} is {}, it must be at least 0.",
                              name, file.string(), value),
                  "The file is damaged; run `kvista calibrate` again.");
  const ModelShape& shape = statistics.shape;
  constexpr int kMaximumWidth = 1 << 20;  // far beyond any model, so that products below cannot overflow
  const bool sound = shape.layers > 0 && shape.layers < 100'000 && shape.kvHeads > 0 && shape.kvHeads < kMaximumWidth &&
                     shape.headDim > 0 && shape.headDim < kMaximumWidth && shape.valueHeadDim > 0 &&
                     shape.valueHeadDim < kMaximumWidth && shape.hiddenSize > 0 && shape.hiddenSize < kMaximumWidth &&
                     statistics.windows > 0 && statistics.tokens > 0 &&
                     scores.size() == static_cast<std::size_t>(shape.layers);
  if (!sound)
    return fail(ErrorCode::corruptFile, fmt::format("The sizes in the statistics {} make no sense.", file.string()),
                "Run `kvista calibrate` again.");

  KVISTA_ASSIGN(statistics.tokenIds, reader.read("token_ids", at::kInt, {statistics.windows, -1}));
  if (heldOutWindows > 0) {
    KVISTA_ASSIGN(statistics.heldOutIds,
                  reader.read("held_out_ids", at::kInt, {heldOutWindows, statistics.tokenIds.size(1)}));
  }
  const std::vector<Part> parts = partsOf(shape, statistics.ofInput, statistics.gradients);
  statistics.layers.resize(static_cast<std::size_t>(shape.layers));
  for (std::size_t i = 0; i < statistics.layers.size(); ++i) {
    LayerStatistics& layer = statistics.layers[i];
    std::tie(layer.keyFisherScore, layer.valueFisherScore) = scores[i];
    for (const Part& part : parts) {
      if (part.optional && std::ranges::find(optional, part.name) == optional.end()) continue;
      KVISTA_ASSIGN(const at::Tensor stored, reader.read(tensorName(i, part.name), part.type, storedSizes(part)));
      if (at::isFloatingType(part.type) && !stored.isfinite().all().item<bool>())
        return fail(ErrorCode::corruptFile,
                    fmt::format("The tensor {} of {} holds NaN or infinity.", tensorName(i, part.name), file.string()),
                    "The file is damaged; run `kvista calibrate` again.");
      layer.*part.tensor = isPackedByFile(part) ? unpackSymmetric(stored, part.sizes.back()) : stored;
    }
    if (layer.samplePositions.size(0) != layer.sample.size(0))
      return fail(ErrorCode::corruptFile,
                  fmt::format("The tensors {} and {} of {} have {} and {} rows; they must have as many.",
                              tensorName(i, "sample"), tensorName(i, "sample_positions"), file.string(),
                              layer.sample.size(0), layer.samplePositions.size(0)),
                  "The file is damaged; run `kvista calibrate` again.");
  }
  return statistics;
}

}  // namespace kvista
