// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <optional>
#include <vector>

#include "views/log_chart.h"
#include "views/plain_table.h"
#include "views/view.h"

class QGridLayout;
class QLabel;
class QPushButton;

namespace kvista {

/// One step of the training of a plan's factors: mean divergence from the original, nats a token.
struct RefineStep {
  int step = 0;                   ///< From 1.
  double training = 0;            ///< Of the windows of this step.
  std::optional<double> heldOut;  ///< Of windows that no step sees, where they were looked at.
};

/// Perplexities on one text, before and after.
struct RefinePerplexity {
  QString name;  ///< "text refined on"
  QString text;  ///< Its file.
  double original = 0, planned = 0, refined = 0;
};

struct RefineCurve {
  std::vector<RefineStep> steps;
  std::optional<int> best;  ///< The step whose factors are kept.
  std::vector<RefinePerplexity> perplexities;
  QString status;  ///< How far it is, or what came of it, in words.
  bool running = false;
  QString unavailable;  ///< Why there is nothing to refine; empty: there is.
};

/// The training of a plan's factors while it goes on: its loss by steps, and the perplexities that came of it.
class RefineView final : public View {
  Q_OBJECT

 public:
  explicit RefineView(QWidget* parent = nullptr);
  void setRecord(RefineCurve record);
  [[nodiscard]] const RefineCurve& record() const { return record_; }
  /// "Step 120: training 0.0123, held out 0.0145 nats a token".
  [[nodiscard]] QString describe(const RefineStep& step) const;
  /// Where a step's training loss is drawn, in the chart's coordinates; nothing where it has no logarithm.
  [[nodiscard]] std::optional<QPointF> placeOf(const RefineStep& step) const;
  void paintFigure(QPainter& painter, const QRectF& area) const;
  /// Every step, for a file.
  [[nodiscard]] PlainTable plainTable() const;
  [[nodiscard]] QSize sizeHint() const override { return {480, 320}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {240, 200}; }

 Q_SIGNALS:
  void refineRequested();
  /// The best so far is wanted, no better one.
  void stopRequested();

 private:
  class Plot;
  void fit();
  void fill(LogChart& chart, const QSizeF& size) const;
  void showPerplexities();
  [[nodiscard]] std::optional<RefineStep> stepAt(const QPointF& place) const;

  RefineCurve record_;
  LogScale steps_{0, 1}, loss_{-3, 0};
  LogChart chart_;
  Plot* plot_;
  QLabel *status_, *empty_;
  QWidget* table_;
  QGridLayout* cells_;
  QPushButton *refine_, *stop_;
};

}  // namespace kvista
