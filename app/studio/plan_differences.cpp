// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/plan_differences.h"

#include <QCoreApplication>
#include <algorithm>
#include <map>

#include "core/plan/budget.h"
#include "core/plan/edit.h"
#include "views/budget_model.h"
#include "views/number_text.h"
#include "views/target_editor.h"

namespace kvista {
namespace {

QString say(const char* text) { return QCoreApplication::translate("PlanDifference", text); }

QString storageText(Storage storage) {
  switch (storage) {
    case Storage::lowRank16:
      return say("16-bit numbers");
    case Storage::coded:
      return say("codes");
    case Storage::plainQuantised:
      break;
  }
  return say("the heads themselves, quantised");
}

std::vector<Slot> sorted(std::vector<Slot> slots) {
  std::ranges::sort(slots, {}, [](const Slot& slot) { return std::tuple(slot.layer, slot.side, slot.head); });
  return slots;
}

QString groupText(const CompressionPlan& plan, const Group* group) {
  if (!group) return QStringLiteral("—");
  const QString text = say("rank %1 · %2").arg(countText(group->rank()), bytesText(bytesPerToken(plan, *group)));
  return group->locked ? text + say(" · locked") : text;
}

/// By layer, then keys before values: as tables list groups.
struct BySlots {
  bool operator()(const std::vector<Slot>& a, const std::vector<Slot>& b) const {
    const auto key = [](const Slot& slot) { return std::tuple(slot.layer, slot.side, slot.head); };
    return std::ranges::lexicographical_compare(a, b, {}, key, key);
  }
};

}  // namespace

std::vector<PlanDifference> differencesOf(const CompressionPlan& before, const CompressionPlan& after) {
  std::vector<PlanDifference> all;
  const auto compare = [&](const char* what, const QString& was, const QString& is) {
    if (was != is) all.push_back({say(what), was, is});
  };
  const auto word = [](const std::string& text) { return QString::fromStdString(text); };
  compare("Method", word(before.method), word(after.method));
  compare("Allocator", word(before.allocator), word(after.allocator));
  compare("Stored as", storageText(before.storage), storageText(after.storage));
  compare("Target", targetText(before.target), targetText(after.target));
  compare("Rank step", countText(before.rankStep), countText(after.rankStep));
  compare("Bytes a token", bytesText(bytesPerToken(before)), bytesText(bytesPerToken(after)));
  std::map<std::vector<Slot>, std::pair<const Group*, const Group*>, BySlots> groups;
  for (const Group& group : before.groups) groups[sorted(group.slots)].first = &group;
  for (const Group& group : after.groups) groups[sorted(group.slots)].second = &group;
  for (const auto& [slots, pair] : groups) {
    const auto& [was, is] = pair;
    if (was && is && was->widths == is->widths && was->locked == is->locked) continue;
    all.push_back({say("Layer %1 · %2").arg(slots.front().layer).arg(headsText(slots)), groupText(before, was),
                   groupText(after, is)});
  }
  return all;
}

}  // namespace kvista
