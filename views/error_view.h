// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <optional>
#include <vector>

#include "core/plan/matrix.h"
#include "views/log_chart.h"
#include "views/matrix_image.h"
#include "views/value_range.h"
#include "views/view.h"

namespace kvista {

/// One kind of error, layers down, heads across.
struct ErrorMatrix {
  QString label;  ///< "keys", "logits", ...
  QString heads;  ///< How heads are called: "K", "Q".
  Matrix errors;  ///< Relative, 0.02 for 2 %; NaN: not measured.
};

/// One plan tried.
struct PredictionPoint {
  QString fingerprint, label;
  double predicted = 0, measured = 0;  ///< Rise of the mean loss, nats a token.
  bool current = false;
};

struct ErrorRecord {
  std::vector<ErrorMatrix> matrices;
  std::vector<PredictionPoint> plans;
};

/// Where a plan errs (a small heat table for each kind of error, on one scale) and how well that was predicted.
class ErrorView final : public View {
  Q_OBJECT

 public:
  explicit ErrorView(QWidget* parent = nullptr);
  void setRecord(ErrorRecord record);

  struct Cell {
    int matrix = 0, layer = 0, head = 0;
    bool operator==(const Cell&) const = default;
  };
  [[nodiscard]] std::optional<Cell> cellAt(const QPointF& place) const;
  /// "Layer 3 · K5 · keys · 0.0213".
  [[nodiscard]] QString describe(const Cell& cell) const;
  [[nodiscard]] std::optional<int> planAt(const QPointF& place) const;
  /// Where a plan's point is; nothing where its figures have no logarithm.
  [[nodiscard]] std::optional<QPointF> placeOf(int plan) const;
  /// Both ends of the scale of all tables.
  [[nodiscard]] Range range() const { return range_; }
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {900, 340}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {420, 240}; }

 Q_SIGNALS:
  void cellActivated(int layer, int head, const QString& kind);
  void planActivated(const QString& fingerprint);
  void hovered(const QString& text);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool event(QEvent* event) override;

 private:
  struct Layout {
    std::vector<QRectF> tables;  // Cells alone, one a matrix.
    QRectF scale, scatter;
  };
  [[nodiscard]] Layout layoutIn(const QRectF& area) const;
  [[nodiscard]] QString describePlan(int plan) const;
  void paintTables(QPainter& painter, const Layout& layout) const;
  void paintAll(QPainter& painter, const Layout& layout, LogChart& scatter) const;
  [[nodiscard]] QString scaleLabel(double part) const;
  void paintScale(QPainter& painter, const QRectF& area) const;
  void fillScatter(LogChart& chart, const QSizeF& size) const;
  void arrange();  // The widget's own chart.
  void setCell(std::optional<Cell> cell);

  ErrorRecord record_;
  std::vector<MatrixImage> images_;
  Range range_;
  LogScale loss_{-4, -1};
  LogChart scatter_;
  std::optional<Cell> cell_;
};

}  // namespace kvista
