// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// calibrate, openStatistics, similarity, layerSpectra: what a text says about a model's cache.
#include <fmt/format.h>

#include "core/calibration/statistics_pass.h"
#include "core/compress/planner.h"
#include "core/engine/analysis.h"
#include "core/engine/data_folder.h"
#include "core/engine/memory_forecast.h"
#include "core/engine/methods/inputs.h"
#include "core/evaluate/calibrate.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

StatisticsRecord recordOf(const std::string& path, const Statistics& statistics) {
  return {path,
          statistics.modelHash,
          statistics.tokensHash,
          statistics.recipe.paths,
          statistics.tokens,
          statistics.windows,
          statistics.windows > 0 ? statistics.tokens / statistics.windows : 0,
          statistics.device,
          statistics.seconds,
          lossModelOf(&statistics),
          statistics.recipe.seed,
          statistics.recipe.weights,
          statistics.recipe.beginWithBos};
}

/// What an answer depends on: the files' content and every parameter. Empty where it cannot be known without opening
/// one.
std::string keyOf(Workspace& workspace, std::string_view method, const nlohmann::json& params) {
  const auto model = params.find("model"), statistics = params.find("statistics");
  if (model == params.end() || statistics == params.end() || !model->is_string() || !statistics->is_string()) return {};
  const auto opened = workspace.openedModel(model->get<std::string>());
  const std::string stamp = Workspace::stampOf(statistics->get<std::string>());
  if (!opened || stamp.empty()) return {};
  nlohmann::json others = params;
  for (const char* left : {"model", "statistics", "preview"}) others.erase(left);
  return fmt::format("{} {} {} {}", method, opened->hash, stamp,
                     others.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

std::optional<nlohmann::json> kept(Workspace& workspace, std::string_view method, const nlohmann::json& params) {
  const std::string key = keyOf(workspace, method, params);
  return key.empty() ? std::nullopt : workspace.result(key);
}

nlohmann::json keep(Call& call, std::string_view method, nlohmann::json answer) {
  if (const std::string key = keyOf(call.workspace, method, call.params); !key.empty())
    call.workspace.keepResult(key, answer);
  return answer;
}

}  // namespace

Result<nlohmann::json> calibrateModel(Call& call) {
  Fields fields(call.params, "the parameters of calibrate");
  const auto text = fields.record<TextSelection>("text");
  const bool gradients = !fields.has("gradients") || fields.boolean("gradients");
  const std::string output = fields.text("output");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  if (model.plan)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("{} is an export; statistics are those of an original model.", model.checkpoint.path.string()),
        "Give the original model.");
  KVISTA_CHECK(checkStandardInput(call, text));
  KVISTA_CHECK(checkTexts(text.paths));
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(model, call.task));
  CalibrationRequest request;
  request.recipe = recipeOf(text, model.description);
  request.bos = bosTokenOf(model.checkpoint);
  request.gradients = gradients;
  request.partialFile = output + ".partial";
  KVISTA_CHECK(makeDataFolderFor(output));
  KVISTA_CHECK(checkCalibrationMemory(*decoder, request));
  KVISTA_ASSIGN(Statistics made, calibrate(*decoder, model.hash, *tokenizer, request, call.task));
  KVISTA_CHECK(saveStatistics(output, made, call.task));
  KVISTA_CHECK(forgetPass(request.partialFile, call.task));
  const auto statistics = std::make_shared<const Statistics>(std::move(made));
  call.workspace.keepStatistics(output, statistics);
  return toJson(recordOf(output, *statistics));
}

Result<nlohmann::json> openStatistics(Call& call) {
  Fields fields(call.params, "the parameters of openStatistics");
  const std::string path = fields.text("path");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_ASSIGN(const auto statistics, call.workspace.statistics(path, *inputs.model));
  return toJson(recordOf(path, *statistics));
}

Result<nlohmann::json> similarity(Call& call) {
  Fields fields(call.params, "the parameters of similarity");
  const std::string name = fields.text("measure");
  KVISTA_ASSIGN(const Inputs inputs, openInputsWithStatistics(call, fields));
  KVISTA_ASSIGN(const std::vector<int> layers, layersOf(fields, inputs.statistics->shape));
  KVISTA_ASSIGN(const Measure* measure, findMeasure(name));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const auto records, similaritiesOf(*decoder, *inputs.statistics, *measure, layers, call.task));
  return keep(call, "similarity", listOf(records));
}

std::optional<nlohmann::json> similarityAtOnce(Workspace& workspace, const nlohmann::json& params) {
  return kept(workspace, "similarity", params);
}

Result<nlohmann::json> layerSpectra(Call& call) {
  Fields fields(call.params, "the parameters of layerSpectra");
  KVISTA_ASSIGN(const Inputs inputs, openInputsWithStatistics(call, fields));
  KVISTA_ASSIGN(const std::vector<int> layers, layersOf(fields, inputs.statistics->shape));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const auto records, layerSpectraOf(*decoder, *inputs.statistics, layers, call.task));
  return keep(call, "layerSpectra", listOf(records));
}

std::optional<nlohmann::json> layerSpectraAtOnce(Workspace& workspace, const nlohmann::json& params) {
  return kept(workspace, "layerSpectra", params);
}

}  // namespace kvista
