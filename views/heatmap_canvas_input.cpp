// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// What mouse and keyboard do to the heatmap's canvas.
#include <QAccessible>
#include <QApplication>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QNativeGestureEvent>
#include <QToolTip>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>
#include <utility>

#include "views/heatmap_canvas.h"

namespace kvista {
namespace {

constexpr double kZoomStep = 1.25;

void add(std::vector<int>& heads, int head) {
  if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
}

}  // namespace

bool HeatmapCanvas::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const std::optional<HeadPair> pair = pairAt(help->pos());
    // The rectangle keeps the tooltip only while the pointer stays in the cell.
    if (pair)
      QToolTip::showText(help->globalPos(), describe(*pair), this, cellRect(*pair).toAlignedRect());
    else if (movable_ && namedAt(help->pos()))
      QToolTip::showText(help->globalPos(), tr("Drag it along the axis for an order of your own; a click selects it"),
                         this);
    else
      QToolTip::hideText();
    return true;
  }
  if (event->type() == QEvent::NativeGesture) {
    const auto* gesture = static_cast<QNativeGestureEvent*>(event);
    if (gesture->gestureType() == Qt::ZoomNativeGesture) {
      zoom(1 + gesture->value(), gesture->position());
      return true;
    }
  }
  return QWidget::event(event);
}

void HeatmapCanvas::mousePressEvent(QMouseEvent* event) {
  const bool pans = event->button() == Qt::MiddleButton ||
                    (event->button() == Qt::LeftButton && event->modifiers() & Qt::AltModifier);
  if (pans) {
    panningFrom_ = event->position();
    setCursor(Qt::ClosedHandCursor);
    return;
  }
  if (event->button() != Qt::LeftButton) return;
  if (const auto head = movable_ ? namedAt(event->position()) : std::nullopt) return takeHold(*head, event->position());
  const std::optional<HeadPair> pair = pairAt(event->position());
  if (!pair) {
    setSelectionByHand({});
    return;
  }
  selecting_ = true;
  if (event->modifiers() & Qt::ControlModifier) {
    HeadBlock more = selection_;
    add(more.rows, pair->row);
    add(more.columns, pair->column);
    anchor_ = cursor_ = pair;
    selecting_ = false;
    setSelectionByHand(more);
  } else if (event->modifiers() & Qt::ShiftModifier && anchor_) {
    cursor_ = pair;
    setSelectionByHand(blockBetween(*anchor_, *pair));
  } else {
    anchor_ = cursor_ = pair;
    setSelectionByHand({{pair->row}, {pair->column}});
  }
  Q_EMIT cursorChanged(*pair);
}

void HeatmapCanvas::mouseMoveEvent(QMouseEvent* event) {
  if (panningFrom_) {
    const QPointF moved = (event->position() - *panningFrom_) * (visible_.width() / std::max(1.0, cellsRect().width()));
    panningFrom_ = event->position();
    setVisibleCells(visible_.translated(-moved));
    return;
  }
  if (moving_) return dragTo(event->position());
  if (movable_) {
    if (namedAt(event->position()))
      setCursor(Qt::OpenHandCursor);
    else
      unsetCursor();
  }
  if (selecting_ && anchor_) {
    const QRectF cells = cellsRect();
    const QPointF inside(std::clamp(event->position().x(), cells.left(), cells.right() - 0.01),
                         std::clamp(event->position().y(), cells.top(), cells.bottom() - 0.01));
    if (const std::optional<HeadPair> pair = pairAt(inside); pair && pair != cursor_) {
      cursor_ = pair;
      setSelectionByHand(blockBetween(*anchor_, *pair));
    }
  }
  const std::optional<HeadPair> pair = pairAt(event->position());
  if (pair == hovered_) return;
  setHovered(pair);
  Q_EMIT hoveredChanged(pair);
}

