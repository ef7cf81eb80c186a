// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/trial.h"
#include "app/studio/workflow.h"

namespace kvista {

struct GenerateSettings;
class TryView;

/// Lets the original and the plan write, and measures both on texts.
class TryPresenter final : public QObject {
  Q_OBJECT

 public:
  TryPresenter(Document& document, Workflow& workflow, TryView& view);

 private:
  void showState();
  void showResults();
  void generate(const QString& prompt, const GenerateSettings& settings);
  void askForFile(const QString& title, std::function<void(const QString&)> chosen);
  Document& document_;
  Workflow& workflow_;
  TryView& view_;
  Trial trial_;
  std::vector<GenerationWish::Turn> turns_;  // Of the conversation.
  std::optional<GenerationWish::Turn> turn_;  // That is being answered.
  std::string conversationPlan_;              // The answers are this plan's, and this policy's.
};

}  // namespace kvista
