// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/document.h"
#include "app/studio/workflow.h"

namespace kvista {

class ErrorView;
class SpectraView;

/// Shows the spectra of the selected layer's groups, and where the plan errs.
class AnalysisPresenter final : public QObject {
  Q_OBJECT

 public:
  AnalysisPresenter(Document& document, Workflow& workflow, SpectraView& spectra, ErrorView& errors);

 Q_SIGNALS:
  void message(const QString& text);
  void failed(const kvista::Error& error);

 private:
  void showSpectra();
  void showErrors();
  void askErrorsIfSeen();
  bool eventFilter(QObject* watched, QEvent* event) override;
  Document& document_;
  Workflow& workflow_;
  SpectraView& spectra_;
  ErrorView& errors_;
};

}  // namespace kvista
