// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/groups_canvas.h"

#include <QAbstractScrollArea>
#include <QAccessible>
#include <QApplication>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QScrollBar>
#include <QTimerEvent>
#include <QToolTip>
#include <algorithm>
#include <iterator>

#include "core/plan/edit.h"
#include "views/bits_legend.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kScrollInterval = 16, kScrollEdge = 24, kScrollStep = 8;

QString sentence(const Error& error) {
  const QString message = QString::fromStdString(error.message);
  return error.hint.empty() ? message : message + QLatin1Char(' ') + QString::fromStdString(error.hint);
}

}  // namespace

GroupsCanvas::GroupsCanvas(QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setAccessibleName(tr("Groups of heads"));
  connect(&Theme::instance(), &Theme::changed, this, [this] { relayout(); });
}

void GroupsCanvas::setRecord(const GroupsRecord& record) {
  if (record == record_) return;
  const bool otherLayer = record.layer != record_.layer;
  record_ = record;
  relayout();
  std::set<Slot> known;
  for (const Slot& slot : allSlots()) known.insert(slot);
  if (drag_ &&
      !std::all_of(drag_->slots.begin(), drag_->slots.end(), [&](const Slot& slot) { return known.contains(slot); }))
    endDrag(false);
  if (focused_ && !known.contains(*focused_)) focused_.reset();
  if (anchor_ && !known.contains(*anchor_)) anchor_.reset();
  if (otherLayer) newGroupFocused_ = false;
  std::set<Slot> kept;
  std::set_intersection(selected_.begin(), selected_.end(), known.begin(), known.end(),
                        std::inserter(kept, kept.end()));
  select(std::move(kept));
  if (drag_) dragTo(drag_->at);
}

void GroupsCanvas::setSelection(const std::vector<Slot>& slots) {
  std::set<Slot> here;
  for (const Slot& slot : slots)
    if (placeOf(slot)) here.insert(slot);
  if (here == selected_) return;
  selected_ = std::move(here);
  update();
}

void GroupsCanvas::relayout() {
  layout_ = layOutGroups(record_, width());
  setMinimumHeight(layout_.height);
  updateGeometry();
  update();
}

QSize GroupsCanvas::sizeHint() const { return {360, layOutGroups(record_, 360).height}; }

void GroupsCanvas::resizeEvent(QResizeEvent*) { relayout(); }

std::vector<Slot> GroupsCanvas::allSlots() const {
  std::vector<Slot> slots;
  for (const GroupRecord& group : record_.groups) slots.insert(slots.end(), group.slots.begin(), group.slots.end());
  return slots;
}

const Slot& GroupsCanvas::slotAt(const Place& place) const {
  return record_.groups[static_cast<std::size_t>(place.box)].slots[static_cast<std::size_t>(place.chip)];
}

std::optional<GroupsCanvas::Place> GroupsCanvas::placeOf(const Slot& slot) const {
  for (std::size_t box = 0; box < record_.groups.size(); ++box) {
    const auto& slots = record_.groups[box].slots;
    if (const auto found = std::find(slots.begin(), slots.end(), slot); found != slots.end())
      return Place{static_cast<int>(box), static_cast<int>(found - slots.begin())};
  }
  return {};
}

std::optional<GroupsCanvas::Place> GroupsCanvas::placeAt(const QPoint& point) const {
  const int box = layout_.boxAt(point);
  if (box < 0) return {};
  const auto& chips = layout_.boxes[static_cast<std::size_t>(box)].chips;
  // Half of the gaps belongs to the chips: a generous area to hit.
  const auto found = std::find_if(chips.begin(), chips.end(),
                                  [&](const QRect& chip) { return chip.adjusted(-2, -2, 2, 2).contains(point); });
  if (found == chips.end()) return {};
  return Place{box, static_cast<int>(found - chips.begin())};
}

QRect GroupsCanvas::chipRect(const Slot& slot) const {
  const auto place = placeOf(slot);
  return place ? layout_.boxes[static_cast<std::size_t>(place->box)].chips[static_cast<std::size_t>(place->chip)]
               : QRect();
}

