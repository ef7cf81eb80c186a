// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/engine_methods.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "core/checkpoint/open_model.h"
#include "core/engine/method.h"
#include "core/model/torch_guard.h"

namespace kvista {

EngineSettings engineSettings(const ComputeSettings& compute) {
  if (compute.threads > 0) at::set_num_threads(compute.threads);
  return {KVISTA_VERSION, compute.device, compute.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat, true,
          compute.streamLayers};
}

Result<nlohmann::json> subjectParams(Workspace& workspace, const std::string& subject) {
  if (!looksLikeProject(subject)) {
    KVISTA_ASSIGN(const auto model, workspace.model(subject));
    for (const std::string& warning : model->checkpoint.warnings) spdlog::warn("{}", warning);
    return nlohmann::json{{"model", subject}};
  }
  KVISTA_ASSIGN(const Project project, loadProject(subject));
  KVISTA_ASSIGN(const auto model, workspace.model(project.model.string()));
  KVISTA_CHECK(checkProjectParts(project, model->hash, nullptr));
  nlohmann::json params = {{"model", project.model.string()}, {"plan", toJson(project.plan)}};
  std::shared_ptr<const Statistics> statistics;
  if (!project.statistics.empty()) {
    KVISTA_ASSIGN(statistics, workspace.statistics(project.statistics.string(), *model));
    params["statistics"] = project.statistics.string();
  }
  KVISTA_CHECK(checkProjectParts(project, model->hash, statistics.get()));
  if (const std::filesystem::path factors = factorsOf(project); !factors.empty()) params["factors"] = factors.string();
  return params;
}

Result<void> takePolicy(Workspace& workspace, const std::string& line, nlohmann::json& params) {
  KVISTA_ASSIGN(const auto model, workspace.model(params.at("model").get<std::string>()));
  if (std::string asked = askedPolicy(line, recordedPolicy(model->checkpoint)); !asked.empty())
    params["policy"] = std::move(asked);
  return {};
}

std::string PolicyNote::title() const { return fmt::format("{} under {}", overPlan ? "plan" : "original", line); }

PolicyNote policyIn(const nlohmann::json& answer) {
  return {answer.value("policy", ""), answer.value("overPlan", false)};
}

Result<nlohmann::json> askEngine(Workspace& workspace, std::string_view method, const nlohmann::json& params,
                                 const Task& task) {
  Call call{workspace, params, task, [&](const ProgressRecord& each) {
              task.progress(each.stage, static_cast<std::uint64_t>(each.done), static_cast<std::uint64_t>(each.total),
                            each.unit);
              return true;
            }};
  return guardTorch(fmt::format("The method \"{}\"", method), [&] { return findEngineMethod(method)->run(call); });
}

TextSelection selectionOf(const TextSettings& settings) {
  TextSelection selection{
      settings.recipe.paths,        settings.recipe.window, settings.windows, settings.recipe.skipWindows, {},
      settings.recipe.beginWithBos, settings.recipe.weights};
  if (settings.seed >= 0) selection.seed = static_cast<std::uint64_t>(settings.seed);
  return selection;
}

nlohmann::ordered_json rowsOf(const Matrix& matrix) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (int row = 0; row < matrix.rows; ++row) {
    nlohmann::ordered_json& numbers = rows.emplace_back(nlohmann::ordered_json::array());
    for (int column = 0; column < matrix.columns; ++column) numbers.push_back(matrix.at(row, column));
  }
  return rows;
}

}  // namespace kvista
