// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>
#include <array>
#include <optional>

#include "core/plan/budget.h"
#include "core/plan/plan.h"

namespace kvista {

class TargetEditor;

struct FigureStripRecord {
  std::optional<std::int64_t> bytesPerToken, fullBytesPerToken, requestedBytes;
  std::optional<Target> target;
  std::optional<double> perplexity, originalPerplexity;
  bool perplexityIsEstimate = true;
  std::optional<double> timesFaster;      ///< Of a decode step's attention; below 1: slower.
  std::optional<double> arithmeticShare;  ///< Of the step's time.
  QString device;                         ///< "H200"
  std::int64_t context = 0;
  int plansTried = 0, plansOnFront = 0;
  bool stale = false;  ///< Something is being worked out again: everything that depends on the plan is hatched.
  QString note;        ///< What kept the plan from its target.
};

/// The figures of a plan, estimated; plans tried and what was measured are added by the caller.
FigureStripRecord figuresOf(const PlannedPlan& planned, const PlanningContext& context);

/// The five figures on every layout, which an edit changes under the hand.
class FigureStrip final : public QWidget {
  Q_OBJECT

 public:
  explicit FigureStrip(QWidget* parent = nullptr);
  void setRecord(FigureStripRecord record);
  [[nodiscard]] const FigureStripRecord& record() const { return record_; }
  /// Opens the line for the target, as a click on the figure does.
  void editTarget();

  /// What one figure says, from large to small.
  struct Text {
    QString caption, value, remark;
    QString warning;  ///< In place of the remark, with a sign.
    bool stale = false;
    [[nodiscard]] QString whole() const;
  };
  static constexpr int kFigures = 5;
  [[nodiscard]] Text text(int figure) const;
  [[nodiscard]] QSize sizeHint() const override { return {1200, 64}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {640, 64}; }

 Q_SIGNALS:
  void targetEntered(const kvista::Target& target);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  class Figure;
  void placeEditor();
  std::array<Figure*, kFigures> figures_{};
  TargetEditor* editor_;
  FigureStripRecord record_;
};

}  // namespace kvista
