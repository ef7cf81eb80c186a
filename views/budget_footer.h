// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include "views/budget_record.h"

class QHeaderView;

namespace kvista {

/// Sums under the table's columns, requested and achieved bytes, and what is wrong.
class BudgetFooter final : public QWidget {
  Q_OBJECT

 public:
  BudgetFooter(QHeaderView* header, QWidget* parent);
  void setRecord(const BudgetRecord& record);
  void setReason(const QString& reason);
  /// Stands at the right end of the lower line.
  void setControls(QWidget* controls);
  [[nodiscard]] const QString& reason() const { return reason_; }
  /// "requested 2,048 B · achieved 2,040 B · measured 0.0131 nats a token"; over budget it says so.
  [[nodiscard]] QString budgetText() const;
  [[nodiscard]] bool isOverBudget() const {
    return record_.requestedBytes > 0 && record_.achievedBytes > record_.requestedBytes;
  }
  [[nodiscard]] bool hasHeightForWidth() const override { return true; }
  [[nodiscard]] int heightForWidth(int width) const override { return placesIn(width).height; }
  [[nodiscard]] QSize sizeHint() const override;
  /// What stands below the sums, and where.
  [[nodiscard]] QString line() const;
  [[nodiscard]] QRect linePlace() const { return placesIn(width()).line; }
  /// The row of sums at the places of the header's sections, `left` being where the header starts.
  void paintSums(QPainter& painter, const QRectF& row) const;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  bool event(QEvent* event) override;

 private:
  [[nodiscard]] bool warns() const { return !reason_.isEmpty() || isOverBudget(); }
  /// Where all is in this width: the line beside the controls, or above them where that is too narrow, in as many rows
  /// as it takes.
  struct Places {
    QRect line, controls;
    int height = 0;
  };
  [[nodiscard]] Places placesIn(int width) const;
  void layOut();
  QHeaderView* header_;
  BudgetRecord record_;  // Without its rows.
  int groups_ = 0, locked_ = 0;
  std::int64_t ranks_ = 0, directions_ = 0, bytes_ = 0;
  std::optional<double> loss_;
  QString reason_;
  QWidget* controls_ = nullptr;
};

}  // namespace kvista