std::vector<int> GroupsCanvas::selectedGroups() const {
  std::set<int> boxes;
  for (const Slot& slot : selected_)
    if (const auto place = placeOf(slot)) boxes.insert(place->box);
  return {boxes.begin(), boxes.end()};
}

int GroupsCanvas::focusedGroup() const {
  if (newGroupFocused_ || !focused_) return kNewGroup;
  return placeOf(*focused_)->box;
}

// Selection.

void GroupsCanvas::select(std::set<Slot> slots) {
  if (slots == selected_) return;
  selected_ = std::move(slots);
  update();
  Q_EMIT selectionChanged(selection());
}

void GroupsCanvas::selectRange(const Slot& to, bool add) {
  const std::vector<Slot> all = allSlots();
  const auto find = [&](const Slot& slot) { return std::find(all.begin(), all.end(), slot); };
  auto first = find(anchor_.value_or(to)), last = find(to);
  if (last < first) std::swap(first, last);
  std::set<Slot> slots = add ? selected_ : std::set<Slot>{};
  slots.insert(first, last + 1);
  select(std::move(slots));
}

void GroupsCanvas::setFocusPlace(const std::optional<Place>& place) {
  newGroupFocused_ = !place;
  if (place) focused_ = slotAt(*place);
  Q_EMIT reveal(place ? layout_.boxes[static_cast<std::size_t>(place->box)].frame : layout_.newGroup);
  announceFocus();
  update();
}

void GroupsCanvas::announceFocus() {
  QString text = tr("New group");
  if (!newGroupFocused_ && focused_) {
    const auto place = placeOf(*focused_);
    text = tr("%1, %2, %3")
               .arg(slotName(*focused_), groupTitle(record_, static_cast<std::size_t>(place->box)),
                    selected_.contains(*focused_) ? tr("selected") : tr("not selected"));
  }
  setAccessibleDescription(text);
  QAccessibleEvent event(this, QAccessible::DescriptionChanged);
  QAccessible::updateAccessibility(&event);
}

// Moves.

QString GroupsCanvas::reasonAgainst(const std::vector<Slot>& slots, int group) const {
  Group target;
  if (group != kNewGroup) {
    const GroupRecord& record = record_.groups[static_cast<std::size_t>(group)];
    target = {record.slots, record.widths, record.locked};
  }
  if (const auto allowed = checkMove(target, slots, record_.keyPosition, record_.storage); !allowed)
    return sentence(allowed.error());
  for (const Slot& slot : slots) {
    const auto place = placeOf(slot);
    if (!place)
      return tr("%1 is a head of layer %2, these groups are of layer %3.")
          .arg(slotName(slot))
          .arg(slot.layer)
          .arg(record_.layer);
    if (place->box != group && record_.groups[static_cast<std::size_t>(place->box)].locked)
      return tr("%1 is locked. Unlock it first.").arg(groupTitle(record_, static_cast<std::size_t>(place->box)));
  }
  if (group == kNewGroup)
    for (const GroupRecord& record : record_.groups)
      if (std::is_permutation(record.slots.begin(), record.slots.end(), slots.begin(), slots.end()))
        return tr("These heads already have a group of their own.");
  return {};
}

void GroupsCanvas::move(const std::vector<Slot>& slots, int group) {
  if (slots.empty()) return;
  if (const QString reason = reasonAgainst(slots, group); !reason.isEmpty()) {
    Q_EMIT message(reason);
    return;
  }
  if (group == kNewGroup) {
    Q_EMIT moveRequested(slots, kNewGroup);
    return;
  }
  const GroupRecord& record = record_.groups[static_cast<std::size_t>(group)];
  const bool already = std::all_of(slots.begin(), slots.end(), [&](const Slot& slot) {
    return std::find(record.slots.begin(), record.slots.end(), slot) != record.slots.end();
  });
  if (!already) Q_EMIT moveRequested(slots, record.index);
}

