// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <optional>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/job_list.h"
#include "app/studio/lab.h"
#include "app/studio/window/lab_findings.h"
#include "views/lab_view.h"

namespace kvista {

/// Shows what the lab measured of the open plan, how far its work is, and what was trained for the open model.
class LabPresenter final : public QObject {
  Q_OBJECT

 public:
  LabPresenter(Document& document, Lab& lab, JobList& jobs, LabView& view);

 Q_SIGNALS:
  /// "plan.questions", ...
  void actionRequested(const QString& id);

 private:
  void showFindings();
  void showWork();
  /// Why a page's work cannot be begun now; empty: it can.
  [[nodiscard]] QString unavailable(LabView::Page page) const;
  [[nodiscard]] std::int64_t jobOf(LabView::Page page) const;
  /// Of the open model and its plan as it is now.
  [[nodiscard]] bool isOpen(const std::string& model, const std::string& plan) const;
  Document& document_;
  Lab& lab_;
  JobList& jobs_;
  LabView& view_;
  std::string questionsModel_, agreementModel_, variantsModel_, predictorsModel_;  // By content.
  std::optional<TasksRecord> questions_;
  std::optional<AgreementRecord> agreement_;
  std::optional<KeyVariantsRecord> variants_;
  std::vector<PredictorRecord> predictors_;
  std::vector<ModelRanks> ranks_;  // Of every model that was open, to be compared.
};

}  // namespace kvista
