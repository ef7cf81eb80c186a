// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What planning needs: wishes, spectra, predictions, costs.
#include <algorithm>

#include "core/protocol/fields.h"
#include "core/protocol/records.h"

namespace kvista {

using nlohmann::json;

namespace {

/// The plan's own reader names the field.
CompressionPlan planAt(Fields& fields, const char* field) {
  const json* value = fields.find(field);
  return value ? fields.take(field, planFromJson(*value)) : CompressionPlan();
}

Target targetAt(Fields& fields, const char* field) {
  const json* value = fields.find(field);
  return value ? fields.take(field, targetFromJson(*value)) : Target();
}

ResponseCurve curveOf(const std::vector<double>& predicted, const std::vector<double>& measured) {
  std::vector<ResponsePoint> points;
  for (std::size_t i = 0; i < std::min(predicted.size(), measured.size()); ++i)
    points.push_back({predicted[i], measured[i]});
  return ResponseCurve(std::move(points));
}

std::optional<double> numberIfThere(Fields& fields, const char* field) {
  return fields.has(field) ? std::optional(fields.number(field)) : std::nullopt;
}

}  // namespace

json toJson(const LossModel& record) {
  json curves = json::array();
  for (const auto& [storage, curve] : record.response) {
    std::vector<double> predicted, measured;
    for (const ResponsePoint& point : curve.points()) {
      predicted.push_back(point.predicted);
      measured.push_back(point.measured);
    }
    curves.push_back(
        {{"storage", nameIn(kStorages, storage)}, {"predicted", packed(predicted)}, {"measured", packed(measured)}});
  }
  return {{"baseLoss", record.baseLoss}, {"gradients", record.gradients}, {"response", std::move(curves)}};
}
template <>
Result<LossModel> read(const json& value) {
  Fields fields(value, "a loss model");
  LossModel record;
  record.baseLoss = fields.number("baseLoss", 0);
  record.gradients = fields.boolean("gradients");
  const json* curves = fields.find("response");
  if (curves && !curves->is_array()) fields.mistake("response", "is not a list");
  if (curves && curves->is_array()) {
    for (const json& each : *curves) {
      Fields curve(each, "a response curve");
      const Storage storage = curve.choice("storage", kStorages);
      const std::vector<double> predicted = curve.doubles("predicted"), measured = curve.doubles("measured");
      if (predicted.size() != measured.size()) curve.mistake("measured", "has another length than 'predicted'");
      record.response[storage] = fields.take("response", curve.finish(curveOf(predicted, measured)));
    }
  }
  return fields.finish(std::move(record));
}

json toJson(const CostModel& record) {
  return {{"bytesPerToken", record.bytesPerToken},
          {"extraParameters", record.extraParameters},
          {"multiplyAddsPerCachedToken", record.multiplyAddsPerCachedToken},
          {"arithmeticSecondsPerToken", record.arithmeticSecondsPerToken},
          {"secondsPerToken", record.secondsPerToken},
          {"fullSecondsPerToken", record.fullSecondsPerToken}};
}
template <>
Result<CostModel> read(const json& value) {
  Fields fields(value, "a cost model");
  CostModel record;
  record.bytesPerToken = fields.integer("bytesPerToken");
  record.extraParameters = fields.integer("extraParameters", -kLargestInteger);
  record.multiplyAddsPerCachedToken = fields.number("multiplyAddsPerCachedToken", 0);
  record.arithmeticSecondsPerToken = fields.number("arithmeticSecondsPerToken", 0);
  record.secondsPerToken = fields.number("secondsPerToken", 0);
  record.fullSecondsPerToken = fields.number("fullSecondsPerToken", 0);
  return fields.finish(std::move(record));
}

json toJson(const PlannedPlan& record) {
  json value = {{"plan", toJson(record.plan)},           {"requestedBytes", record.requestedBytes},
                {"achievedBytes", record.achievedBytes}, {"waterline", record.waterline},
                {"cost", toJson(record.cost)},           {"note", record.note}};
  if (record.predictedLoss) value["predictedLoss"] = *record.predictedLoss;
  if (record.correctedLoss) value["correctedLoss"] = *record.correctedLoss;
  return value;
}
template <>
Result<PlannedPlan> read(const json& value) {
  Fields fields(value, "a planned plan");
  PlannedPlan record;
  record.plan = planAt(fields, "plan");
  record.requestedBytes = fields.integer("requestedBytes");
  record.achievedBytes = fields.integer("achievedBytes");
  record.predictedLoss = numberIfThere(fields, "predictedLoss");
  record.correctedLoss = numberIfThere(fields, "correctedLoss");
  record.waterline = fields.number("waterline", 0);
  record.cost = fields.record<CostModel>("cost");
  record.note = fields.text("note");
  return fields.finish(std::move(record));
}

json toJson(const BudgetUnit& record) {
  return {{"eigenvalues", packed(record.spectrum.eigenvalues)},
          {"widthChoices", record.spectrum.widths},
          {"distortion", packed(record.spectrum.distortion)},
          {"minimumRank", record.minimumRank},
          {"maximumRank", record.maximumRank},
          {"locked", record.locked},
          {"widths", packed(record.widths)},
          {"fisherScore", record.fisherScore},
          {"side", record.side},
          {"layer", record.layer}};
}
template <>
Result<BudgetUnit> read(const json& value) {
  Fields fields(value, "a group's spectrum");
  BudgetUnit record;
  record.spectrum.eigenvalues = fields.doubles("eigenvalues");
  record.spectrum.widths = fields.counts("widthChoices", 0, 16);
  record.spectrum.distortion = fields.floats("distortion");
  const std::size_t directions = record.spectrum.eigenvalues.size();
  if (record.spectrum.distortion.size() != directions * record.spectrum.widths.size() &&
      !record.spectrum.distortion.empty())
    fields.mistake("distortion", "has not one number for each of 'eigenvalues' and 'widthChoices'");
  record.minimumRank = fields.count("minimumRank");
  record.maximumRank =
      fields.count("maximumRank", 0, static_cast<int>(std::min<std::size_t>(directions, kLargestCount)));
  record.locked = fields.boolean("locked");
  record.widths = fields.bytes("widths");
  record.fisherScore = fields.number("fisherScore");
  record.side = fields.count("side", 0, 2);
  record.layer = fields.count("layer");
  return fields.finish(std::move(record));
}

json unitsToJson(const std::vector<BudgetUnit>& units) { return listOf(units); }
Result<std::vector<BudgetUnit>> unitsFromJson(const json& value) {
  if (!value.is_array()) return fail(ErrorCode::invalidArgument, "The spectra of a plan are not a list.");
  std::vector<BudgetUnit> units;
  units.reserve(value.size());
  for (const json& each : value) {
    KVISTA_ASSIGN(BudgetUnit unit, read<BudgetUnit>(each));
    units.push_back(std::move(unit));
  }
  return units;
}

json toJson(const SharingRecord& record) {
  json value = {{"sharedFrom", record.sharedFrom}, {"cosine", record.cosine}, {"refused", record.refused}};
  if (!record.distances.isEmpty()) value["distances"] = packed(record.distances);
  return value;
}
template <>
Result<SharingRecord> read(const json& value) {
  Fields fields(value, "a map of layers");
  SharingRecord record;
  record.sharedFrom = fields.counts("sharedFrom", 0, 65535);
  record.cosine = fields.number("cosine");
  record.refused = fields.count("refused");
  if (fields.has("distances")) record.distances = fields.matrix("distances");
  if (const auto layers = static_cast<int>(record.sharedFrom.size());
      !record.distances.isEmpty() && (record.distances.rows != layers || record.distances.columns != layers))
    fields.mistake("distances", "is not of the map's layers");
  return fields.finish(std::move(record));
}

json toJson(const PlanWish& record) {
  json value = {{"method", record.method},
                {"target", toJson(record.target)},
                {"device", record.device},
                {"context", record.context},
                {"batch", record.batch}};
  if (record.rankStep) value["rankStep"] = *record.rankStep;
  if (record.minimumRank) value["minimumRank"] = *record.minimumRank;
  if (record.maximumRank) value["maximumRank"] = *record.maximumRank;
  if (record.groupSize) value["groupSize"] = *record.groupSize;
  if (record.grouping) value["grouping"] = *record.grouping;
  if (record.allocator) value["allocator"] = *record.allocator;
  if (record.metric) value["metric"] = nameIn(kMetrics, *record.metric);
  if (record.measure) value["measure"] = *record.measure;
  if (record.keep) value["keep"] = toJson(*record.keep);
  if (record.damping != 0) value["damping"] = record.damping;
  if (record.sinkFree) value["sinkFree"] = true;
  if (record.centred) value["centred"] = true;
  if (record.compensate) value["compensate"] = true;
  if (record.unwhitened) value["unwhitened"] = true;
  if (record.uncalibrated) value["uncalibrated"] = true;
  if (!record.sharedFrom.empty()) value["sharedFrom"] = record.sharedFrom;
  if (record.eps) value["eps"] = *record.eps;
  if (record.chain) value["chain"] = *record.chain;
  if (record.trellis) value["trellis"] = *record.trellis;
  if (record.tokenNumbers) value["tokenNumbers"] = *record.tokenNumbers;
  return value;
}
template <>
Result<PlanWish> read(const json& value) {
  Fields fields(value, "a plan's wish");
  PlanWish record;
  record.method = fields.text("method");
  record.target = targetAt(fields, "target");
  record.device = fields.text("device");
  record.context = fields.integer("context", 1, std::int64_t{1} << 31);
  record.batch = fields.count("batch", 1, 1 << 16);
  if (fields.has("rankStep")) record.rankStep = fields.count("rankStep", 1, 65535);
  if (fields.has("minimumRank")) record.minimumRank = fields.count("minimumRank", 1);
  if (fields.has("maximumRank")) record.maximumRank = fields.count("maximumRank", 1);
  if (fields.has("groupSize")) record.groupSize = fields.count("groupSize", 1, 65535);
  if (fields.has("grouping")) record.grouping = fields.text("grouping");
  if (fields.has("allocator")) record.allocator = fields.text("allocator");
  if (fields.has("metric")) record.metric = fields.choice("metric", kMetrics);
  if (fields.has("measure")) record.measure = fields.text("measure");
  if (fields.has("keep")) record.keep = planAt(fields, "keep");
  if (fields.has("damping")) record.damping = fields.number("damping", 0);
  if (fields.has("sinkFree")) record.sinkFree = fields.boolean("sinkFree");
  if (fields.has("centred")) record.centred = fields.boolean("centred");
  if (fields.has("compensate")) record.compensate = fields.boolean("compensate");
  if (fields.has("unwhitened")) record.unwhitened = fields.boolean("unwhitened");
  if (fields.has("uncalibrated")) record.uncalibrated = fields.boolean("uncalibrated");
  if (fields.has("sharedFrom")) record.sharedFrom = fields.counts("sharedFrom", 0, 65535);
  if (fields.has("eps")) record.eps = fields.number("eps", 0, 1);
  if (fields.has("chain")) record.chain = fields.count("chain", 1, kMaxChain);
  if (fields.has("trellis")) record.trellis = fields.boolean("trellis");
  if (fields.has("tokenNumbers")) record.tokenNumbers = fields.boolean("tokenNumbers");
  return fields.finish(std::move(record));
}

}  // namespace kvista
