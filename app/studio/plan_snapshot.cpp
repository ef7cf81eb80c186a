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
  settings.damping = plan.damping;
  settings.keyPosition = plan.keyPosition;
  settings.storage = plan.storage;
  settings.rankStep = plan.rankStep;
  settings.exactTokens = plan.exactTokens;
  settings.scaleBlock = plan.scaleBlock;
  settings.sinkFree = plan.sinkFree;
  settings.centred = plan.centred;
  settings.compensated = plan.compensated;
  settings.unwhitened = plan.unwhitened;
  settings.uncalibrated = plan.uncalibrated;
  settings.sharedFrom = plan.sharedFrom;
  settings.chain = plan.chain;
  settings.trellis = plan.trellis;
  settings.tokenNumbers = plan.tokenNumbers;
  settings.target = plan.target;
  return settings;
}

void appendRun(std::string& runs, std::uint8_t width, std::size_t count) {
  if (count == 0) return;
  runs += static_cast<char>(width);
  for (; count >= 128; count >>= 7) runs += static_cast<char>(128 | (count & 127));
  runs += static_cast<char>(count);
}

}  // namespace

PlanSnapshot::PlanSnapshot(const CompressionPlan& plan, const PlanSnapshot& previous)
    : settings_(withoutGroups(plan)), outlines_(previous.outlines_) {
  const auto same = [](const Outline& outline, const Group& group) {
    return outline.locked == group.locked && outline.directions == group.widths.size() && outline.slots == group.slots;
  };
  if (!outlines_ || !std::ranges::equal(*outlines_, plan.groups, same)) {
    std::vector<Outline> outlines;
    outlines.reserve(plan.groups.size());
    for (const Group& group : plan.groups) outlines.push_back({group.slots, group.widths.size(), group.locked});
    outlines_ = std::make_shared<const std::vector<Outline>>(std::move(outlines));
  }
  std::uint8_t width = 0;
  std::size_t count = 0;
  for (const Group& group : plan.groups) {
    for (const std::uint8_t next : group.widths) {
      if (next != width) {
        appendRun(runs_, width, count);
        width = next;
        count = 0;
      }
      ++count;
    }
  }
  appendRun(runs_, width, count);
}

CompressionPlan PlanSnapshot::plan() const {
  CompressionPlan plan = settings_;
  if (!outlines_) return plan;
  plan.groups.reserve(outlines_->size());
  std::size_t at = 0, left = 0;
  std::uint8_t width = 0;
  for (const Outline& outline : *outlines_) {
    Group& group = plan.groups.emplace_back(Group{outline.slots, {}, outline.locked});
    group.widths.reserve(outline.directions);
    while (group.widths.size() < outline.directions) {
      if (left == 0) {
        width = static_cast<std::uint8_t>(runs_[at++]);
        for (int shift = 0;; shift += 7) {
          const auto byte = static_cast<std::uint8_t>(runs_[at++]);
          left |= std::size_t{byte & 127U} << shift;
          if (byte < 128) break;
        }
      }
      const std::size_t taken = std::min(left, outline.directions - group.widths.size());
      group.widths.insert(group.widths.end(), taken, width);
      left -= taken;
    }
  }
  return plan;
}

bool PlanSnapshot::operator==(const PlanSnapshot& other) const {
  const bool sameOutlines =
      outlines_ == other.outlines_ || (outlines_ && other.outlines_ && *outlines_ == *other.outlines_);
  return sameOutlines && settings_ == other.settings_ && runs_ == other.runs_;
}

}  // namespace kvista