void GroupsCanvas::cut() {
  if (selected_.empty() && focused_) select({*focused_});
  cut_ = selected_;
  if (cut_.empty()) return;
  update();
  Q_EMIT message(cut_.size() == 1
                     ? tr("%1 is cut. Go to a group and paste it there.").arg(slotName(*cut_.begin()))
                     : tr("Cut: %n head(s). Go to a group and paste there.", nullptr, static_cast<int>(cut_.size())));
}

void GroupsCanvas::paste() {
  if (cut_.empty()) {
    Q_EMIT message(tr("No heads are cut."));
    return;
  }
  const std::vector<Slot> slots(cut_.begin(), cut_.end());
  const int group = focusedGroup();
  if (reasonAgainst(slots, group).isEmpty()) cut_.clear();
  update();
  move(slots, group);
}

// The hand.

void GroupsCanvas::mousePressEvent(QMouseEvent* event) {
  if (event->button() == Qt::RightButton) {
    // A context menu is about what is under the pointer.
    if (const auto place = placeAt(event->position().toPoint()); place && !selected_.contains(slotAt(*place))) {
      setFocusPlace(place);
      anchor_ = slotAt(*place);
      select({slotAt(*place)});
    }
    return;
  }
  if (event->button() != Qt::LeftButton || drag_) return;
  const QPoint point = event->position().toPoint();
  const bool control = event->modifiers() & Qt::ControlModifier, shift = event->modifiers() & Qt::ShiftModifier;
  pressed_ = point;
  pressedSlot_.reset();
  if (const auto place = placeAt(point)) {
    const Slot slot = slotAt(*place);
    setFocusPlace(place);
    if (shift) {
      selectRange(slot, control);
    } else if (control) {
      auto slots = selected_;
      if (!slots.erase(slot)) slots.insert(slot);
      anchor_ = slot;
      select(std::move(slots));
    } else {
      anchor_ = slot;
      // Of several selected heads one may be pressed to drag them all: only a click without a drag selects it alone.
      if (selected_.contains(slot))
        pressedSlot_ = slot;
      else
        select({slot});
    }
    return;
  }
  const int box = layout_.boxAt(point);
  if (box >= 0 && point.y() < layout_.boxes[static_cast<std::size_t>(box)].chips.front().top()) {
    const auto& slots = record_.groups[static_cast<std::size_t>(box)].slots;
    setFocusPlace(Place{box, 0});
    std::set<Slot> chosen = control || shift ? selected_ : std::set<Slot>{};
    chosen.insert(slots.begin(), slots.end());
    select(std::move(chosen));
    pressed_.reset();
    return;
  }
  beforeRubberBand_ = control || shift ? selected_ : std::set<Slot>{};
  rubberBand_ = QRect(point, QSize());
  select(beforeRubberBand_);
}

void GroupsCanvas::mouseMoveEvent(QMouseEvent* event) {
  const QPoint point = event->position().toPoint();
  if (drag_) {
    dragTo(point);
    return;
  }
  if (!(event->buttons() & Qt::LeftButton) || !pressed_) return;
  if (rubberBand_) {
    rubberBand_ = QRect(*pressed_, point).normalized();
    auto slots = beforeRubberBand_;
    for (std::size_t box = 0; box < layout_.boxes.size(); ++box)
      for (std::size_t chip = 0; chip < layout_.boxes[box].chips.size(); ++chip)
        if (layout_.boxes[box].chips[chip].intersects(*rubberBand_)) slots.insert(record_.groups[box].slots[chip]);
    select(std::move(slots));
    update();
    return;
  }
  if ((point - *pressed_).manhattanLength() >= QApplication::startDragDistance() && !selected_.empty()) {
    startDrag();
    dragTo(point);
  }
}

void GroupsCanvas::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  if (drag_) {
    dragTo(event->position().toPoint());
    endDrag(true);
  } else if (pressedSlot_) {
    select({*pressedSlot_});
  }
  pressed_.reset();
  pressedSlot_.reset();
  rubberBand_.reset();
  update();
}

