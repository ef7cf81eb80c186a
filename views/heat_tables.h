// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>
#include <array>
#include <optional>

#include "core/plan/matrix.h"
#include "views/colour_scale.h"
#include "views/matrix_image.h"

namespace kvista {

/// Values by layer and head, or by layer and side.
struct HeatTablesRecord {
  Matrix a, b;  ///< [layers, columns]; one of them may be empty: not known.
  QString titleA, titleB;
  bool operator==(const HeatTablesRecord&) const = default;
};

/// A, B and B minus A side by side: layers down; keys, a gap, values across. A and B have the same colours, the
/// difference its own about zero; the pointer and the cursor in one are those in all.
class HeatTables final : public QWidget {
  Q_OBJECT

 public:
  explicit HeatTables(QWidget* parent = nullptr);
  /// Nothing is drawn of tables that have nothing or not the same sizes.
  void setRecord(HeatTablesRecord record);
  void setLayer(int layer);

  struct Cell {
    int layer = 0, column = 0;
    bool operator==(const Cell&) const = default;
  };
  /// Under the pointer or, where there is none, the keyboard's cursor.
  [[nodiscard]] std::optional<Cell> pointed() const { return hover_ ? hover_ : hasFocus() ? cursor_ : std::nullopt; }
  enum Part { a, b, difference };
  /// In the widget's coordinates; empty outside the tables.
  [[nodiscard]] QRectF cellRect(Part part, Cell cell) const;
  /// NaN where not known.
  [[nodiscard]] float value(Part part, Cell cell) const;
  [[nodiscard]] int layers() const { return matrices_[a].rows; }
  [[nodiscard]] int columns() const { return matrices_[a].columns; }
  [[nodiscard]] Range range() const { return scale_.range(); }
  [[nodiscard]] Range differenceRange() const { return differenceScale_.range(); }
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {880, 320}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {480, 140}; }

 Q_SIGNALS:
  void pointedChanged();
  void layerActivated(int layer);

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;

 private:
  /// Where everything stands in a rectangle: on screen and on paper.
  struct Places {
    std::array<QPointF, 3> origin;                                ///< Of the cells.
    double cellWidth = 1, cellHeight = 1, width = 0, height = 0;  ///< Of one cell; of all of a table.
    QRectF bar, differenceBar;
  };
  [[nodiscard]] Places placesIn(const QRectF& area) const;
  [[nodiscard]] QRectF block(const Places& places, Part part, int layer, int column, int layers, int columns) const;
  [[nodiscard]] std::optional<Cell> cellAt(const QPointF& position) const;
  using Images = std::array<MatrixImage, 2>;  ///< Keys and values.
  [[nodiscard]] Images imagesOf(Part part) const;
  void connectBar(RangeBar* bar, ColourScale& scale);
  void showColours();
  void placeBars();
  void moveCursor(Cell cell);
  void paintTable(QPainter& painter, const Places& places, Part part, const Images& images) const;
  void paintMarks(QPainter& painter, const Places& places) const;

  std::array<Matrix, 3> matrices_;
  std::array<QString, 3> titles_;
  std::array<Images, 3> images_;
  RangeBar* bar_;
  RangeBar* differenceBar_;
  ColourScale scale_, differenceScale_;
  int layer_ = -1;
  std::optional<Cell> hover_, cursor_;
};

}  // namespace kvista
