// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QBasicTimer>
#include <QWidget>
#include <optional>
#include <set>
#include <vector>

#include "views/groups_layout.h"

namespace kvista {

/// The boxes of a layer's groups: drawing, selection, dragging, cut and paste. It asks for moves and makes none.
///
/// Dragging is the widget's own, not the desktop's: what is carried makes sense nowhere else, whatever comes from
/// elsewhere is no head, and no second event loop runs while the hand moves.
class GroupsCanvas final : public QWidget {
  Q_OBJECT

 public:
  explicit GroupsCanvas(QWidget* parent = nullptr);

  void setRecord(const GroupsRecord& record);
  [[nodiscard]] const GroupsRecord& record() const { return record_; }
  void setSelection(const std::vector<Slot>& slots);
  [[nodiscard]] std::vector<Slot> selection() const { return {selected_.begin(), selected_.end()}; }
  [[nodiscard]] bool isDragging() const { return drag_.has_value(); }
  void cancelDrag() { endDrag(false); }
  /// Indices into the record's groups that hold a selected head.
  [[nodiscard]] std::vector<int> selectedGroups() const;
  /// Why these heads cannot go to a group of the record (or kNewGroup); empty where they can.
  [[nodiscard]] QString reasonAgainst(const std::vector<Slot>& slots, int group) const;
  /// Asks for the move, or says why not.
  void move(const std::vector<Slot>& slots, int group);
  void cut();
  void paste();
  /// The group (of the record) that has the keyboard's focus; kNewGroup: the zone for a new one.
  [[nodiscard]] int focusedGroup() const;

  /// Empty where the layer has no such head.
  [[nodiscard]] QRect chipRect(const Slot& slot) const;
  [[nodiscard]] const GroupsLayout& layoutOfGroups() const { return layout_; }
  [[nodiscard]] QSize sizeHint() const override;
  /// The boxes for paper, without selection and focus, made smaller where they would not fit.
  void paintFigure(QPainter& painter, const QRectF& area);

 Q_SIGNALS:
  void selectionChanged(const std::vector<kvista::Slot>& slots);
  void moveRequested(const std::vector<kvista::Slot>& slots, int groupIndexOrMinusOne);
  void dragActive(bool active);
  /// A part that the keyboard has come to and that shall be in sight.
  void reveal(const QRect& part);
  void message(const QString& text);

 protected:
  bool event(QEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  void hideEvent(QHideEvent* event) override;
  void timerEvent(QTimerEvent* event) override;

 private:
  struct Place {
    int box = 0, chip = 0;
    bool operator==(const Place&) const = default;
  };
  struct Drag {
    std::vector<Slot> slots;
    QPoint at;
    std::optional<int> target;  ///< A group of the record or kNewGroup.
    QString reason;
  };

  [[nodiscard]] std::optional<Place> placeAt(const QPoint& point) const;
  [[nodiscard]] std::optional<Place> placeOf(const Slot& slot) const;
  [[nodiscard]] const Slot& slotAt(const Place& place) const;
  [[nodiscard]] std::vector<Slot> allSlots() const;
  [[nodiscard]] Place nextBy(const QKeyEvent& event) const;
  void relayout();
  void select(std::set<Slot> slots);
  void selectRange(const Slot& to, bool add);
  void setFocusPlace(const std::optional<Place>& place);
  void announceFocus();
  void startDrag();
  void dragTo(const QPoint& point);
  void endDrag(bool drop);
  void paintBox(QPainter& painter, std::size_t box) const;
  void paintChip(QPainter& painter, const QRect& rect, const Slot& slot, bool focused) const;
  void paintDrag(QPainter& painter) const;

  GroupsRecord record_;
  GroupsLayout layout_;
  std::set<Slot> selected_, cut_;
  std::optional<Slot> focused_, anchor_;
  bool newGroupFocused_ = false;
  std::optional<QPoint> pressed_;
  std::optional<Slot> pressedSlot_;  ///< Selected alone on release if no drag came of the press.
  std::optional<QRect> rubberBand_;
  std::set<Slot> beforeRubberBand_;
  std::optional<Drag> drag_;
  QBasicTimer scrolling_;
};

}  // namespace kvista
