// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/lab_records.h"

#include "core/protocol/fields.h"

namespace kvista {

using nlohmann::json;

json toJson(const TaskMeasureRecord& record) {
  return {{"name", record.name},
          {"asked", record.asked},
          {"rightBefore", record.rightBefore},
          {"rightAfter", record.rightAfter},
          {"errorBefore", record.errorBefore},
          {"errorAfter", record.errorAfter},
          {"same", record.same}};
}
template <>
Result<TaskMeasureRecord> read(const json& value) {
  Fields fields(value, "a measure of tasks");
  TaskMeasureRecord record;
  record.name = fields.text("name");
  record.asked = fields.integer("asked", 1);
  for (const auto& [name, count] : {std::pair{"rightBefore", &record.rightBefore},
                                    std::pair{"rightAfter", &record.rightAfter}, std::pair{"same", &record.same}}) {
    *count = fields.integer(name);
    if (*count > record.asked) fields.mistake(name, "is larger than 'asked'");
  }
  record.errorBefore = fields.number("errorBefore", 0);
  record.errorAfter = fields.number("errorAfter", 0);
  return fields.finish(std::move(record));
}

json toJson(const TaskAnswerRecord& record) {
  json value = {{"line", record.line},
                {"question", record.question},
                {"wanted", record.wanted},
                {"before", record.before},
                {"after", record.after},
                {"rightBefore", record.rightBefore},
                {"rightAfter", record.rightAfter}};
  if (record.marginBefore) value["marginBefore"] = *record.marginBefore;
  if (record.marginAfter) value["marginAfter"] = *record.marginAfter;
  return value;
}
template <>
Result<TaskAnswerRecord> read(const json& value) {
  Fields fields(value, "an answer");
  TaskAnswerRecord record;
  record.line = fields.integer("line", 1);
  record.question = fields.text("question");
  record.wanted = fields.text("wanted");
  record.before = fields.text("before");
  record.after = fields.text("after");
  record.rightBefore = fields.boolean("rightBefore");
  record.rightAfter = fields.boolean("rightAfter");
  if (fields.has("marginBefore")) record.marginBefore = fields.number("marginBefore");
  if (fields.has("marginAfter")) record.marginAfter = fields.number("marginAfter");
  return fields.finish(std::move(record));
}

json toJson(const TaskFileRecord& record) {
  return {{"file", record.file},
          {"shortened", record.shortened},
          {"measures", listOf(record.measures)},
          {"answers", listOf(record.answers)}};
}
template <>
Result<TaskFileRecord> read(const json& value) {
  Fields fields(value, "a file of questions");
  TaskFileRecord record;
  record.file = fields.text("file");
  record.shortened = fields.integer("shortened");
  record.measures = fields.records<TaskMeasureRecord>("measures");
  record.answers = fields.records<TaskAnswerRecord>("answers");
  return fields.finish(std::move(record));
}

namespace {

template <class Record>
json withPolicy(json value, const Record& record) {
  if (!record.policy.empty()) value.update({{"policy", record.policy}, {"overPlan", record.overPlan}});
  return value;
}
template <class Record>
void readPolicy(Fields& fields, Record& record) {
  if (fields.has("policy")) record.policy = fields.text("policy");
  if (fields.has("overPlan")) record.overPlan = fields.boolean("overPlan");
}

}  // namespace

json toJson(const TasksRecord& record) {
  return withPolicy({{"planFingerprint", record.planFingerprint}, {"files", listOf(record.files)}}, record);
}
template <>
Result<TasksRecord> read(const json& value) {
  Fields fields(value, "answers to questions");
  TasksRecord record;
  record.planFingerprint = fields.text("planFingerprint");
  record.files = fields.records<TaskFileRecord>("files");
  readPolicy(fields, record);
  return fields.finish(std::move(record));
}

json toJson(const ComparedTokenRecord& record) {
  return {{"window", record.window},   {"position", record.position}, {"divergence", record.divergence},
          {"context", record.context}, {"text", record.text},         {"original", record.original},
          {"plan", record.plan}};
}
template <>
Result<ComparedTokenRecord> read(const json& value) {
  Fields fields(value, "a token that was compared");
  ComparedTokenRecord record;
  record.window = fields.integer("window");
  record.position = fields.integer("position");
  record.divergence = fields.number("divergence");
  record.context = fields.text("context");
  record.text = fields.text("text");
  record.original = fields.text("original");
  record.plan = fields.text("plan");
  return fields.finish(std::move(record));
}

json toJson(const WrittenRecord& record) {
  return {{"prompt", record.prompt},
          {"same", record.same},
          {"shared", record.shared},
          {"original", record.original},
          {"plan", record.plan}};
}
template <>
Result<WrittenRecord> read(const json& value) {
  Fields fields(value, "a pair of texts");
  WrittenRecord record;
  record.prompt = fields.text("prompt");
  record.same = fields.integer("same");
  record.shared = fields.text("shared");
  record.original = fields.text("original");
  record.plan = fields.text("plan");
  return fields.finish(std::move(record));
}

json toJson(const AgreementRecord& record) {
  return withPolicy({{"planFingerprint", record.planFingerprint},
                     {"texts", record.texts},
                     {"window", record.window},
                     {"predictions", record.predictions},
                     {"sameLikeliest", record.sameLikeliest},
                     {"mean", record.mean},
                     {"median", record.median},
                     {"percentile99", record.percentile99},
                     {"largest", record.largest},
                     {"worst", listOf(record.worst)},
                     {"promptTokens", record.promptTokens},
                     {"written", record.written},
                     {"equalTokens", record.equalTokens},
                     {"meanFirst", record.meanFirst},
                     {"medianFirst", record.medianFirst},
                     {"undiverged", record.undiverged},
                     {"pairs", listOf(record.pairs)}},
                    record);
}
template <>
Result<AgreementRecord> read(const json& value) {
  Fields fields(value, "an agreement");
  AgreementRecord record;
  record.planFingerprint = fields.text("planFingerprint");
  record.texts = fields.texts("texts");
  record.window = fields.integer("window");
  record.predictions = fields.integer("predictions", 1);
  record.sameLikeliest = fields.number("sameLikeliest", 0, 1);
  record.mean = fields.number("mean");
  record.median = fields.number("median");
  record.percentile99 = fields.number("percentile99");
  record.largest = fields.number("largest");
  record.worst = fields.records<ComparedTokenRecord>("worst");
  record.promptTokens = fields.integer("promptTokens");
  record.written = fields.integer("written", 1);
  record.equalTokens = fields.number("equalTokens", 0, 1);
  record.meanFirst = fields.number("meanFirst", 0);
  record.medianFirst = fields.number("medianFirst", 0);
  record.undiverged = fields.integer("undiverged");
  record.pairs = fields.records<WrittenRecord>("pairs");
  readPolicy(fields, record);
  return fields.finish(std::move(record));
}

json toJson(const RecallRecord& record) {
  return {{"predicted", record.predicted},
          {"accumulated", record.accumulated},
          {"recent", record.recent},
          {"best", record.best}};
}
template <>
Result<RecallRecord> read(const json& value) {
  Fields fields(value, "what a predictor finds");
  RecallRecord record;
  for (const auto& [name, part] :
       {std::pair{"predicted", &record.predicted}, std::pair{"accumulated", &record.accumulated},
        std::pair{"recent", &record.recent}, std::pair{"best", &record.best}})
    *part = fields.number(name, 0, 1.001);
  return fields.finish(std::move(record));
}

json toJson(const PredictorRecord& record) {
  json value = {{"file", record.file},       {"kind", nameIn(kPredictorKinds, record.kind)},
                {"windows", record.windows}, {"heldOutWindows", record.heldOutWindows},
                {"window", record.window},   {"correlation", record.correlation}};
  if (record.recall) value["recall"] = toJson(*record.recall);
  return value;
}
template <>
Result<PredictorRecord> read(const json& value) {
  Fields fields(value, "a trained predictor");
  PredictorRecord record;
  record.file = fields.text("file");
  record.kind = fields.choice("kind", kPredictorKinds);
  record.windows = fields.integer("windows");
  record.heldOutWindows = fields.integer("heldOutWindows");
  record.window = fields.integer("window");
  record.correlation = fields.number("correlation", -1.001, 1.001);
  if (fields.has("recall")) record.recall = fields.record<RecallRecord>("recall");
  return fields.finish(std::move(record));
}

json toJson(const TextRanksRecord& record) {
  json value = {{"statistics", record.statistics},     {"tokens", record.tokens},
                {"directions", record.directions},     {"layers", packed(record.layers)},
                {"keyHeads", packed(record.keyHeads)}, {"valueHeads", packed(record.valueHeads)}};
  if (!record.losses.isEmpty()) value["losses"] = packed(record.losses);
  return value;
}
template <>
Result<TextRanksRecord> read(const json& value) {
  Fields fields(value, "ranks on a text");
  TextRanksRecord record;
  record.statistics = fields.text("statistics");
  record.tokens = fields.integer("tokens");
  record.directions = fields.count("directions");
  record.layers = fields.matrix("layers");
  record.keyHeads = fields.matrix("keyHeads");
  record.valueHeads = fields.matrix("valueHeads");
  if (fields.has("losses")) record.losses = fields.matrix("losses");
  const auto checkShape = [&](const char* name, const Matrix& matrix, int columns) {
    if (matrix.rows != record.layers.rows || matrix.columns != columns)
      fields.mistake(name, "does not have the layers and sides of the others");
  };
  checkShape("layers", record.layers, 2);
  checkShape("keyHeads", record.keyHeads, record.keyHeads.columns);
  checkShape("valueHeads", record.valueHeads, record.valueHeads.columns);
  if (!record.losses.isEmpty()) checkShape("losses", record.losses, 2);
  return fields.finish(std::move(record));
}

json toJson(const RanksRecord& record) { return {{"kept", record.kept}, {"texts", listOf(record.texts)}}; }
template <>
Result<RanksRecord> read(const json& value) {
  Fields fields(value, "ranks");
  RanksRecord record;
  record.kept = fields.number("kept", 0, 1);
  record.texts = fields.records<TextRanksRecord>("texts");
  return fields.finish(std::move(record));
}

json toJson(const KeyVariantRecord& record) {
  return {{"method", record.method},
          {"keys", record.keys},
          {"values", record.values},
          {"logits", record.logits},
          {"attentionOutputs", record.attentionOutputs}};
}
template <>
Result<KeyVariantRecord> read(const json& value) {
  Fields fields(value, "errors of a variant");
  KeyVariantRecord record;
  record.method = fields.text("method");
  record.keys = fields.number("keys", 0);
  record.values = fields.number("values", 0);
  record.logits = fields.number("logits", 0);
  record.attentionOutputs = fields.number("attentionOutputs", 0);
  return fields.finish(std::move(record));
}

json toJson(const KeyVariantsRecord& record) {
  return {{"planFingerprint", record.planFingerprint}, {"variants", listOf(record.variants)}};
}
template <>
Result<KeyVariantsRecord> read(const json& value) {
  Fields fields(value, "variants of key directions");
  KeyVariantsRecord record;
  record.planFingerprint = fields.text("planFingerprint");
  record.variants = fields.records<KeyVariantRecord>("variants");
  return fields.finish(std::move(record));
}

json toJson(const PolicyEvaluationRecord& record) {
  json value = {{"text", record.text},
                {"planFingerprint", record.planFingerprint},
                {"policy", record.policy},
                {"overPlan", record.overPlan},
                {"prompt", record.prompt},
                {"predictions", record.predictions},
                {"original", record.original},
                {"underPolicy", record.underPolicy},
                {"bytesAtEnd", record.bytesAtEnd},
                {"bytesAtMost", record.bytesAtMost},
                {"fullBytes", record.fullBytes},
                {"tokensKept", record.tokensKept},
                {"seconds", record.seconds}};
  if (record.plan) value["plan"] = *record.plan;
  return value;
}
template <>
Result<PolicyEvaluationRecord> read(const json& value) {
  Fields fields(value, "an evaluation under a policy");
  PolicyEvaluationRecord record;
  record.text = fields.text("text");
  record.planFingerprint = fields.text("planFingerprint");
  record.policy = fields.text("policy");
  record.overPlan = fields.boolean("overPlan");
  record.prompt = fields.integer("prompt", 1);
  record.predictions = fields.integer("predictions", 1);
  record.original = fields.number("original", 0);
  record.underPolicy = fields.number("underPolicy", 0);
  if (fields.has("plan")) record.plan = fields.number("plan", 0);
  record.bytesAtEnd = fields.number("bytesAtEnd", 0);
  record.bytesAtMost = fields.number("bytesAtMost", 0);
  record.fullBytes = fields.integer("fullBytes", 1);
  record.tokensKept = fields.number("tokensKept", 0);
  record.seconds = fields.number("seconds", 0);
  return fields.finish(std::move(record));
}

}  // namespace kvista
