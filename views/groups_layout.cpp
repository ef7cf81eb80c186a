// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/groups_layout.h"

#include <QCoreApplication>
#include <QFontMetrics>
#include <QLocale>
#include <algorithm>
#include <cmath>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kOuter = 8, kInner = 10, kBetween = 8;
constexpr int kChipHeight = 20, kChipGap = 4, kSideGap = 8, kBar = 5, kZone = 36;

QString translate(const char* text) { return QCoreApplication::translate("kvista::GroupsView", text); }

enum class Kind { keys, values, both };
Kind kindOf(const GroupRecord& group) {
  const auto is = [](Side side) { return [side](const Slot& slot) { return slot.side == side; }; };
  if (std::all_of(group.slots.begin(), group.slots.end(), is(Side::key))) return Kind::keys;
  return std::all_of(group.slots.begin(), group.slots.end(), is(Side::value)) ? Kind::values : Kind::both;
}

}  // namespace

QString groupTitle(const GroupsRecord& record, std::size_t group) {
  const Kind kind = kindOf(record.groups[group]);
  int number = 0;
  for (std::size_t i = 0; i <= group; ++i) number += kindOf(record.groups[i]) == kind ? 1 : 0;
  const QString pattern = kind == Kind::both   ? translate("Group %1")
                          : kind == Kind::keys ? translate("K group %1")
                                               : translate("V group %1");
  return pattern.arg(number);
}

QString chipLabel(const GroupsRecord& record, const Slot& slot) {
  return slot.layer == record.layer ? slotName(slot) : QStringLiteral("%1·%2").arg(slotName(slot)).arg(slot.layer);
}

QString groupFacts(const GroupRecord& group) {
  const QLocale locale;
  const QString bytes = translate("%1 B").arg(locale.toString(static_cast<qlonglong>(group.bytes)));
  if (!group.instead.isEmpty()) return QStringList{group.instead, bytes}.join(QStringLiteral(" · "));
  const auto rank =
      std::count_if(group.widths.begin(), group.widths.end(), [](std::uint8_t width) { return width != 0; });
  QStringList facts = {translate("rank %1").arg(locale.toString(static_cast<qlonglong>(rank))), bytes};
  if (group.loss && std::isfinite(*group.loss)) {
    const bool small = std::abs(*group.loss) < 5e-5 && *group.loss != 0;
    facts << translate("~%1 nats")
                 .arg(small ? locale.toString(*group.loss, 'e', 0) : locale.toString(*group.loss, 'f', 4));
  }
  if (group.locked) facts << translate("locked");
  return facts.join(QStringLiteral(" · "));
}

int GroupsLayout::boxAt(const QPoint& point) const {
  const auto found =
      std::find_if(boxes.begin(), boxes.end(), [&](const Box& box) { return box.frame.contains(point); });
  return found == boxes.end() ? -1 : static_cast<int>(found - boxes.begin());
}

GroupsLayout layOutGroups(const GroupsRecord& record, int width) {
  const QFontMetrics strong(textFont(TextRole::strong)), body(textFont(TextRole::body));
  const int line = std::max(strong.height(), body.height()) + 2;
  // Every chip as wide as the widest name, so that chips stand in columns.
  int chip = 0;
  for (const GroupRecord& group : record.groups)
    for (const Slot& slot : group.slots) chip = std::max(chip, body.horizontalAdvance(chipLabel(record, slot)));
  chip = std::max(28, chip + 14);
  GroupsLayout layout;
  int y = kOuter;
  const int left = kOuter + kInner, right = std::max(width - kOuter - kInner, left + chip);
  for (std::size_t i = 0; i < record.groups.size(); ++i) {
    GroupsLayout::Box box;
    int inside = y + 6;
    const int factsWidth = body.horizontalAdvance(groupFacts(record.groups[i]));
    const bool oneLine = strong.horizontalAdvance(groupTitle(record, i)) + 16 + factsWidth <= right - left;
    box.name = QRect(left, inside, right - left, line);
    if (oneLine) {
      box.facts = QRect(right - factsWidth, inside, factsWidth, line);
    } else {
      inside += line;
      box.facts = QRect(left, inside, right - left, line);
    }
    inside += line + 4;
    int x = left;
    for (std::size_t k = 0; k < record.groups[i].slots.size(); ++k) {
      if (k > 0 && record.groups[i].slots[k].side != record.groups[i].slots[k - 1].side) x += kSideGap - kChipGap;
      if (k > 0 && x + chip > right) {
        x = left;
        inside += kChipHeight + kChipGap;
      }
      box.chips.emplace_back(x, inside, chip, kChipHeight);
      x += chip + kChipGap;
    }
    inside += kChipHeight + 7;
    box.bar = QRect(left, inside, right - left, kBar);
    inside += kBar + 8;
    box.frame = QRect(kOuter, y, width - 2 * kOuter, inside - y);
    y = inside + kBetween;
    layout.boxes.push_back(std::move(box));
  }
  layout.newGroup = QRect(kOuter, y, width - 2 * kOuter, kZone);
  layout.height = y + kZone + kOuter;
  return layout;
}

QRect landingLine(const GroupsLayout::Box& box, std::size_t place) {
  if (box.chips.empty()) return {};
  const bool last = place >= box.chips.size();
  const QRect& chip = last ? box.chips.back() : box.chips[place];
  const int x = last ? chip.right() + kChipGap / 2 : chip.left() - kChipGap / 2 - 1;
  return {x, chip.top() - 2, 2, chip.height() + 4};
}

}  // namespace kvista