void HeatmapCanvas::mouseReleaseEvent(QMouseEvent*) {
  selecting_ = false;
  if (moving_) return letGo();
  if (panningFrom_) unsetCursor();
  panningFrom_ = std::nullopt;
}

void HeatmapCanvas::mouseDoubleClickEvent(QMouseEvent* event) {
  // Beside the cells a double click shows everything again.
  if (event->button() == Qt::LeftButton && !pairAt(event->position())) fit();
}

std::optional<int> HeatmapCanvas::namedAt(QPointF position) const {
  const QRectF cells = cellsRect();
  if (!record_.canBeDrawn() || !cells.isValid()) return std::nullopt;
  const bool left = position.x() < cells.left() && position.x() >= cells.left() - axes_.namesWidth;
  const bool above = position.y() < cells.top() && position.y() >= cells.top() - axes_.height;
  const QPointF inside(std::max(position.x(), cells.left()), std::max(position.y(), cells.top()));
  const std::optional<HeadPair> pair = left != above ? pairAt(inside) : std::nullopt;
  return pair ? std::optional(left ? pair->row : pair->column) : std::nullopt;
}

/// One of the selected heads takes the others along.
void HeatmapCanvas::takeHold(int head, QPointF position) {
  std::vector<int> heads = selection_.heads();
  if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads = {head};
  moving_ = Moving{std::move(heads), position, position.x() < cellsRect().left(), {}};
  setCursor(Qt::ClosedHandCursor);
}

void HeatmapCanvas::dragTo(QPointF position) {
  if (!moving_->gap && (position - moving_->from).manhattanLength() < QApplication::startDragDistance()) return;
  const QRectF cells = cellsRect();
  const double size = cells.width() / visible_.width();
  const double place = moving_->down ? visible_.top() + (position.y() - cells.top()) / size
                                     : visible_.left() + (position.x() - cells.left()) / size;
  moving_->gap = std::clamp(static_cast<int>(std::lround(place)), 0, record_.heads());
  update();
}

/// Without a drag it was a click on a name: the head is selected.
void HeatmapCanvas::letGo() {
  const Moving moved = *std::exchange(moving_, std::nullopt);
  unsetCursor();
  update();
  if (moved.gap) return Q_EMIT dropped(moved.heads, *moved.gap);
  const std::optional<int> head = namedAt(moved.from);
  setSelectionByHand(head ? HeadBlock{{*head}, {*head}} : HeadBlock());
}

void HeatmapCanvas::leaveEvent(QEvent*) {
  if (!hovered_) return;
  setHovered(std::nullopt);
  Q_EMIT hoveredChanged(std::nullopt);
}

void HeatmapCanvas::wheelEvent(QWheelEvent* event) {
  if (!record_.canBeDrawn()) return;
  event->accept();
  // A touchpad's fingers push the picture; a wheel, or fingers with Ctrl, zoom.
  if (event->pixelDelta().isNull() || event->modifiers() & Qt::ControlModifier) {
    zoom(std::pow(kZoomStep, event->angleDelta().y() / 120.0), event->position());
    return;
  }
  const double scale = visible_.width() / std::max(1.0, cellsRect().width());
  setVisibleCells(visible_.translated(-event->pixelDelta().x() * scale, -event->pixelDelta().y() * scale));
}

