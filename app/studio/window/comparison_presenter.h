// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <optional>
#include <utility>
#include <vector>

#include "app/studio/document.h"
#include "app/studio/other_model.h"
#include "app/studio/workflow.h"

namespace kvista {

class ComparisonView;
class PlanComparisonView;
struct ComparedPlan;
struct ComparisonRecord;
struct HeatmapRecord;

/// Shows two of the plans kept, the plan under edit and another project's, and the similarities of the selected layer
/// beside others, those of another model among them. Views that are out of sight are shown anew when they come into it:
/// a drag elsewhere pays nothing for them.
class ComparisonPresenter final : public QObject {
  Q_OBJECT

 public:
  ComparisonPresenter(Document& document, Workflow& workflow, OtherModel& other, PlanComparisonView& plans,
                      ComparisonView& matrices);

 Q_SIGNALS:
  void message(const QString& text);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void showPlans();
  void showMatrices();
  void showSelection();
  [[nodiscard]] ComparedPlan compared(const QString& id) const;
  [[nodiscard]] ComparedPlan comparedOther() const;
  [[nodiscard]] bool isOthersPlanOffered() const;
  [[nodiscard]] std::vector<double> losses(const CompressionPlan& plan) const;
  [[nodiscard]] HeatmapRecord heatmap(const std::string& measure, int layer, Side side) const;
  void compareWithOther(ComparisonRecord& record, int layer) const;
  [[nodiscard]] std::vector<std::pair<QString, QString>> choices() const;

  Document& document_;
  Workflow& workflow_;
  OtherModel& other_;
  PlanComparisonView& plans_;
  ComparisonView& matrices_;
  std::optional<QString> a_, b_;  // As chosen; the plan may be gone.
  QString choice_;
};

}  // namespace kvista
