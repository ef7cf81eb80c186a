// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/plan_spectra.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>

namespace kvista {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

bool sameGroups(const CompressionPlan& a, const CompressionPlan& b) {
  return a.method == b.method && a.metric == b.metric && a.keyPosition == b.keyPosition && a.storage == b.storage &&
         std::ranges::equal(a.groups, b.groups, {}, &Group::slots, &Group::slots);
}

}  // namespace

void PlanSpectra::follow(const CompressionPlan& plan) {
  if (!sameGroups(plan, plan_) || units_.size() != plan.groups.size()) {
    // What stays is moved: a plan of 32 layers has 10 MB of spectra.
    std::unordered_map<std::string, std::size_t> before;
    for (std::size_t i = 0; i < units_.size(); ++i) before.emplace(spectrumKey(plan_, plan_.groups[i]), i);
    std::vector<BudgetUnit> units(plan.groups.size());
    std::vector<double> losses(plan.groups.size(), kUnknown);
    for (std::size_t i = 0; i < units.size(); ++i) {
      const auto found = before.find(spectrumKey(plan, plan.groups[i]));
      if (found == before.end()) continue;
      units[i] = std::move(units_[found->second]);
      if (plan.groups[i].widths == plan_.groups[found->second].widths) losses[i] = losses_[found->second];
    }
    units_ = std::move(units);
    losses_ = std::move(losses);
  } else {
    for (std::size_t i = 0; i < units_.size(); ++i)
      if (plan.groups[i].widths != plan_.groups[i].widths) losses_[i] = kUnknown;
  }
  plan_ = plan;
  fill(plan);
}

bool PlanSpectra::fill(const CompressionPlan& plan) {
  bool more = false;
  unknown_ = 0;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (!isKnown(i)) {
      if (const BudgetUnit* unit = cache_.find(spectrumKey(plan, plan.groups[i]))) {
        units_[i] = *unit;
        losses_[i] = kUnknown;
        more = true;
      }
    }
    units_[i].locked = plan.groups[i].locked;
    if (!isKnown(i))
      ++unknown_;
    else if (!(losses_[i] == losses_[i]))
      losses_[i] = predictedLoss(units_[i].spectrum, plan.groups[i].widths);
  }
  return more;
}

bool PlanSpectra::add(const CompressionPlan& plan, std::vector<BudgetUnit> units) {
  for (std::size_t i = 0; i < std::min(units.size(), plan.groups.size()); ++i)
    // One number a direction, or it is not of this group.
    if (units[i].spectrum.eigenvalues.size() == plan.groups[i].widths.size() && !units[i].spectrum.eigenvalues.empty())
      cache_.insert(spectrumKey(plan, plan.groups[i]), std::move(units[i]));
  return fill(plan_);
}

void PlanSpectra::forget() {
  cache_.clear();
  units_.assign(plan_.groups.size(), {});
  losses_.assign(plan_.groups.size(), kUnknown);
  unknown_ = units_.size();
}

double PlanSpectra::loss() const { return std::accumulate(losses_.begin(), losses_.end(), 0.0); }

}  // namespace kvista