void GroupsCanvas::startDrag() {
  drag_ = Drag{selection(), *pressed_, {}, {}};
  pressedSlot_.reset();
  scrolling_.start(kScrollInterval, this);
  QToolTip::hideText();
  Q_EMIT dragActive(true);
}

void GroupsCanvas::dragTo(const QPoint& point) {
  drag_->at = point;
  drag_->target.reset();
  const QString before = drag_->reason;
  drag_->reason.clear();
  if (const int box = layout_.boxAt(point); box >= 0)
    drag_->target = box;
  else if (layout_.newGroup.contains(point))
    drag_->target = kNewGroup;
  if (drag_->target) drag_->reason = reasonAgainst(drag_->slots, *drag_->target);
  setCursor(drag_->reason.isEmpty() ? Qt::ClosedHandCursor : Qt::ForbiddenCursor);
  if (drag_->reason != before && !drag_->reason.isEmpty()) Q_EMIT message(drag_->reason);
  update();
}

void GroupsCanvas::endDrag(bool drop) {
  if (!drag_) return;
  const Drag drag = *std::exchange(drag_, std::nullopt);
  scrolling_.stop();
  pressed_.reset();
  unsetCursor();
  update();
  Q_EMIT dragActive(false);
  if (drop && drag.target) move(drag.slots, *drag.target);
}

void GroupsCanvas::timerEvent(QTimerEvent* event) {
  if (event->timerId() != scrolling_.timerId()) return QWidget::timerEvent(event);
  auto* area = parentWidget() ? qobject_cast<QAbstractScrollArea*>(parentWidget()->parentWidget()) : nullptr;
  if (!area || !drag_) return;
  const int y = mapTo(area->viewport(), drag_->at).y();
  const int step = y < kScrollEdge ? -kScrollStep : y > area->viewport()->height() - kScrollEdge ? kScrollStep : 0;
  const int before = area->verticalScrollBar()->value();
  area->verticalScrollBar()->setValue(before + step);
  if (const int moved = area->verticalScrollBar()->value() - before; moved != 0) dragTo(drag_->at + QPoint(0, moved));
}

void GroupsCanvas::focusInEvent(QFocusEvent*) {
  if (!focused_ && !record_.groups.empty()) focused_ = slotAt({});
  announceFocus();
  update();
}

void GroupsCanvas::focusOutEvent(QFocusEvent* event) {
  if (event->reason() != Qt::PopupFocusReason) endDrag(false);
  update();
}

void GroupsCanvas::hideEvent(QHideEvent*) { endDrag(false); }

bool GroupsCanvas::event(QEvent* event) {
  // Keys that the window has shortcuts for are the canvas's own while it has the focus.
  if (event->type() == QEvent::ShortcutOverride) {
    const auto* key = static_cast<QKeyEvent*>(event);
    if (key->matches(QKeySequence::Cut) || key->matches(QKeySequence::Paste) || key->matches(QKeySequence::SelectAll) ||
        (drag_ && key->key() == Qt::Key_Escape))
      event->accept();
  }
  if (event->type() != QEvent::ToolTip || drag_) return QWidget::event(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  QString text;
  if (const auto place = placeAt(help->pos())) {
    text = tr("%1 · layer %2 · %3")
               .arg(slotName(slotAt(*place)))
               .arg(record_.layer)
               .arg(groupTitle(record_, static_cast<std::size_t>(place->box)));
  } else if (const int box = layout_.boxAt(help->pos()); box >= 0) {
    const auto& widths = record_.groups[static_cast<std::size_t>(box)].widths;
    QStringList lines = {groupFacts(record_.groups[static_cast<std::size_t>(box)])};
    for (const int width : kShownWidths)
      if (const auto count = std::count(widths.begin(), widths.end(), width); count > 0)
        lines << tr("%1 directions of %2 bit").arg(count).arg(width);
    if (const auto count = std::count(widths.begin(), widths.end(), 0); count > 0)
      lines << tr("%1 directions dropped").arg(count);
    text = lines.join(QLatin1Char('\n'));
  }
  QToolTip::showText(help->globalPos(), text, this);
  return true;
}

}  // namespace kvista
