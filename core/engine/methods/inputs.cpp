// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/methods/inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/engine/analysis.h"
#include "core/engine/memory_forecast.h"
#include "core/policy/named_policies.h"
#include "core/text/model_tokenizer.h"

namespace kvista {

Result<Inputs> openInputs(Call& call, Fields& fields) {
  Inputs inputs;
  const std::string path = fields.text("model");
  if (fields.has("statistics")) inputs.statisticsPath = fields.text("statistics");
  if (fields.has("plan")) inputs.plan = fields.take("plan", planFromJson(*fields.find("plan")));
  if (fields.has("factors")) inputs.factorsPath = fields.text("factors");
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(inputs.model, call.workspace.model(path));
  if (!inputs.statisticsPath.empty()) {
    KVISTA_ASSIGN(inputs.statistics, call.workspace.statistics(inputs.statisticsPath, *inputs.model));
  }
  if (!inputs.plan) return inputs;
  if (inputs.model->plan)
    return fail(ErrorCode::invalidArgument, fmt::format("{} is an export and has its plan already.", path),
                "Give the original model.");
  if (const auto problems = validate(*inputs.plan, inputs.model->description.shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  return inputs;
}

Result<Inputs> openInputsWithStatistics(Call& call, Fields& fields) {
  fields.find("statistics");
  return openInputs(call, fields);
}

Result<CompressionPlan> planOf(const Inputs& inputs) {
  if (inputs.plan) return *inputs.plan;
  return fail(ErrorCode::invalidArgument, "The field 'plan' of the parameters is missing.");
}

TextRecipe recipeOf(const TextSelection& text, const DecoderDescription& description) {
  TextRecipe recipe;
  recipe.paths = text.paths;
  recipe.weights = text.weights;
  recipe.window = text.window > 0 ? text.window : usualWindow(description.maximumPositions);
  if (text.windows > 0) recipe.windows = text.windows;
  recipe.skipWindows = text.skipWindows;
  recipe.seed = text.seed;
  recipe.beginWithBos = text.beginWithBos;
  return recipe;
}

Result<std::optional<PolicyRequest>> policyOf(Fields& fields) {
  if (!fields.has("policy")) return std::nullopt;
  const std::string text = fields.text("policy");
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(PolicyRequest request, policyFromText(text));
  return request;
}

Result<nlohmann::json> checkPolicyFor(Call& call) {
  Fields fields(call.params, "the parameters of checkPolicy");
  const std::string text = fields.text("policy");
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(const PolicyRequest request, policyFromText(text));
  return nlohmann::json(toText(request));
}

Result<std::optional<PolicyUse>> policyUseOf(const std::optional<PolicyRequest>& policy, const Inputs& inputs,
                                             const PlanTransform* transform) {
  if (!policy) return std::nullopt;
  PolicyRequest known = *policy;
  // An export's own weights are not those that a gate was made for.
  if (!inputs.model->plan) known.model = inputs.model->hash;
  KVISTA_ASSIGN(PolicyUse use,
                policyOver(transform != nullptr ? transform : inputs.model->ownTransform.get(), std::move(known)));
  return use;
}

void notePolicy(nlohmann::json& answer, const std::optional<PolicyUse>& policy) {
  if (policy) answer.update({{"policy", toText(policy->request)}, {"overPlan", policy->plan != nullptr}});
}

Result<void> checkStandardInput(Call& call, const TextSelection& text) {
  if (call.workspace.settings().readsStandardInput || std::ranges::find(text.paths, "-") == text.paths.end()) return {};
  return fail(ErrorCode::invalidArgument, "The engine's standard input carries requests; it cannot be a text.",
              "Give a file or a folder.");
}

Result<TokenWindows> readSelection(Call& call, WorkModel& model, const TextSelection& text) {
  KVISTA_CHECK(checkStandardInput(call, text));
  KVISTA_ASSIGN(const auto tokenizer, call.workspace.tokenizer(model));
  return readTokenWindows(*tokenizer, recipeOf(text, model.description), bosTokenOf(model.checkpoint), call.task);
}

std::string textInWords(const TextSelection& text) { return fmt::format("{}", fmt::join(text.paths, ", ")); }

Result<std::vector<int>> layersOf(Fields& fields, const ModelShape& shape) {
  if (!fields.has("layers")) return allLayers(shape);
  std::vector<int> layers = fields.counts("layers", 0, shape.layers - 1);
  std::ranges::sort(layers);
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return fields.finish(std::move(layers));
}

Result<std::shared_ptr<const PlanTransform>> transformOf(Call& call, Inputs& inputs) {
  if (!inputs.plan) return nullptr;
  KVISTA_CHECK(checkMemory(planBytes(*inputs.plan, inputs.model->description.shape), c10::kCPU, "The plan's factors"));
  return call.workspace.transform(*inputs.model, inputs.factorSource(), *inputs.plan, call.task);
}

}  // namespace kvista
