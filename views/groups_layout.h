// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QRect>
#include <vector>

#include "views/groups_record.h"

namespace kvista {

/// Where everything of a groups panel stands at a width: boxes below each other, chips that wrap.
struct GroupsLayout {
  struct Box {
    QRect frame;
    QRect name, facts;  ///< One line where both fit, two otherwise.
    std::vector<QRect> chips;
    QRect bar;
  };
  std::vector<Box> boxes;
  QRect newGroup;  ///< The dashed zone below.
  int height = 0;

  /// -1 where there is none.
  [[nodiscard]] int boxAt(const QPoint& point) const;
};

GroupsLayout layOutGroups(const GroupsRecord& record, int width);
/// Where a head would be drawn in before the chip `place` of a box: a thin upright line.
QRect landingLine(const GroupsLayout::Box& box, std::size_t place);

}  // namespace kvista
