// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/workflow.h"

namespace kvista {

class TryView;

/// Lets the original and the plan write, and measures both on texts.
class TryPresenter final : public QObject {
  Q_OBJECT

 public:
  TryPresenter(Document& document, Workflow& workflow, TryView& view);

 private:
  void showState();
  void showResults();
  Document& document_;
  Workflow& workflow_;
  TryView& view_;
};

}  // namespace kvista
