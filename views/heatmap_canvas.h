// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPoint>
#include <QWidget>
#include <optional>

#include "views/heatmap_paint.h"
#include "views/plain_table.h"

namespace kvista {

/// Two heads, whatever the order they are shown in.
struct HeadPair {
  int row = 0;
  int column = 0;
  bool operator==(const HeadPair&) const = default;
};

/// The rows and columns whose crossings are selected, as heads: a block, until another order tears it apart.
struct HeadBlock {
  std::vector<int> rows, columns;
  bool operator==(const HeadBlock&) const = default;
  [[nodiscard]] bool isEmpty() const { return rows.empty() || columns.empty(); }
  /// Every head of either side once, rows first.
  [[nodiscard]] std::vector<int> heads() const;
};

/// The cells of a heatmap with their axes: shows, zooms, pans, and lets blocks be selected by mouse and keyboard.
/// The cells fill the square `cellsRect()`; whoever lays it out gives it `sizeFor(side)`.
class HeatmapCanvas final : public QWidget {
  Q_OBJECT

 public:
  explicit HeatmapCanvas(QWidget* parent = nullptr);

  /// Keeps zoom, cursor and selection where the number of heads stays the same.
  void setRecord(const HeatmapRecord& record);
  [[nodiscard]] const HeatmapRecord& record() const { return record_; }
  void setArrangement(const Arrangement& arrangement);
  [[nodiscard]] const Arrangement& arrangement() const { return arrangement_; }
  void setColours(Range range, const ColourTable& colours);

  [[nodiscard]] const HeatmapAxes& axes() const { return axes_; }
  /// Axes may be left out where pictures stand side by side.
  void setAxes(const HeatmapAxes& axes);
  [[nodiscard]] QSize sizeFor(double side) const;
  [[nodiscard]] QRectF cellsRect() const;
  /// Where a cell lies, whether in sight or not.
  [[nodiscard]] QRectF cellRect(HeadPair pair) const;
  [[nodiscard]] std::optional<HeadPair> pairAt(QPointF position) const;

  [[nodiscard]] const QRectF& visibleCells() const { return visible_; }
  void setVisibleCells(const QRectF& visible);
  /// Zooms by `factor` (2: half as many cells) and keeps what lies under `fixed`.
  void zoom(double factor, QPointF fixed);
  void fit();
  /// Known values in sight, those of a head with itself left out.
  [[nodiscard]] std::vector<float> visibleValues() const;

  [[nodiscard]] std::optional<HeadPair> cursor() const { return cursor_; }
  [[nodiscard]] std::optional<HeadPair> hovered() const { return hovered_; }
  void setHovered(std::optional<HeadPair> pair);
  [[nodiscard]] const HeadBlock& selection() const { return selection_; }
  /// Says nothing: for links from other views. Heads that there are not are passed over.
  void setSelection(HeadBlock selection);

  /// "Layer 3 · K5 and K11 · linear CKA 0.9127 · groups 1 and 3"
  [[nodiscard]] QString describe(HeadPair pair) const;
  /// The selected block in the order shown, names in the first row and column, numbers as C writes them.
  [[nodiscard]] QString selectionAsTsv() const;
  [[nodiscard]] PlainTable selectionTable() const { return plainTable(selection_.rows, selection_.columns); }
  /// The whole matrix in the order shown; nothing where it cannot be drawn.
  [[nodiscard]] PlainTable plainTable() const;
  /// Puts it on the clipboard and says `copied`.
  void copySelection();
  /// A block's picture for paper, as `paintHeatmap` draws it; no cursor, no selection.
  void paintFigure(QPainter& painter, const QRectF& rect) const;

  /// Whether names can be dragged along their axis, for an order of one's own.
  void setMovable(bool movable) { movable_ = movable; }
  /// The head whose name is there, in either axis.
  [[nodiscard]] std::optional<int> namedAt(QPointF position) const;
  /// Between which places what is dragged would come: before this one, up to the number of heads; nothing is dragged:
  /// absent.
  [[nodiscard]] std::optional<int> gap() const { return moving_ ? moving_->gap : std::nullopt; }

  static constexpr double kFewestCells = 2;  ///< As far as one can zoom in.

 Q_SIGNALS:
  void hoveredChanged(std::optional<kvista::HeadPair> pair);
  /// The keyboard's cell has moved.
  void cursorChanged(kvista::HeadPair pair);
  void selectionChanged(const kvista::HeadBlock& selection);
  void visibleCellsChanged(const QRectF& visible);
  void copied(int cells);
  /// The selected heads, or the cursor's, are to stand one place before (-1) or behind (1) where they do.
  void moveRequested(int by);
  /// Heads were dragged by their names: they are to stand before what stands at this place now.
  void dropped(const std::vector<int>& heads, int place);

 protected:
  bool event(QEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  [[nodiscard]] PlainTable plainTable(std::vector<int> rows, std::vector<int> columns) const;
  [[nodiscard]] HeatmapPicture picture() const;
  void paintSelection(QPainter& painter, const HeatmapPicture& picture) const;
  void moveCursor(int rowPlace, int columnPlace, bool extend);
  void showCursor();
  void setSelectionByHand(HeadBlock selection);
  void takeHold(int head, QPointF position);
  void dragTo(QPointF position);
  void letGo();
  void paintGap(QPainter& painter, const HeatmapPicture& picture) const;
  [[nodiscard]] HeadBlock blockBetween(HeadPair a, HeadPair b) const;
  [[nodiscard]] int placeOf(int head) const { return arrangement_.placeOf[static_cast<std::size_t>(head)]; }
  [[nodiscard]] int headAt(int place) const { return arrangement_.headAt[static_cast<std::size_t>(place)]; }

  HeatmapRecord record_;
  Arrangement arrangement_;
  HeatmapAxes axes_;
  Range range_;
  const ColourTable* colours_;
  MatrixImage image_;
  bool imageIsStale_ = true;
  QRectF visible_;
  std::optional<HeadPair> cursor_, hovered_, anchor_;
  HeadBlock selection_;
  bool selecting_ = false;
  std::optional<QPointF> panningFrom_;
  struct Moving {
    std::vector<int> heads;
    QPointF from;
    bool down = false;       // Along the rows; otherwise along the columns.
    std::optional<int> gap;  // Once it has gone far enough for a drag.
  };
  std::optional<Moving> moving_;
  bool movable_ = false;
};

}  // namespace kvista
