// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/plan/plan.h"

namespace kvista {

/// One measurement of a plan.
struct MeasuredResult {
  std::string text;  ///< What it was measured on, as given.
  std::string tokensHash;
  std::string planFingerprint;
  double perplexityBefore = 0;
  double perplexityAfter = 0;
  std::int64_t predictions = 0;  ///< Tokens predicted; 0: not known.
  bool operator==(const MeasuredResult&) const = default;
};

/// A plan that was kept for comparison, with what was predicted of it; measurements name its fingerprint.
struct TriedPlan {
  std::string name;
  CompressionPlan plan;
  std::int64_t requestedBytes = 0;
  std::optional<double> predictedLoss, correctedLoss;  ///< As in Project.
  bool operator==(const TriedPlan&) const = default;
  /// The corrected prediction, or the raw one where nothing was measured.
  [[nodiscard]] std::optional<double> loss() const { return correctedLoss ? correctedLoss : predictedLoss; }
};

/// Factors of a plan that were trained (`kvista refine`), in a file beside the project. They hold for that plan alone.
struct RefinedFactors {
  std::filesystem::path file;  ///< Absolute in memory, as the model's path.
  std::string planFingerprint;
  std::vector<std::string> texts;  ///< What they were trained on, as given.
  int steps = 0;
  double divergenceBefore = 0, divergenceAfter = 0;  ///< Mean KL from the original on held-out windows, nats a token.
  bool operator==(const RefinedFactors&) const = default;
};

/// A .kvista file: which model, what it was calibrated on, the plan, what was predicted and measured. JSON, versioned.
struct Project {
  std::filesystem::path model;  ///< Absolute in memory, relative to the project in the file where that is possible.
  std::string modelHash;        ///< contentHash of the model.
  std::filesystem::path statistics;  ///< Empty for methods that need none.
  std::string tokensHash;            ///< Of the statistics' tokens.
  CompressionPlan plan;
  std::int64_t requestedBytes = 0;
  std::optional<double> predictedLoss;  ///< Nats a token, second order.
  std::optional<double> correctedLoss;  ///< Through the response curve.
  double baseLoss = 0;                  ///< Mean loss that the prediction was made from, nats a token; 0 if not known.
  std::optional<RefinedFactors> refined;
  std::vector<MeasuredResult> results;
  std::vector<TriedPlan> tried;
  std::string notes;
  nlohmann::json view = nlohmann::json::object();     ///< How the window showed it; read by the window and the report.
  nlohmann::json unknown = nlohmann::json::object();  ///< Fields of later versions or other programs: kept, not read.

  /// The file of the refined factors where they are those of a plan of this fingerprint; empty otherwise.
  [[nodiscard]] std::filesystem::path factorsFor(const std::string& planFingerprint) const {
    return refined && refined->planFingerprint == planFingerprint ? refined->file : std::filesystem::path();
  }
};

/// What decoding's time is shown for.
struct CostSettings {
  std::string device = "h200";
  std::int64_t context = 16384;
  int batch = 1;
  bool operator==(const CostSettings&) const = default;
};
/// What a project was last looked at with, from its `view`; what cannot be read is as it is at first.
CostSettings viewedCost(const nlohmann::json& view);

/// How alike heads are shown to be before anybody has chosen a measure.
inline constexpr const char* kUsualMeasure = "cka-sink-free";
std::string viewedMeasure(const nlohmann::json& view);

/// True where a file's beginning looks like a project (so that a model and a project can share one argument).
bool looksLikeProject(const std::filesystem::path& file);

Result<Project> loadProject(const std::filesystem::path& file);
/// The same of what such a file holds; `file` names it in messages, and its folder is where relative paths begin.
Result<Project> projectFromJson(nlohmann::json json, const std::filesystem::path& file);
/// Refuses a plan that the model of `shape` cannot have. Error (corruptFile): names `file`.
Result<void> checkPlanFits(const Project& project, const ModelShape& shape, const std::filesystem::path& file);
/// What its file holds. Paths are relative to `folder`; where that is empty they stay as they are.
nlohmann::json toJson(const Project& project, const std::filesystem::path& folder);
/// Atomic: an interrupted save leaves the old file whole.
Result<void> saveProject(const std::filesystem::path& file, const Project& project);

}  // namespace kvista
