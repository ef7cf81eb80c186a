// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/workflow.h"
#include "core/protocol/work_records.h"

namespace kvista {

class ExperimentView;
struct ExperimentTable;

/// Rows as tables: sweeps and texts, systems and values in the order in which they were measured first. The best of a
/// column is among those that took no more than it says.
std::vector<ExperimentTable> experimentTablesOf(const std::vector<ExperimentRow>& rows);

/// Shows the experiment that runs, or what came of the last one on the open model.
class ExperimentPresenter final : public QObject {
  Q_OBJECT

 public:
  ExperimentPresenter(Document& document, Workflow& workflow, JobList& jobs, ExperimentView& view);

 private:
  void show();
  void openReport();
  [[nodiscard]] QString reportFile() const;
  Document& document_;
  Workflow& workflow_;
  JobList& jobs_;
  ExperimentView& view_;
  std::string model_;  // Whose rows they are, by content.
  std::vector<ExperimentRow> rows_;
};

}  // namespace kvista
