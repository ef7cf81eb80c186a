// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What was measured and made: statistics, similarities, errors, perplexities, generated text, exports; texts to read.
#include <limits>

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
  json value = {{"path", record.path},     {"modelHash", record.modelHash}, {"tokensHash", record.tokensHash},
                {"texts", record.texts},   {"tokens", record.tokens},       {"windows", record.windows},
                {"window", record.window}, {"device", record.device},       {"seconds", record.seconds},
                {"loss", toJson(record.loss)}};
  if (record.seed) value["seed"] = *record.seed;
  if (!record.weights.empty()) value["weights"] = packed(record.weights);
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
  return {{"keys", packed(record.keys)},
          {"values", packed(record.values)},
          {"keyLoss", packed(record.keyLoss)},
          {"valueLoss", packed(record.valueLoss)},
          {"logits", packed(record.logits)},
          {"attentionOutputs", packed(record.attentionOutputs)}};
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
  for (const auto& [name, matrix] : {std::pair{"lossBefore", &record.lossBefore}, std::pair{"lossAfter", &record.lossAfter},
                                     std::pair{"foundBefore", &record.foundBefore}, std::pair{"foundAfter", &record.foundAfter}}) {
    *matrix = fields.matrix(name);
    if (static_cast<std::size_t>(matrix->rows) != record.depths.size() || static_cast<std::size_t>(matrix->columns) != record.lengths.size())
      fields.mistake(name, "has not one row for each of 'depths' and one column for each of 'lengths'");
  }
  return fields.finish(std::move(record));
}

json toJson(const GeneratedPiece& record) {
  return {{"text", record.text}, {"tokens", record.tokens}, {"cacheBytes", record.cacheBytes}, {"compressed", record.compressed}};
}
template <>
Result<GeneratedPiece> read(const json& value) {
  Fields fields(value, "a piece of generated text");
  GeneratedPiece record;
  record.text = fields.text("text");
  record.tokens = fields.integer("tokens");
  record.cacheBytes = fields.integer("cacheBytes");
  record.compressed = fields.boolean("compressed");
  return fields.finish(std::move(record));
}

json toJson(const LossPoint& record) {
  json value = {{"step", record.step}, {"training", record.training}};
  if (record.heldOut) value["heldOut"] = *record.heldOut;
  return value;
}
template <>
Result<LossPoint> read(const json& value) {
  Fields fields(value, "a point of the loss curve");
  LossPoint record;
  record.step = fields.count("step", 0, std::numeric_limits<int>::max());
  record.training = fields.number("training");
  if (fields.has("heldOut")) record.heldOut = fields.number("heldOut");
  return fields.finish(std::move(record));
}

json toJson(const RefinedPerplexity& record) {
  return {{"text", record.text},         {"tokensHash", record.tokensHash}, {"predictions", record.predictions},
          {"original", record.original}, {"planned", record.planned},       {"refined", record.refined}};
}
template <>
Result<RefinedPerplexity> read(const json& value) {
  Fields fields(value, "the perplexities of refining");
  RefinedPerplexity record;
  record.text = fields.text("text");
  record.tokensHash = fields.text("tokensHash");
  record.predictions = fields.integer("predictions");
  record.original = fields.number("original", 0);
  record.planned = fields.number("planned", 0);
  record.refined = fields.number("refined", 0);
  return fields.finish(std::move(record));
}

