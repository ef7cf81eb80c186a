// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/plan_snapshot.h"

#include <algorithm>

namespace kvista {
namespace {

CompressionPlan withoutGroups(const CompressionPlan& plan) {
  CompressionPlan settings;
  settings.method = plan.method;
  settings.grouping = plan.grouping;
  settings.allocator = plan.allocator;
  settings.metric = plan.metric;
  settings.keyPosition = plan.keyPosition;
  settings.storage = plan.storage;
  settings.rankStep = plan.rankStep;
  settings.exactTokens = plan.exactTokens;
  settings.scaleBlock = plan.scaleBlock;
  settings.target = plan.target;
  return settings;
}

}  // namespace

PlanSnapshot::PlanSnapshot(const CompressionPlan& plan, const PlanSnapshot& previous) : settings_(withoutGroups(plan)) {
  groups_.reserve(plan.groups.size());
  // A group that goes or comes shifts the others: the previous one is followed by its own index.
  std::size_t next = 0;
  for (const Group& group : plan.groups) {
    constexpr std::size_t kLookAhead = 8;
    const std::size_t end = std::min(next + kLookAhead, previous.groups_.size());
    std::size_t found = next;
    while (found < end && previous.groups_[found]->slots != group.slots) ++found;
    if (found < end) next = found + 1;
    groups_.push_back(found < end && *previous.groups_[found] == group ? previous.groups_[found] : std::make_shared<const Group>(group));
  }
}

CompressionPlan PlanSnapshot::plan() const {
  CompressionPlan plan = settings_;
  plan.groups.reserve(groups_.size());
  for (const auto& group : groups_) plan.groups.push_back(*group);
  return plan;
}

bool PlanSnapshot::operator==(const PlanSnapshot& other) const {
  return settings_ == other.settings_ &&
         std::ranges::equal(groups_, other.groups_, [](const auto& a, const auto& b) { return a == b || *a == *b; });
}

}  // namespace kvista