void HeatmapCanvas::keyPressEvent(QKeyEvent* event) {
  if (!record_.canBeDrawn()) return QWidget::keyPressEvent(event);
  if (event->matches(QKeySequence::Copy)) return copySelection();
  const std::vector<int>& all = arrangement_.headAt;
  if (event->matches(QKeySequence::SelectAll)) return setSelectionByHand({all, all});
  const bool extend = event->modifiers() & Qt::ShiftModifier, control = event->modifiers() & Qt::ControlModifier;
  const int last = record_.heads() - 1, page = std::max(1, static_cast<int>(visible_.height()) - 1);
  const int row = cursor_ ? placeOf(cursor_->row) : 0, column = cursor_ ? placeOf(cursor_->column) : 0;
  const auto step = [this](int by) { return cursor_ ? by : 0; };  // The first key only shows the cursor.
  const QPointF middle = cursor_ ? cellRect(*cursor_).center() : cellsRect().center();
  if (event->modifiers() == Qt::AltModifier && (event->key() == Qt::Key_Left || event->key() == Qt::Key_Up))
    return Q_EMIT moveRequested(-1);
  if (event->modifiers() == Qt::AltModifier && (event->key() == Qt::Key_Right || event->key() == Qt::Key_Down))
    return Q_EMIT moveRequested(1);
  switch (event->key()) {
    case Qt::Key_Left:
      return moveCursor(row, column - step(1), extend);
    case Qt::Key_Right:
      return moveCursor(row, column + step(1), extend);
    case Qt::Key_Up:
      return moveCursor(row - step(1), column, extend);
    case Qt::Key_Down:
      return moveCursor(row + step(1), column, extend);
    case Qt::Key_PageUp:
      return moveCursor(row - page, column, extend);
    case Qt::Key_PageDown:
      return moveCursor(row + page, column, extend);
    case Qt::Key_Home:
      return moveCursor(control ? 0 : row, 0, extend);
    case Qt::Key_End:
      return moveCursor(control ? last : row, last, extend);
    case Qt::Key_Plus:
    case Qt::Key_Equal:
      return zoom(kZoomStep, middle);
    case Qt::Key_Minus:
    case Qt::Key_Underscore:
      return zoom(1 / kZoomStep, middle);
    case Qt::Key_0:
      return fit();
    case Qt::Key_Space:
      if (!cursor_) return moveCursor(0, 0, false);
      anchor_ = cursor_;
      if (control) {
        HeadBlock more = selection_;
        add(more.rows, cursor_->row);
        add(more.columns, cursor_->column);
        return setSelectionByHand(more);
      }
      return setSelectionByHand({{cursor_->row}, {cursor_->column}});
    case Qt::Key_Escape:
      if (moving_) {
        moving_.reset();
        unsetCursor();
        return update();
      }
      if (!selection_.isEmpty()) return setSelectionByHand({});
      break;
    default:
      break;
  }
  QWidget::keyPressEvent(event);
}

void HeatmapCanvas::moveCursor(int rowPlace, int columnPlace, bool extend) {
  const int last = record_.heads() - 1;
  const HeadPair before = cursor_.value_or(HeadPair{headAt(0), headAt(0)});
  const HeadPair pair{headAt(std::clamp(rowPlace, 0, last)), headAt(std::clamp(columnPlace, 0, last))};
  cursor_ = pair;
  if (extend) {
    if (!anchor_) anchor_ = before;
    setSelectionByHand(blockBetween(*anchor_, pair));
  } else {
    anchor_ = pair;
  }
  showCursor();
  update();
  Q_EMIT cursorChanged(pair);
  QToolTip::showText(mapToGlobal(cellRect(pair).bottomRight().toPoint()), describe(pair), this);
  if (QAccessible::isActive()) {
    QAccessibleEvent focus(this, QAccessible::Focus);
    focus.setChild(placeOf(pair.row) * record_.heads() + placeOf(pair.column));
    QAccessible::updateAccessibility(&focus);
  }
}

/// Moves the visible part by as little as brings the cursor into it.
void HeatmapCanvas::showCursor() {
  const auto brought = [](double from, double length, int place) {
    return std::clamp(from, place + 1 - length, double(place));
  };
  setVisibleCells({brought(visible_.left(), visible_.width(), placeOf(cursor_->column)),
                   brought(visible_.top(), visible_.height(), placeOf(cursor_->row)), visible_.width(),
                   visible_.height()});
}

void HeatmapCanvas::setSelectionByHand(HeadBlock selection) {
  if (selection == selection_) return;
  selection_ = std::move(selection);
  update();
  Q_EMIT selectionChanged(selection_);
}

}  // namespace kvista