json toJson(const RefineRecord& record) {
  json value = {{"factors", record.factors},
                {"planFingerprint", record.planFingerprint},
                {"texts", record.texts},
                {"steps", record.steps},
                {"bestStep", record.bestStep},
                {"ended", record.ended},
                {"divergenceBefore", record.divergenceBefore},
                {"divergenceAfter", record.divergenceAfter},
                {"windows", record.windows},
                {"heldOutWindows", record.heldOutWindows},
                {"seconds", record.seconds},
                {"curve", listOf(record.curve)}};
  if (record.seen) value["seen"] = toJson(*record.seen);
  if (record.unseen) value["unseen"] = toJson(*record.unseen);
  return value;
}
template <>
Result<RefineRecord> read(const json& value) {
  Fields fields(value, "what came of refining");
  RefineRecord record;
  record.factors = fields.text("factors");
  record.planFingerprint = fields.text("planFingerprint");
  record.texts = fields.texts("texts");
  record.steps = fields.count("steps", 0, std::numeric_limits<int>::max());
  record.bestStep = fields.count("bestStep", 0, std::numeric_limits<int>::max());
  record.ended = fields.text("ended");
  record.divergenceBefore = fields.number("divergenceBefore");
  record.divergenceAfter = fields.number("divergenceAfter");
  record.windows = fields.integer("windows");
  record.heldOutWindows = fields.integer("heldOutWindows");
  record.seconds = fields.number("seconds", 0);
  record.curve = fields.records<LossPoint>("curve");
  if (fields.has("seen")) record.seen = fields.record<RefinedPerplexity>("seen");
  if (fields.has("unseen")) record.unseen = fields.record<RefinedPerplexity>("unseen");
  return fields.finish(std::move(record));
}

json toJson(const ProgressRecord& record) {
  json value = {{"stage", record.stage}, {"done", record.done}, {"total", record.total}, {"unit", record.unit}};
  if (record.etaSeconds) value["etaSeconds"] = *record.etaSeconds;
  if (record.piece) value["piece"] = toJson(*record.piece);
  if (!record.points.empty()) value["points"] = listOf(record.points);
  if (!record.rows.empty()) value["rows"] = listOf(record.rows);
  return value;
}
template <>
Result<ProgressRecord> read(const json& value) {
  Fields fields(value, "a progress report");
  ProgressRecord record;
  record.stage = fields.text("stage");
  record.done = fields.integer("done");
  record.total = fields.integer("total");
  record.unit = fields.text("unit");
  if (fields.has("etaSeconds")) record.etaSeconds = fields.number("etaSeconds", 0);
  if (fields.has("piece")) record.piece = fields.record<GeneratedPiece>("piece");
  if (fields.has("points")) record.points = fields.records<LossPoint>("points");
  if (fields.has("rows")) record.rows = fields.records<ExperimentRow>("rows");
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

json toJson(const ExperimentRow& record) {
  json value = {{"sweep", record.sweep}, {"system", record.system}, {"text", record.text}, {"target", toJson(record.target)}, {"of", record.of}};
  if (!record.problem.empty()) value["problem"] = record.problem;
  if (!record.figures) return value;
  const ExperimentRow::Figures& figures = *record.figures;
  value["figures"] = {{"bytesPerToken", figures.bytesPerToken}, {"share", figures.share},     {"loss", figures.loss}, {"originalLoss", figures.originalLoss},
                      {"predictions", figures.predictions},     {"seconds", figures.seconds}, {"note", figures.note}};
  if (figures.predictedRise) value["figures"]["predictedRise"] = *figures.predictedRise;
  return value;
}

namespace {

Result<ExperimentRow::Figures> experimentFigures(const json& value) {
  Fields fields(value, "a row's figures");
  ExperimentRow::Figures figures;
  figures.bytesPerToken = fields.integer("bytesPerToken");
  figures.share = fields.number("share", 0);
  figures.loss = fields.number("loss", 0);
  figures.originalLoss = fields.number("originalLoss", 0);
  if (fields.has("predictedRise")) figures.predictedRise = fields.number("predictedRise");
  figures.predictions = fields.integer("predictions", 1);
  figures.seconds = fields.number("seconds", 0);
  figures.note = fields.text("note");
  return fields.finish(std::move(figures));
}

}  // namespace

template <>
Result<ExperimentRow> read(const json& value) {
  Fields fields(value, "a row of results");
  ExperimentRow record;
  record.sweep = fields.text("sweep");
  record.system = fields.text("system");
  record.text = fields.text("text");
  if (const json* target = fields.find("target")) record.target = fields.take("target", targetFromJson(*target));
  record.of = fields.text("of");
  if (fields.has("problem")) record.problem = fields.text("problem");
  if (fields.has("figures")) record.figures = fields.take("figures", experimentFigures(value["figures"]));
  return fields.finish(std::move(record));
}

}  // namespace kvista
