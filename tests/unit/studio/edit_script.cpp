// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/studio/edit_script.h"

#include "core/plan/edit.h"

namespace kvista::test {
namespace {

/// The plan with the last `directions` of a group dropped, as a cell of the budget's table does it.
CompressionPlan withRank(CompressionPlan plan, int group, int rank) {
  auto& widths = plan.groups[static_cast<std::size_t>(group)].widths;
  for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = static_cast<int>(i) < rank ? 8 : 0;
  return plan;
}

}  // namespace

void EditScript::step(Document& document) {
  const CompressionPlan before = document.plan();
  // Some of what is tried is not allowed or changes nothing.
  while (document.plan() == before) {
    const CompressionPlan plan = document.plan();
    const int group = any(plan.groups.size());
    const Group& chosen = plan.groups[static_cast<std::size_t>(group)];
    switch (any(8)) {
      case 0:
      case 1:
        if (const auto moved = moveSlots(plan, document.model().shape, std::vector<Slot>{chosen.slots.front()},
                                         any(plan.groups.size())))
          static_cast<void>(document.edit(*moved));
        break;
      case 2:
        if (const auto merged =
                mergeGroups(plan, document.model().shape, std::vector<int>{group, any(plan.groups.size())}))
          static_cast<void>(document.edit(*merged));
        break;
      case 3:
        if (const auto locked = setLock(plan, group, !chosen.locked)) static_cast<void>(document.edit(*locked));
        break;
      case 4:
        static_cast<void>(document.edit(withRank(plan, group, any(chosen.widths.size()) + 1)));
        break;
      case 5:
        document.beginGesture(QStringLiteral("Drag the waterline"));
        for (int i = 0; i < 5; ++i) document.updateGesture(withRank(plan, group, any(chosen.widths.size()) + 1));
        document.commitGesture();
        break;
      case 6:
        document.undo();
        break;
      default:
        document.redo();
        break;
    }
  }
}

}  // namespace kvista::test
