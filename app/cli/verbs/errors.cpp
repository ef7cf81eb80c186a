// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "app/cli/engine_methods.h"
#include "app/cli/verb.h"
#include "core/protocol/lab_records.h"

namespace kvista {
namespace {

struct Options {
  std::string project;
  bool variants = false;
  ComputeSettings compute;
};

/// A line a layer, a column a head; "-" where it is not known.
std::string table(const char* title, const Matrix& matrix) {
  std::string text = fmt::format("{}\n", title);
  for (int layer = 0; layer < matrix.rows; ++layer) {
    text += fmt::format("{:>4} ", layer);
    for (int head = 0; head < matrix.columns; ++head)
      text += std::isnan(matrix.at(layer, head)) ? fmt::format(" {:>8}", "-")
                                                 : fmt::format(" {:>8.4g}", matrix.at(layer, head));
    text += "\n";
  }
  return text;
}

Result<Output> compareVariants(const nlohmann::json& params, Workspace& workspace, const Task& task) {
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "keyVariants", params, task));
  KVISTA_ASSIGN(const auto record, read<KeyVariantsRecord>(answer));
  Output output;
  output.text =
      "relative squared errors at the plan's ranks, means over layers and heads\n             keys   values   scores  "
      "outputs\n";
  output.json["variants"] = nlohmann::ordered_json::array();
  for (const KeyVariantRecord& each : record.variants) {
    output.json["variants"].push_back({{"method", each.method},
                                       {"keys", each.keys},
                                       {"values", each.values},
                                       {"logits", each.logits},
                                       {"attentionOutputs", each.attentionOutputs}});
    output.text += fmt::format("{:<8} {:>8.4f} {:>8.4f} {:>8.4f} {:>8.4f}\n", each.method, each.keys, each.values,
                               each.logits, each.attentionOutputs);
  }
  return output;
}

Result<Output> run(const Options& options, const Task& task) {
  if (!looksLikeProject(options.project))
    return fail(ErrorCode::invalidArgument, fmt::format("{} is not a project with a plan.", options.project),
                "Make one with `kvista plan`.");
  Workspace workspace(engineSettings(options.compute));
  KVISTA_ASSIGN(const nlohmann::json params, subjectParams(workspace, options.project));
  if (options.variants) return compareVariants(params, workspace, task);
  KVISTA_ASSIGN(const nlohmann::json answer, askEngine(workspace, "planErrors", params, task));
  KVISTA_ASSIGN(const auto record, read<PlanErrorsRecord>(answer));
  Output output;
  const auto add = [&](const char* name, const char* title, const Matrix& matrix) {
    if (matrix.isEmpty()) return;
    output.json[name] = rowsOf(matrix);
    output.text += table(title, matrix);
  };
  add("keys", "relative squared error of keys, by layer and KV head", record.keys);
  add("values", "relative squared error of values, by layer and KV head", record.values);
  add("keyLoss", "predicted rise of the loss by keys, nats a token", record.keyLoss);
  add("valueLoss", "predicted rise of the loss by values, nats a token", record.valueLoss);
  add("logits", "relative squared error of attention scores, by layer and query head", record.logits);
  add("attentionOutputs", "relative squared error of attention outputs, by layer and query head",
      record.attentionOutputs);
  return output;
}

}  // namespace

void addErrors(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(app, invocation,
                           {"errors", "Where a plan errs: keys, values, attention scores and outputs by layer and head",
                            "kvista errors demo.kvista"},
                           options, run);
  verb->add_option("project", options->project, "Project of `kvista plan` or the window, with statistics")->required();
  verb->add_flag("--variants", options->variants,
                 "Compare KQ-SVD, K-SVD and Eigen Attention at the plan's ranks (for keys after RoPE at 16 bits)");
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
