// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QPaintEvent>
#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <utility>

#include "core/plan/edit.h"
#include "views/bits_legend.h"
#include "views/groups_canvas.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr double kBoxRadius = 6, kChipRadius = 5;
constexpr int kShownInHand = 3;

QRectF crisp(const QRect& rect) { return QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5); }

/// How many directions have how many bits, widest first, as lengths of one thin bar.
void paintBands(QPainter& painter, const QRect& bar, const std::vector<std::uint8_t>& widths) {
  QPainterPath outline;
  outline.addRoundedRect(bar, 2, 2);
  painter.save();
  painter.setClipPath(outline);
  painter.fillRect(bar, colours().dropped);
  double x = bar.left();
  for (const int width : kShownWidths) {
    const auto count = std::count(widths.begin(), widths.end(), width);
    const double length =
        bar.width() * static_cast<double>(count) / static_cast<double>(std::max<std::size_t>(widths.size(), 1));
    painter.fillRect(QRectF(x, bar.top(), length, bar.height()), colours().bits(width));
    x += length;
  }
  painter.restore();
}

}  // namespace

void GroupsCanvas::paintChip(QPainter& painter, const QRect& rect, const Slot& slot, bool focused) const {
  const bool selected = selected_.contains(slot), cut = cut_.contains(slot);
  const bool inHand = drag_ && std::find(drag_->slots.begin(), drag_->slots.end(), slot) != drag_->slots.end();
  painter.setOpacity(cut || inHand ? 0.5 : 1.0);
  painter.setPen(cut ? QPen(colours().chipText(slot.side), 1, Qt::DashLine) : Qt::NoPen);
  painter.setBrush(colours().ground(slot.side));
  painter.drawRoundedRect(crisp(rect), kChipRadius, kChipRadius);
  painter.setOpacity(1.0);
  painter.setBrush(Qt::NoBrush);
  if (selected) {
    painter.setPen(QPen(colours().accent, 2));
    painter.drawRoundedRect(QRectF(rect).adjusted(0, 0, 0, 0), kChipRadius, kChipRadius);
  }
  if (focused) {
    painter.setPen(QPen(colours().text, 1, Qt::DotLine));
    painter.drawRoundedRect(crisp(rect.adjusted(-3, -3, 3, 3)), kChipRadius + 2, kChipRadius + 2);
  }
  painter.setPen(colours().chipText(slot.side));
  painter.drawText(rect, Qt::AlignCenter, chipLabel(record_, slot));
}

