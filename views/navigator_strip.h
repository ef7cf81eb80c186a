// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractScrollArea>
#include <QHash>
#include <QPixmap>
#include <optional>

#include "views/navigator_view.h"

namespace kvista {

/// The scrolling pictures of the navigator. Each is made when it first comes into sight and kept.
class NavigatorStrip final : public QAbstractScrollArea {
  Q_OBJECT

 public:
  explicit NavigatorStrip(QWidget* parent = nullptr);

  void setRecord(NavigatorRecord record);
  void setMatrix(int layer, Side side, Matrix matrix);
  [[nodiscard]] const NavigatorRecord& record() const { return record_; }
  void setCurrent(int layer, Side side);
  [[nodiscard]] int currentLayer() const { return layer_; }
  [[nodiscard]] Side currentSide() const { return side_; }
  void setSharedRange(std::optional<Range> range);
  void setColours(ColourMap map, bool inverted);
  [[nodiscard]] Range fittedRange();
  /// Up to date with the matrices.
  [[nodiscard]] const ColourScale& scale();

  /// A picture's place in the viewport, in sight or not.
  [[nodiscard]] QRect picture(int layer, Side side) const;
  /// Left and right of a column.
  [[nodiscard]] QRect column(Side side) const { return picture(0, side); }
  /// Pictures that have been made so far and are kept.
  [[nodiscard]] int keptPictures() const { return static_cast<int>(pictures_.size()); }

 Q_SIGNALS:
  void activated(int layer, kvista::Side side);
  void columnsMoved();

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool viewportEvent(QEvent* event) override;

 private:
  void layOut();
  void forgetPictures();
  void activate(int layer, Side side);
  void showCurrent();
  [[nodiscard]] std::optional<std::pair<int, Side>> at(QPoint position) const;
  [[nodiscard]] const QPixmap& madePicture(int layer, Side side);
  [[nodiscard]] QString describe(int layer, Side side) const;

  NavigatorRecord record_;
  ColourScale scale_;
  bool scaleIsStale_ = true;
  QHash<int, QPixmap> pictures_;
  int pictureSide_ = 64;
  int layer_ = 0;
  Side side_ = Side::key;
};

}  // namespace kvista
