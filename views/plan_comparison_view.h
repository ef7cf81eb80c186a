// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "views/heat_tables.h"
#include "views/plain_table.h"
#include "views/plan_comparison_record.h"
#include "views/view.h"

class QBoxLayout;
class QComboBox;
class QLabel;
class QPushButton;

namespace kvista {

class SegmentedControl;

/// Two plans of one model: their figures, and where each spends its bits or loses, side by side and as differences.
class PlanComparisonView final : public View {
  Q_OBJECT

 public:
  enum class Quantity { bits, loss };

  explicit PlanComparisonView(QWidget* parent = nullptr);
  void setRecord(PlanComparisonRecord record);
  [[nodiscard]] const PlanComparisonRecord& record() const { return record_; }
  void setQuantity(Quantity quantity);
  [[nodiscard]] Quantity quantity() const { return quantity_; }
  /// "Layer 3 · K5 · A 3.25 bits, B 2.50 bits · difference −0.75"
  [[nodiscard]] QString describe(HeatTables::Cell cell) const;
  [[nodiscard]] HeatTables* tables() const { return tables_; }
  /// What the tables show, a line a layer and head, or layer and side; nothing where they show nothing.
  [[nodiscard]] PlainTable plainTable() const;

  [[nodiscard]] QWidget* controls() override;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {960, 440}; }
  /// Higher where the tables stand below the figures, for lack of width.
  [[nodiscard]] QSize minimumSizeHint() const override;

 Q_SIGNALS:
  /// Another pair was chosen: ids of PlanChoice.
  void plansChosen(const QString& a, const QString& b);
  void layerActivated(int layer);
  /// What is under the pointer or the cursor, in words; empty: nothing.
  void hovered(const QString& text);

 protected:
  void resizeEvent(QResizeEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  QWidget* makeHeader();
  void showTables();
  [[nodiscard]] const Matrix& shown(const ComparedPlan& plan) const;
  [[nodiscard]] QString columnName(int layer, int column) const;
  [[nodiscard]] double valueOf(const ComparedPlan& plan, HeatTables::Cell cell) const;

  PlanComparisonRecord record_;
  Quantity quantity_ = Quantity::bits;
  QLabel* empty_;
  QWidget* content_;
  QComboBox* a_;
  QComboBox* b_;
  QPushButton* swap_;
  QBoxLayout* body_;
  QWidget* figures_;
  QLabel* noLoss_;
  HeatTables* tables_;
  SegmentedControl* quantities_;
};

}  // namespace kvista
