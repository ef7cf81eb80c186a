// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/lab.h"
#include "app/studio/trial.h"
#include "app/studio/workflow.h"

namespace kvista {

struct EvaluationRow;
struct GenerateSettings;
class TryView;

/// Lets the original and the plan write, and measures both on texts.
class TryPresenter final : public QObject {
  Q_OBJECT

 public:
  TryPresenter(Document& document, Workflow& workflow, Lab& lab, TryView& view);

 Q_SIGNALS:
  /// "plan.retrieval"
  void actionRequested(const QString& id);

 private:
  void showState();
  void showResults();
  [[nodiscard]] EvaluationRow rowOf(const std::string& text, const std::string& plan) const;
  void generate(const QString& prompt, const GenerateSettings& settings);
  void askForFile(const QString& title, std::function<void(const QString&)> chosen);
  Document& document_;
  Workflow& workflow_;
  TryView& view_;
  Trial trial_;
  std::vector<GenerationWish::Turn> turns_;            // Of the conversation.
  std::optional<GenerationWish::Turn> turn_;           // That is being answered.
  std::vector<PolicyEvaluationRecord> underPolicies_;  // Of the open model.
  std::string conversationPlan_;                       // The answers are this plan's, and this policy's.
};

}  // namespace kvista
