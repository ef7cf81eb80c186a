// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/plan/budget.h"

/// What long work tells while it goes on, and what comes of it; as the records in records.h.
namespace kvista {

/// A piece of generated text, sent as progress while it is made, and the caches' sizes after it.
struct GeneratedPiece {
  std::string text;
  std::int64_t tokens = 0;      ///< In the cache, the prompt's among them.
  std::int64_t cacheBytes = 0;  ///< As this side stores them.
  bool compressed = false;      ///< Which side wrote it: the plan's, or the original.
  bool underPolicy = false;     ///< That side once more, with a policy that keeps its cache small.
  bool operator==(const GeneratedPiece&) const = default;
};

/// A point of a training's curve: mean divergence from the original, nats a token.
struct LossPoint {
  int step = 0;                        ///< Steps done.
  double training = 0;                 ///< Of this step's windows, before the step.
  std::optional<double> heldOut = {};  ///< Of the held-out windows, where they were looked at.
  bool operator==(const LossPoint&) const = default;
};

/// What one system of an experiment came to at one value on one text.
struct ExperimentRow {
  std::string sweep, system;  ///< Both empty for the model as it is.
  std::string text;           ///< Its name.
  Target target;
  std::string of;  ///< JSON of all that the figures depend on: a row of another model, text or system is measured anew.
  struct Figures {
    std::int64_t bytesPerToken = 0;
    double share = 0;                     ///< Of the 16-bit cache's bytes.
    double loss = 0;                      ///< Mean, nats a predicted token.
    double originalLoss = 0;              ///< Of the uncompressed model on the same predictions.
    std::optional<double> predictedRise;  ///< Of the loss, as the plan foresaw it.
    std::int64_t predictions = 0;
    double seconds = 0;                     ///< To plan, to make factors and to measure.
    std::string note;                       ///< What kept the plan from the request; empty if nothing did.
    std::vector<double> windowLosses = {};  ///< Mean of each window, in the text's order; may be empty.
    std::optional<double> riseError = {};   ///< Standard error of the rise, of windows paired with the uncompressed.
    [[nodiscard]] double rise() const { return loss - originalLoss; }
    bool operator==(const Figures&) const = default;
  };
  std::optional<Figures> figures;  ///< Absent where it failed.
  std::string problem;             ///< Why it failed.
  /// Whether it has figures and took no more than it was asked to, but for the rounding of ranks: only such rows can be
  /// the best.
  [[nodiscard]] bool keepsToTarget() const;
  bool operator==(const ExperimentRow&) const = default;
};

/// How far a job is. `generate` sends a piece with each, `refine` the points and `experiment` the rows since the last.
struct ProgressRecord {
  std::string stage;  ///< "calibrate", "evaluate", ...
  std::int64_t done = 0;
  std::int64_t total = 0;            ///< 0 when it is not known.
  std::string unit;                  ///< "tokens", "bytes", "layers", ...
  std::optional<double> etaSeconds;  ///< Of this stage; absent while it is not known.
  std::optional<GeneratedPiece> piece;
  std::vector<LossPoint> points = {};
  std::vector<ExperimentRow> rows = {};
  bool operator==(const ProgressRecord&) const = default;
};

/// Perplexities on the same tokens: of the original, of the plan's own factors, of the refined ones.
struct RefinedPerplexity {
  std::string text, tokensHash;
  std::int64_t predictions = 0;
  double original = 0, planned = 0, refined = 0;
  bool operator==(const RefinedPerplexity&) const = default;
};

/// What came of refining a plan.
struct RefineRecord {
  std::string factors;  ///< The file that holds them; empty where nothing was better than the plan's own.
  std::string planFingerprint;
  std::vector<std::string> texts;  ///< Refined on.
  int steps = 0, bestStep = 0;     ///< Done; where the factors are from, 0: nothing was better than the plan's own.
  std::string ended;               ///< Why, in words.
  double divergenceBefore = 0, divergenceAfter = 0;  ///< Of the held-out windows, nats a token.
  std::int64_t windows = 0, heldOutWindows = 0;
  double seconds = 0;
  std::vector<LossPoint> curve;
  /// Text refined on, and other text; absent where it was stopped before.
  std::optional<RefinedPerplexity> seen, unseen = {};
  bool operator==(const RefineRecord&) const = default;
};

nlohmann::json toJson(const GeneratedPiece& record);
nlohmann::json toJson(const LossPoint& record);
nlohmann::json toJson(const ProgressRecord& record);
nlohmann::json toJson(const RefinedPerplexity& record);
nlohmann::json toJson(const RefineRecord& record);
nlohmann::json toJson(const ExperimentRow& record);

template <class Record>
Result<Record> read(const nlohmann::json& json);

template <>
Result<GeneratedPiece> read(const nlohmann::json& json);
template <>
Result<LossPoint> read(const nlohmann::json& json);
template <>
Result<ProgressRecord> read(const nlohmann::json& json);
template <>
Result<RefinedPerplexity> read(const nlohmann::json& json);
template <>
Result<RefineRecord> read(const nlohmann::json& json);
template <>
Result<ExperimentRow> read(const nlohmann::json& json);

}  // namespace kvista
