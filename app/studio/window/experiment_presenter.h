// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/workflow.h"

namespace kvista {

class ExperimentView;

/// Shows the experiment that runs, or what came of the last one on the open model.
class ExperimentPresenter final : public QObject {
  Q_OBJECT

 public:
  ExperimentPresenter(Document& document, Workflow& workflow, JobList& jobs, ExperimentView& view);

 private:
  void show();
  void openReport();
  Document& document_;
  Workflow& workflow_;
  JobList& jobs_;
  ExperimentView& view_;
  std::string model_;  // Whose rows they are, by content.
  std::vector<ExperimentRow> rows_;
};

}  // namespace kvista
