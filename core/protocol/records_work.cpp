// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What long work tells: progress, pieces, points and rows, and what came of it.
#include <limits>

#include "core/protocol/fields.h"
#include "core/protocol/work_records.h"

namespace kvista {

using nlohmann::json;

json toJson(const GeneratedPiece& record) {
  return {{"text", record.text},
          {"tokens", record.tokens},
          {"cacheBytes", record.cacheBytes},
          {"compressed", record.compressed},
          {"underPolicy", record.underPolicy}};
}
template <>
Result<GeneratedPiece> read(const json& value) {
  Fields fields(value, "a piece of generated text");
  GeneratedPiece record;
  record.text = fields.text("text");
  record.tokens = fields.integer("tokens");
  record.cacheBytes = fields.integer("cacheBytes");
  record.compressed = fields.boolean("compressed");
  record.underPolicy = fields.boolean("underPolicy");
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

json toJson(const ExperimentRow& record) {
  json value = {{"sweep", record.sweep},
                {"system", record.system},
                {"text", record.text},
                {"target", toJson(record.target)},
                {"of", record.of}};
  if (!record.problem.empty()) value["problem"] = record.problem;
  if (!record.figures) return value;
  const ExperimentRow::Figures& figures = *record.figures;
  value["figures"] = {{"bytesPerToken", figures.bytesPerToken},
                      {"share", figures.share},
                      {"loss", figures.loss},
                      {"originalLoss", figures.originalLoss},
                      {"predictions", figures.predictions},
                      {"seconds", figures.seconds},
                      {"note", figures.note}};
  if (!figures.windowLosses.empty()) value["figures"]["windowLosses"] = figures.windowLosses;
  if (figures.riseError) value["figures"]["riseError"] = *figures.riseError;
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
  if (fields.has("windowLosses")) figures.windowLosses = fields.numbers("windowLosses", 0);
  if (fields.has("riseError")) figures.riseError = fields.number("riseError", 0);
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

bool ExperimentRow::keepsToTarget() const {
  constexpr double kRounding = 1.02;
  const bool isPart = target.kind == Target::Kind::share || target.kind == Target::Kind::keptFraction;
  return figures && (!isPart || figures->share <= kRounding * target.value);
}

}  // namespace kvista
