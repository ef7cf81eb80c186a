// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What there is: the engine, its catalogue, models.
#include <array>

#include "core/protocol/fields.h"
#include "core/protocol/records.h"

namespace kvista {

using nlohmann::json;

json toJson(const HelloRecord& record) {
  json value = {{"program", record.program},
                {"version", record.version},
                {"protocol", record.protocol},
                {"device", record.device},
                {"memoryBytes", record.memoryBytes}};
  if (!record.torch.empty()) value["torch"] = record.torch;
  if (!record.host.empty()) value["host"] = record.host;
  if (!record.dataFolder.empty()) value["dataFolder"] = record.dataFolder;
  return value;
}
template <>
Result<HelloRecord> read(const json& value) {
  Fields fields(value, "the greeting");
  HelloRecord record;
  record.program = fields.text("program");
  record.version = fields.text("version");
  record.protocol = fields.count("protocol");
  record.device = fields.text("device");
  record.memoryBytes = fields.integer("memoryBytes");
  if (fields.has("torch")) record.torch = fields.text("torch");
  if (fields.has("host")) record.host = fields.text("host");
  if (fields.has("dataFolder")) record.dataFolder = fields.text("dataFolder");
  return fields.finish(std::move(record));
}

constexpr std::array kPathKinds = {Named{"missing", PathRecord::Kind::missing}, Named{"file", PathRecord::Kind::file},
                                   Named{"folder", PathRecord::Kind::folder}};

json toJson(const PathRecord& record) {
  json value = {{"path", record.path},         {"kind", nameIn(kPathKinds, record.kind)},
                {"readable", record.readable}, {"writable", record.writable},
                {"bytes", record.bytes},       {"problem", record.problem},
                {"hint", record.hint}};
  if (record.freeBytes) value["freeBytes"] = *record.freeBytes;
  return value;
}
template <>
Result<PathRecord> read(const json& value) {
  Fields fields(value, "a path");
  PathRecord record;
  record.path = fields.text("path");
  record.kind = fields.choice("kind", kPathKinds);
  record.readable = fields.boolean("readable");
  record.writable = fields.boolean("writable");
  record.bytes = fields.integer("bytes");
  record.problem = fields.text("problem");
  record.hint = fields.text("hint");
  if (fields.has("freeBytes")) record.freeBytes = fields.integer("freeBytes");
  return fields.finish(std::move(record));
}

json toJson(const Choice& record) {
  json value = {{"name", record.name},
                {"summary", record.summary},
                {"formula", record.formula},
                {"unit", record.unit},
                {"source", record.source}};
  if (!record.planMethod.empty()) value["planMethod"] = record.planMethod;
  return value;
}
template <>
Result<Choice> read(const json& value) {
  Fields fields(value, "an entry of the catalogue");
  Choice record;
  record.name = fields.text("name");
  record.summary = fields.text("summary");
  record.formula = fields.text("formula");
  record.unit = fields.text("unit");
  record.source = fields.text("source");
  if (fields.has("planMethod")) record.planMethod = fields.text("planMethod");
  return fields.finish(std::move(record));
}

constexpr std::array<std::pair<const char*, std::string MethodChoice::*>, 5> kReasons = {
    {{"notCompensated", &MethodChoice::notCompensated},
     {"notCentred", &MethodChoice::notCentred},
     {"notUnwhitened", &MethodChoice::notUnwhitened},
     {"notUncalibrated", &MethodChoice::notUncalibrated},
     {"notShared", &MethodChoice::notShared}}};

json toJson(const MethodChoice& record) {
  json value = {{"choice", toJson(record.choice)},
                {"grouping", record.grouping},
                {"allocator", record.allocator},
                {"metric", nameIn(kMetrics, record.metric)},
                {"keyPosition", nameIn(kKeyPositions, record.keyPosition)},
                {"storage", nameIn(kStorages, record.storage)},
                {"widths", record.widths},
                {"rankStep", record.rankStep},
                {"weightsOnly", record.weightsOnly}};
  if (record.sharesLayers) value["sharesLayers"] = true;
  if (record.chain > 1) value["chain"] = record.chain;
  if (record.trellis) value["trellis"] = true;
  if (record.tokenNumbers) value["tokenNumbers"] = true;
  for (const auto& [name, reason] : kReasons)
    if (!(record.*reason).empty()) value[name] = record.*reason;
  return value;
}
template <>
Result<MethodChoice> read(const json& value) {
  Fields fields(value, "a method of the catalogue");
  MethodChoice record;
  record.choice = fields.record<Choice>("choice");
  record.grouping = fields.text("grouping");
  record.allocator = fields.text("allocator");
  record.metric = fields.choice("metric", kMetrics);
  record.keyPosition = fields.choice("keyPosition", kKeyPositions);
  record.storage = fields.choice("storage", kStorages);
  record.widths = fields.counts("widths", 0, 16);
  record.rankStep = fields.count("rankStep", 1);
  record.weightsOnly = fields.boolean("weightsOnly");
  if (fields.has("sharesLayers")) record.sharesLayers = fields.boolean("sharesLayers");
  if (fields.has("chain")) record.chain = fields.count("chain", 1, kMaxChain);
  if (fields.has("trellis")) record.trellis = fields.boolean("trellis");
  if (fields.has("tokenNumbers")) record.tokenNumbers = fields.boolean("tokenNumbers");
  for (const auto& [name, reason] : kReasons)
    if (fields.has(name)) record.*reason = fields.text(name);
  return fields.finish(std::move(record));
}

json toJson(const DeviceProfile& record) {
  return {{"name", record.name},
          {"bytesPerSecond", record.bytesPerSecond},
          {"flopsPerSecond", record.flopsPerSecond},
          {"launchSeconds", record.launchSeconds}};
}
template <>
Result<DeviceProfile> read(const json& value) {
  Fields fields(value, "a device's profile");
  DeviceProfile record;
  record.name = fields.text("name");
  record.bytesPerSecond = fields.number("bytesPerSecond", 0);
  record.flopsPerSecond = fields.number("flopsPerSecond", 0);
  record.launchSeconds = fields.number("launchSeconds", 0);
  return fields.finish(std::move(record));
}

json toJson(const Catalogue& record) {
  return {{"methods", listOf(record.methods)},     {"measures", listOf(record.measures)},
          {"groupings", listOf(record.groupings)}, {"allocators", listOf(record.allocators)},
          {"forms", listOf(record.forms)},         {"policies", listOf(record.policies)},
          {"devices", listOf(record.devices)}};
}
template <>
Result<Catalogue> read(const json& value) {
  Fields fields(value, "the catalogue");
  Catalogue record;
  record.methods = fields.records<MethodChoice>("methods");
  record.measures = fields.records<Choice>("measures");
  record.groupings = fields.records<Choice>("groupings");
  record.allocators = fields.records<Choice>("allocators");
  record.forms = fields.records<Choice>("forms");
  record.policies = fields.records<Choice>("policies");
  record.devices = fields.records<DeviceProfile>("devices");
  return fields.finish(std::move(record));
}

json toJson(const ModelShape& record) {
  return {{"family", record.family},         {"layers", record.layers},         {"queryHeads", record.queryHeads},
          {"kvHeads", record.kvHeads},       {"headDim", record.headDim},       {"valueHeadDim", record.valueHeadDim},
          {"hiddenSize", record.hiddenSize}, {"vocabulary", record.vocabulary}, {"parameters", record.parameters}};
}
template <>
Result<ModelShape> read(const json& value) {
  Fields fields(value, "a model's shape");
  ModelShape record;
  // Bounds of what core/io and core/model accept, so that products of these stay numbers of bytes.
  constexpr int kLargestSize = 1 << 20;
  constexpr int kLargestHeads = 1 << 14;
  record.family = fields.text("family");
  record.layers = fields.count("layers", 1, kLargestHeads);
  record.queryHeads = fields.count("queryHeads", 1, kLargestHeads);
  record.kvHeads = fields.count("kvHeads", 1, kLargestHeads);
  record.headDim = fields.count("headDim", 1, kLargestHeads);
  record.valueHeadDim = fields.count("valueHeadDim", 1, kLargestHeads);
  record.hiddenSize = fields.count("hiddenSize", 1, kLargestSize);
  record.vocabulary = fields.count("vocabulary");
  record.parameters = fields.integer("parameters");
  return fields.finish(std::move(record));
}

json toJson(const ModelRecord& record) {
  return {{"path", record.path},
          {"hash", record.hash},
          {"shape", toJson(record.shape)},
          {"storageType", record.storageType},
          {"fileBytes", record.fileBytes},
          {"maximumPositions", record.maximumPositions},
          {"rope", record.rope},
          {"hasTokenizer", record.hasTokenizer},
          {"chatTemplate", record.chatTemplate},
          {"chatTemplateProblem", record.chatTemplateProblem},
          {"problems", record.problems}};
}
template <>
Result<ModelRecord> read(const json& value) {
  Fields fields(value, "a model");
  ModelRecord record;
  record.path = fields.text("path");
  record.hash = fields.text("hash");
  record.shape = fields.record<ModelShape>("shape");
  record.storageType = fields.text("storageType");
  record.fileBytes = fields.integer("fileBytes");
  record.maximumPositions = fields.integer("maximumPositions");
  record.rope = fields.text("rope");
  record.hasTokenizer = fields.boolean("hasTokenizer");
  record.chatTemplate = fields.text("chatTemplate");
  record.chatTemplateProblem = fields.text("chatTemplateProblem");
  record.problems = fields.texts("problems");
  return fields.finish(std::move(record));
}

}  // namespace kvista