void GroupsCanvas::paintBox(QPainter& painter, std::size_t index) const {
  const GroupsLayout::Box& box = layout_.boxes[index];
  const GroupRecord& group = record_.groups[index];
  const bool isTarget = drag_ && drag_->target == static_cast<int>(index);
  const bool current = hasFocus() && !newGroupFocused_ && focusedGroup() == static_cast<int>(index);
  QPen outline(colours().hairline);
  if (current) outline = QPen(colours().accent, 1);
  if (isTarget) outline = QPen(drag_->reason.isEmpty() ? colours().accent : colours().warning, 2);
  painter.setPen(outline);
  painter.setBrush(Qt::NoBrush);
  painter.drawRoundedRect(crisp(box.frame), kBoxRadius, kBoxRadius);

  painter.setFont(textFont(TextRole::strong));
  painter.setPen(colours().text);
  painter.drawText(box.name, Qt::AlignLeft | Qt::AlignVCenter, groupTitle(record_, index));
  painter.setFont(textFont(TextRole::body));
  const QString facts = groupFacts(group);
  if (group.stale) {
    const int length = std::min(painter.fontMetrics().horizontalAdvance(facts), box.facts.width());
    QColor hatch = colours().faint;
    hatch.setAlphaF(0.45F);
    const bool right = box.facts.top() == box.name.top();
    painter.fillRect(QRect(right ? box.facts.right() - length : box.facts.left(), box.facts.top() + 2, length,
                           box.facts.height() - 4),
                     QBrush(hatch, Qt::BDiagPattern));
  }
  painter.setPen(colours().soft);
  painter.drawText(box.facts, (box.facts.top() == box.name.top() ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter,
                   painter.fontMetrics().elidedText(facts, Qt::ElideRight, box.facts.width() + 1));
  for (std::size_t chip = 0; chip < box.chips.size(); ++chip)
    paintChip(painter, box.chips[chip], group.slots[chip],
              hasFocus() && !newGroupFocused_ && focused_ == group.slots[chip]);
  paintBands(painter, box.bar, group.widths);
  if (group.stale) painter.fillRect(box.bar, QBrush(colours().panel, Qt::BDiagPattern));

  if (!isTarget || !drag_->reason.isEmpty()) return;
  for (const Slot& slot : drag_->slots)
    if (std::find(group.slots.begin(), group.slots.end(), slot) == group.slots.end())
      painter.fillRect(landingLine(box, kvista::placeOf(slot, group.slots)), colours().accent);
}

/// What the hand carries, beside the pointer, and under it why it cannot be put here.
void GroupsCanvas::paintDrag(QPainter& painter) const {
  const QRect seen = visibleRegion().boundingRect();
  const QRect sample = chipRect(drag_->slots.front());
  QPoint corner = drag_->at + QPoint(12, 6);
  painter.setFont(textFont(TextRole::body));
  const auto count = static_cast<int>(drag_->slots.size());
  const int shown = std::min(count, count > kShownInHand + 1 ? kShownInHand : kShownInHand + 1);
  const QString rest = count > shown ? tr("+%1").arg(count - shown) : QString();
  const int width =
      shown * (sample.width() + 4) + (rest.isEmpty() ? 0 : painter.fontMetrics().horizontalAdvance(rest) + 8) + 6;
  corner.setX(std::min(corner.x(), seen.right() - width - 4));
  corner.setY(std::min(corner.y(), seen.bottom() - sample.height() - 14));
  const QRect hand(corner, QSize(width, sample.height() + 10));
  painter.setPen(colours().accent);
  painter.setBrush(colours().panel);
  painter.drawRoundedRect(crisp(hand), kBoxRadius, kBoxRadius);
  for (int i = 0; i < shown; ++i) {
    const Slot& slot = drag_->slots[static_cast<std::size_t>(i)];
    const QRect chip(hand.left() + 5 + i * (sample.width() + 4), hand.top() + 5, sample.width(), sample.height());
    painter.setPen(Qt::NoPen);
    painter.setBrush(colours().ground(slot.side));
    painter.drawRoundedRect(crisp(chip), kChipRadius, kChipRadius);
    painter.setPen(colours().chipText(slot.side));
    painter.drawText(chip, Qt::AlignCenter, chipLabel(record_, slot));
  }
  painter.setPen(colours().soft);
  painter.drawText(hand.adjusted(0, 0, -8, 0), Qt::AlignRight | Qt::AlignVCenter, rest);
  if (drag_->reason.isEmpty()) return;

  const int most = std::max(std::min(320, seen.width() - 24), 80);
  QRect text = painter.fontMetrics().boundingRect(QRect(0, 0, most, 1000), Qt::TextWordWrap, drag_->reason);
  QRect bubble(0, 0, text.width() + 20, text.height() + 14);
  bubble.moveTopLeft(hand.bottomLeft() + QPoint(0, 6));
  if (bubble.bottom() > seen.bottom() - 4) bubble.moveBottom(hand.top() - 6);
  bubble.moveLeft(
      std::clamp(bubble.left(), seen.left() + 4, std::max(seen.right() - 4 - bubble.width(), seen.left() + 4)));
  painter.setPen(colours().warning);
  painter.setBrush(colours().panel);
  painter.drawRoundedRect(crisp(bubble), kBoxRadius, kBoxRadius);
  painter.drawText(bubble.adjusted(10, 7, -10, -7), Qt::TextWordWrap, drag_->reason);
}

void GroupsCanvas::paintFigure(QPainter& painter, const QRectF& area) {
  constexpr double kTitle = 28;
  const QRectF room = area.adjusted(0, kTitle, 0, 0);
  // A wider sheet has lower boxes: as wide as it takes for all of them to have the room's shape.
  int width = static_cast<int>(room.width());
  GroupsLayout figure = layOutGroups(record_, width);
  const auto bottom = [&] { return figure.boxes.empty() ? 0 : figure.boxes.back().frame.bottom() + 4; };
  while (bottom() * room.width() > room.height() * width && width < 16 * room.width()) {
    width += width / 8;
    figure = layOutGroups(record_, width);
  }
  const GroupsLayout shown = std::exchange(layout_, figure);
  const std::set<Slot> selected = std::exchange(selected_, {});
  const std::optional<Slot> focused = std::exchange(focused_, std::nullopt);
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(textFont(TextRole::title));
  painter.setPen(colours().text);
  painter.drawText(QRectF(area.topLeft(), QSizeF(area.width(), kTitle)).adjusted(4, 0, 0, 0),
                   Qt::AlignLeft | Qt::AlignVCenter, tr("Groups of layer %1").arg(record_.layer));
  painter.translate(room.topLeft());
  painter.scale(room.width() / width, room.width() / width);
  for (std::size_t box = 0; box < layout_.boxes.size(); ++box) paintBox(painter, box);
  painter.restore();
  layout_ = shown;
  selected_ = selected;
  focused_ = focused;
}

void GroupsCanvas::paintEvent(QPaintEvent* event) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  for (std::size_t box = 0; box < layout_.boxes.size(); ++box)
    if (layout_.boxes[box].frame.adjusted(-4, -4, 4, 4).intersects(event->rect())) paintBox(painter, box);

  const bool isTarget = drag_ && drag_->target == kNewGroup;
  QPen dashes(colours().hairline, 1, Qt::DashLine);
  if (hasFocus() && newGroupFocused_) dashes.setColor(colours().accent);
  if (isTarget) dashes = QPen(drag_->reason.isEmpty() ? colours().accent : colours().warning, 2, Qt::DashLine);
  painter.setPen(dashes);
  painter.setBrush(Qt::NoBrush);
  painter.drawRoundedRect(crisp(layout_.newGroup), kBoxRadius, kBoxRadius);
  painter.setFont(textFont(TextRole::body));
  painter.setPen(isTarget && drag_->reason.isEmpty() ? colours().accent : colours().soft);
  painter.drawText(layout_.newGroup, Qt::AlignCenter, tr("Drop heads here for a new group"));

  if (rubberBand_) {
    QColor ground = colours().accent;
    ground.setAlphaF(0.12F);
    painter.setPen(colours().accent);
    painter.setBrush(ground);
    painter.drawRect(crisp(*rubberBand_));
  }
  if (drag_) paintDrag(painter);
}

}  // namespace kvista
