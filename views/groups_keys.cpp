// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QKeyEvent>
#include <algorithm>
#include <climits>

#include "views/groups_canvas.h"

namespace kvista {

GroupsCanvas::Place GroupsCanvas::nextBy(const QKeyEvent& event) const {
  const Place here = focused_ ? placeOf(*focused_).value_or(Place{}) : Place{};
  const std::vector<Slot> all = allSlots();
  const auto at = focused_ ? std::find(all.begin(), all.end(), *focused_) - all.begin() : 0;
  const auto count = static_cast<std::ptrdiff_t>(all.size());
  switch (event.key()) {
    case Qt::Key_Left:
      return *placeOf(all[static_cast<std::size_t>(std::max<std::ptrdiff_t>(at - 1, 0))]);
    case Qt::Key_Right:
      return *placeOf(all[static_cast<std::size_t>(std::min(at + 1, count - 1))]);
    case Qt::Key_Home:
      return *placeOf(all.front());
    case Qt::Key_End:
      return *placeOf(all.back());
    default:
      break;
  }
  // The nearest row of chips above or below, and in it the chip nearest below the present one.
  const QPoint from =
      layout_.boxes[static_cast<std::size_t>(here.box)].chips[static_cast<std::size_t>(here.chip)].center();
  const int sign = event.key() == Qt::Key_Up ? -1 : 1;
  Place best = here;
  std::pair<int, int> least(INT_MAX, INT_MAX);
  for (const Slot& slot : all) {
    const QPoint to = chipRect(slot).center();
    const int down = sign * (to.y() - from.y());
    if (down > 0 && std::pair(down, std::abs(to.x() - from.x())) < least) {
      least = {down, std::abs(to.x() - from.x())};
      best = *placeOf(slot);
    }
  }
  return best;
}

void GroupsCanvas::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Escape && (drag_ || rubberBand_ || !cut_.empty() || !selected_.empty())) {
    if (drag_)
      endDrag(false);
    else if (rubberBand_)
      select(beforeRubberBand_);
    else if (!cut_.empty())
      cut_.clear();
    else
      select({});
    rubberBand_.reset();
    pressed_.reset();
    update();
    return;
  }
  if (drag_) return;
  if (event->matches(QKeySequence::Cut)) return cut();
  if (event->matches(QKeySequence::Paste)) return paste();
  if (event->matches(QKeySequence::SelectAll)) {
    const auto all = allSlots();
    return select({all.begin(), all.end()});
  }
  if (record_.groups.empty()) return QWidget::keyPressEvent(event);
  switch (event->key()) {
    case Qt::Key_Left:
    case Qt::Key_Right:
    case Qt::Key_Up:
    case Qt::Key_Down:
    case Qt::Key_Home:
    case Qt::Key_End: {
      if (newGroupFocused_ && event->key() != Qt::Key_Up && event->key() != Qt::Key_Left &&
          event->key() != Qt::Key_Home)
        return;
      if (newGroupFocused_ && event->key() != Qt::Key_Home)
        return setFocusPlace(placeOf(focused_.value_or(allSlots().back())));
      const bool first = !focused_;
      const Place next = first ? Place{} : nextBy(*event);
      const bool stays = !first && slotAt(next) == *focused_;
      if (stays && (event->key() == Qt::Key_Down || event->key() == Qt::Key_Right)) return setFocusPlace({});
      if (!anchor_ || !(event->modifiers() & Qt::ShiftModifier))
        anchor_ = event->modifiers() & Qt::ShiftModifier ? focused_ : slotAt(next);
      setFocusPlace(next);
      if (event->modifiers() & Qt::ShiftModifier) selectRange(slotAt(next), false);
      return;
    }
    case Qt::Key_Space: {
      if (!focused_ || newGroupFocused_) return;
      auto slots = selected_;
      if (!slots.erase(*focused_)) slots.insert(*focused_);
      select(std::move(slots));
      announceFocus();
      return;
    }
    default:
      QWidget::keyPressEvent(event);
  }
}

}  // namespace kvista
