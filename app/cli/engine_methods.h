// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "app/cli/model.h"
#include "core/engine/workspace.h"
#include "core/protocol/records.h"

namespace kvista {

/// Verbs that show what the window shows ask the engine's methods in this process, so that the numbers are the same.

/// Of an engine as the options say; sets the number of threads too.
EngineSettings engineSettings(const ComputeSettings& compute);

/// A model or a project as the methods' parameters `model`, `statistics`, `plan` and `factors`. Errors: what opening
/// answers, and files that are not those the project's plan was made for.
Result<nlohmann::json> subjectParams(Workspace& workspace, const std::string& subject);

/// Puts the policy that the subject is measured under (askedPolicy), if there is one, into a method's parameters.
Result<void> takePolicy(Workspace& workspace, const std::string& line, nlohmann::json& params);

/// The policy that an engine's answer says it was measured under.
struct PolicyNote {
  std::string line;  ///< As policyFromText; empty: none.
  bool overPlan = false;
  /// "plan under snapkv share=.25"
  [[nodiscard]] std::string title() const;
  [[nodiscard]] nlohmann::ordered_json json() const { return {{"line", line}, {"overPlan", overPlan}}; }
};
PolicyNote policyIn(const nlohmann::json& answer);

/// What the engine's method of this name answers.
Result<nlohmann::json> askEngine(Workspace& workspace, std::string_view method, const nlohmann::json& params,
                                 const Task& task);

/// The text options as a selection; `tokens` is left to the method's own limit.
TextSelection selectionOf(const TextSettings& settings);

/// Rows of numbers, null where one is not known.
nlohmann::ordered_json rowsOf(const Matrix& matrix);

}  // namespace kvista
