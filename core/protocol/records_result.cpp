// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What was measured and made: statistics, similarities, errors, perplexities, exports; texts to read.
#include "core/protocol/fields.h"
#include "core/protocol/records.h"

namespace kvista {

using nlohmann::json;

json toJson(const TextSelection& record) {
  json value = {{"paths", record.paths},
                {"window", record.window},
                {"windows", record.windows},
                {"skipWindows", record.skipWindows},
                {"beginWithBos", record.beginWithBos}};
  if (record.seed) value["seed"] = *record.seed;
  if (!record.weights.empty()) value["weights"] = packed(record.weights);
  return value;
}
template <>
Result<TextSelection> read(const json& value) {
  Fields fields(value, "a choice of texts");
  constexpr std::int64_t kLargestWindow = std::int64_t{1} << 24;
  constexpr std::int64_t kLargestWindows = std::int64_t{1} << 40;
  TextSelection record;
  record.paths = fields.texts("paths");
  record.window = fields.integer("window", 0, kLargestWindow);
  record.windows = fields.integer("windows", 0, kLargestWindows);
  record.skipWindows = fields.integer("skipWindows", 0, kLargestWindows);
  if (fields.has("seed")) record.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  record.beginWithBos = fields.boolean("beginWithBos");
  if (fields.has("weights")) record.weights = fields.doubles("weights");
  return fields.finish(std::move(record));
}

json toJson(const StatisticsRecord& record) {
  json value = {{"path", record.path},        {"modelHash", record.modelHash}, {"tokensHash", record.tokensHash},
                {"texts", record.texts},      {"tokens", record.tokens},       {"windows", record.windows},
                {"window", record.window},    {"device", record.device},       {"seconds", record.seconds},
                {"loss", toJson(record.loss)}};
  if (record.seed) value["seed"] = *record.seed;
  if (!record.weights.empty()) value["weights"] = packed(record.weights);
  if (record.beginWithBos) value["beginWithBos"] = true;
  return value;
}
template <>
Result<StatisticsRecord> read(const json& value) {
  Fields fields(value, "statistics");
  StatisticsRecord record;
  record.path = fields.text("path");
  record.modelHash = fields.text("modelHash");
  record.tokensHash = fields.text("tokensHash");
  record.texts = fields.texts("texts");
  record.tokens = fields.integer("tokens");
  record.windows = fields.integer("windows");
  record.window = fields.integer("window");
  record.device = fields.text("device");
  record.seconds = fields.number("seconds", 0);
  record.loss = fields.record<LossModel>("loss");
  if (fields.has("seed")) record.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  if (fields.has("weights")) record.weights = fields.doubles("weights");
  if (fields.has("beginWithBos")) record.beginWithBos = fields.boolean("beginWithBos");
  return fields.finish(std::move(record));
}

json toJson(const SimilarityRecord& record) {
  return {{"layer", record.layer}, {"side", nameIn(kSides, record.side)}, {"matrix", packed(record.matrix)}};
}
template <>
Result<SimilarityRecord> read(const json& value) {
  Fields fields(value, "a similarity");
  SimilarityRecord record;
  record.layer = fields.count("layer");
  record.side = fields.choice("side", kSides);
  record.matrix = fields.matrix("matrix");
  if (record.matrix.rows != record.matrix.columns) fields.mistake("matrix", "is not square");
  return fields.finish(std::move(record));
}

json toJson(const LayerSpectrumRecord& record) {
  const SpectrumMeasures& measures = record.measures;
  return {{"layer", record.layer},
          {"side", nameIn(kSides, record.side)},
          {"normalisedEffectiveRank", measures.normalisedEffectiveRank},
          {"effectiveRank", measures.effectiveRank},
          {"stableRank", measures.stableRank},
          {"participationRatio", measures.participationRatio},
          {"energyRank90", measures.energyRank90},
          {"energyRank95", measures.energyRank95},
          {"energyRank99", measures.energyRank99},
          {"energyRank999", measures.energyRank999},
          {"singularValues", packed(record.singularValues)}};
}
template <>
Result<LayerSpectrumRecord> read(const json& value) {
  Fields fields(value, "a layer's spectrum");
  LayerSpectrumRecord record;
  record.layer = fields.count("layer");
  record.side = fields.choice("side", kSides);
  record.measures.normalisedEffectiveRank = fields.number("normalisedEffectiveRank", 0);
  record.measures.effectiveRank = fields.number("effectiveRank", 0);
  record.measures.stableRank = fields.number("stableRank", 0);
  record.measures.participationRatio = fields.number("participationRatio", 0);
  record.measures.energyRank90 = fields.count("energyRank90");
  record.measures.energyRank95 = fields.count("energyRank95");
  record.measures.energyRank99 = fields.count("energyRank99");
  record.measures.energyRank999 = fields.count("energyRank999");
  record.singularValues = fields.floats("singularValues");
  return fields.finish(std::move(record));
}

json toJson(const PlanErrorsRecord& record) {
  return {{"keys", packed(record.keys)},       {"values", packed(record.values)},
          {"keyLoss", packed(record.keyLoss)}, {"valueLoss", packed(record.valueLoss)},
          {"logits", packed(record.logits)},   {"attentionOutputs", packed(record.attentionOutputs)}};
}
template <>
Result<PlanErrorsRecord> read(const json& value) {
  Fields fields(value, "a plan's errors");
  PlanErrorsRecord record;
  record.keys = fields.matrix("keys");
  record.values = fields.matrix("values");
  record.keyLoss = fields.matrix("keyLoss");
  record.valueLoss = fields.matrix("valueLoss");
  record.logits = fields.matrix("logits");
  record.attentionOutputs = fields.matrix("attentionOutputs");
  return fields.finish(std::move(record));
}

json toJson(const EvaluationRecord& record) {
  return {{"text", record.text},
          {"tokensHash", record.tokensHash},
          {"planFingerprint", record.planFingerprint},
          {"predictions", record.predictions},
          {"perplexityBefore", record.perplexityBefore},
          {"perplexityAfter", record.perplexityAfter},
          {"seconds", record.seconds}};
}
template <>
Result<EvaluationRecord> read(const json& value) {
  Fields fields(value, "an evaluation");
  EvaluationRecord record;
  record.text = fields.text("text");
  record.tokensHash = fields.text("tokensHash");
  record.planFingerprint = fields.text("planFingerprint");
  record.predictions = fields.integer("predictions");
  record.perplexityBefore = fields.number("perplexityBefore", 0);
  record.perplexityAfter = fields.number("perplexityAfter", 0);
  record.seconds = fields.number("seconds", 0);
  return fields.finish(std::move(record));
}

json toJson(const TokenLossRecord& record) {
  return {{"pieces", record.pieces}, {"before", packed(record.before)}, {"after", packed(record.after)}};
}
template <>
Result<TokenLossRecord> read(const json& value) {
  Fields fields(value, "a text's losses");
  TokenLossRecord record;
  record.pieces = fields.texts("pieces");
  record.before = fields.floats("before");
  record.after = fields.floats("after");
  if (record.before.size() != record.pieces.size() || record.after.size() != record.pieces.size())
    fields.mistake("pieces", "has another length than 'before' and 'after'");
  return fields.finish(std::move(record));
}

json toJson(const MemoryForecast& record) {
  json value = {{"device", record.device}, {"bytesNeeded", record.bytesNeeded}};
  if (record.bytesFree) value["bytesFree"] = *record.bytesFree;
  return value;
}
template <>
Result<MemoryForecast> read(const json& value) {
  Fields fields(value, "a forecast of memory");
  MemoryForecast record;
  record.device = fields.text("device");
  record.bytesNeeded = fields.integer("bytesNeeded");
  if (fields.has("bytesFree")) record.bytesFree = fields.integer("bytesFree");
  return fields.finish(std::move(record));
}

json toJson(const RetrievalRecord& record) {
  return {{"texts", record.texts},
          {"lengths", record.lengths},
          {"depths", record.depths},
          {"trials", record.trials},
          {"seed", record.seed},
          {"kind", nameIn(kRetrievalKinds, record.kind)},
          {"planted", record.planted},
          {"lossBefore", packed(record.lossBefore)},
          {"lossAfter", packed(record.lossAfter)},
          {"foundBefore", packed(record.foundBefore)},
          {"foundAfter", packed(record.foundAfter)}};
}
template <>
Result<RetrievalRecord> read(const json& value) {
  Fields fields(value, "a retrieval test");
  RetrievalRecord record;
  record.texts = fields.texts("texts");
  record.lengths = fields.counts("lengths", 1);
  record.depths = fields.counts("depths", 0, 100);
  record.trials = fields.integer("trials", 1);
  record.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  record.kind = fields.choice("kind", kRetrievalKinds);
  record.planted = fields.integer("planted", 1, kMostPlanted);
  for (const auto& [name, matrix] :
       {std::pair{"lossBefore", &record.lossBefore}, std::pair{"lossAfter", &record.lossAfter},
        std::pair{"foundBefore", &record.foundBefore}, std::pair{"foundAfter", &record.foundAfter}}) {
    *matrix = fields.matrix(name);
    if (static_cast<std::size_t>(matrix->rows) != record.depths.size() ||
        static_cast<std::size_t>(matrix->columns) != record.lengths.size())
      fields.mistake(name, "has not one row for each of 'depths' and one column for each of 'lengths'");
  }
  return fields.finish(std::move(record));
}

json toJson(const ExportPreview& record) {
  return {{"form", record.form},
          {"target", record.target},
          {"tensorsChanged", record.tensorsChanged},
          {"tensorsCarried", record.tensorsCarried},
          {"bytesBefore", record.bytesBefore},
          {"bytesAfter", record.bytesAfter},
          {"bytesPerTokenBefore", record.bytesPerTokenBefore},
          {"bytesPerTokenAfter", record.bytesPerTokenAfter},
          {"freeBytes", record.freeBytes},
          {"runsIn", record.runsIn},
          {"notes", record.notes},
          {"problems", record.problems}};
}
template <>
Result<ExportPreview> read(const json& value) {
  Fields fields(value, "an export's preview");
  ExportPreview record;
  record.form = fields.text("form");
  record.target = fields.text("target");
  record.tensorsChanged = fields.integer("tensorsChanged");
  record.tensorsCarried = fields.integer("tensorsCarried");
  record.bytesBefore = fields.integer("bytesBefore");
  record.bytesAfter = fields.integer("bytesAfter");
  record.bytesPerTokenBefore = fields.integer("bytesPerTokenBefore");
  record.bytesPerTokenAfter = fields.integer("bytesPerTokenAfter");
  record.freeBytes = fields.integer("freeBytes");
  record.runsIn = fields.text("runsIn");
  record.notes = fields.texts("notes");
  record.problems = fields.texts("problems");
  return fields.finish(std::move(record));
}

json toJson(const ExportRecord& record) {
  return {{"form", record.form},
          {"target", record.target},
          {"bytesPerToken", record.bytesPerToken},
          {"files", record.files},
          {"notes", record.notes},
          {"verified", record.verified},
          {"largestLogitDifference", record.largestLogitDifference}};
}
template <>
Result<ExportRecord> read(const json& value) {
  Fields fields(value, "an export");
  ExportRecord record;
  record.form = fields.text("form");
  record.target = fields.text("target");
  record.bytesPerToken = fields.integer("bytesPerToken");
  record.files = fields.texts("files");
  record.notes = fields.texts("notes");
  record.verified = fields.boolean("verified");
  record.largestLogitDifference = fields.number("largestLogitDifference", 0);
  return fields.finish(std::move(record));
}

}  // namespace kvista
