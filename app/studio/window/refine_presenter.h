// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <optional>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/workflow.h"

namespace kvista {

class RefineView;

/// Shows the training that runs, or what came of the last one of the open project.
class RefinePresenter final : public QObject {
  Q_OBJECT

 public:
  RefinePresenter(Document& document, Workflow& workflow, JobList& jobs, RefineView& view);

 private:
  void show();
  [[nodiscard]] QString status(const Job* job) const;
  [[nodiscard]] QString unavailable() const;
  Document& document_;
  Workflow& workflow_;
  JobList& jobs_;
  RefineView& view_;
  std::vector<LossPoint> points_;
  std::optional<RefineRecord> result_;
};

}  // namespace kvista
