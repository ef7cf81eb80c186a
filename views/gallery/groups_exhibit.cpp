// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <QCoreApplication>
#include <QMouseEvent>
#include <QTimer>
#include <array>

#include "views/gallery/gallery.h"
#include "views/groups_canvas.h"
#include "views/groups_view.h"

namespace kvista {
namespace {

GroupRecord groupOf(int index, int layer, const std::vector<int>& keys, const std::vector<int>& values,
                    std::array<int, 4> bands, double loss) {
  GroupRecord group;
  group.index = index;
  for (const int head : keys) group.slots.push_back({layer, Side::key, head});
  for (const int head : values) group.slots.push_back({layer, Side::value, head});
  const int widths[] = {8, 4, 2, 1};
  for (std::size_t i = 0; i < bands.size(); ++i)
    group.widths.insert(group.widths.end(), static_cast<std::size_t>(bands[i]), static_cast<std::uint8_t>(widths[i]));
  group.widths.resize(group.slots.size() * 32, 0);
  group.bytes = storedBytes(group.widths);
  group.loss = loss;
  return group;
}

GroupsRecord madeUp() {
  GroupsRecord record;
  record.layer = 3;
  record.shape = {"llama", 8, 16, 16, 32, 32, 512, 32000, 30'000'000};
  record.grouping = QStringLiteral("manual");
  record.groupings = {{QStringLiteral("neighbours"), QStringLiteral("heads next to each other")},
                      {QStringLiteral("greedy"), QStringLiteral("most alike first, as HSR was released")},
                      {QStringLiteral("swap"), QStringLiteral("exchanges while the objective improves")},
                      {QStringLiteral("all"), QStringLiteral("one group of all heads")}};
  record.groups = {groupOf(0, 3, {2, 4, 0, 7}, {2, 4, 0, 7}, {24, 48, 72, 48}, 0.0011),
                   groupOf(1, 3, {8, 15, 1, 13}, {8, 15, 1, 13}, {36, 56, 56, 44}, 0.0014),
                   groupOf(2, 3, {3, 12, 5, 14}, {3, 12, 5, 14}, {16, 30, 80, 40}, 0.0007),
                   groupOf(3, 3, {6, 10, 11, 9}, {6, 10, 11, 9}, {8, 20, 60, 64}, 0.0006)};
  record.groups[0].locked = true;
  record.groups[3].stale = true;
  return record;
}

View* makeGroups() {
  auto* view = new GroupsView;
  view->setRecord(madeUp());
  view->setSelection({{3, Side::key, 8}, {3, Side::key, 15}});
  return view;
}

View* makeNoGroups() { return new GroupsView; }

/// Two heads in the hand, over a box of the layer.
View* dragOver(std::size_t box) {
  View* view = makeGroups();
  auto* canvas = view->findChild<GroupsCanvas*>();
  QTimer::singleShot(0, canvas, [canvas, box] {
    const QPoint from = canvas->chipRect({3, Side::key, 8}).center(),
                 to = canvas->layoutOfGroups().boxes[box].chips[2].center();
    const auto send = [canvas](QEvent::Type type, const QPoint& at, Qt::MouseButton button) {
      QMouseEvent event(type, at, canvas->mapToGlobal(at), button, Qt::LeftButton, Qt::NoModifier);
      QCoreApplication::sendEvent(canvas, &event);
    };
    send(QEvent::MouseButtonPress, from, Qt::LeftButton);
    send(QEvent::MouseMove, to, Qt::NoButton);
    send(QEvent::MouseMove, to, Qt::NoButton);
  });
  return view;
}
View* makeDrag() { return dragOver(2); }
View* makeForbiddenDrag() { return dragOver(0); }

/// 64 heads a side, apart: the most there is.
View* makeManyGroups() {
  auto* view = new GroupsView;
  GroupsRecord record = madeUp();
  record.shape.kvHeads = 64;
  record.grouping = QStringLiteral("swap");
  record.groups.clear();
  for (const Side side : {Side::key, Side::value})
    for (int first = 0; first < 64; first += 16) {
      std::vector<int> heads;
      for (int head = first; head < first + 16; ++head) heads.push_back(head);
      const bool isKey = side == Side::key;
      record.groups.push_back(groupOf(static_cast<int>(record.groups.size()), 3, isKey ? heads : std::vector<int>{},
                                      isKey ? std::vector<int>{} : heads, {40, 80, 120, 90}, 0.00002 * (first + 16)));
    }
  view->setRecord(record);
  return view;
}

}  // namespace

Exhibit groupsExhibit() { return {"groups", makeGroups}; }
Exhibit groupsDragExhibit() { return {"groups-drag", makeDrag}; }
Exhibit groupsForbiddenExhibit() { return {"groups-drag-forbidden", makeForbiddenDrag}; }
Exhibit noGroupsExhibit() { return {"groups-none", makeNoGroups}; }
Exhibit manyGroupsExhibit() { return {"groups-64-heads", makeManyGroups}; }

}  // namespace kvista
