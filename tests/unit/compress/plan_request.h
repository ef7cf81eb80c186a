// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/compress/planner.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {

inline PlanRequest requestOf(const std::string& method, double value, Target::Kind kind = Target::Kind::share) {
  PlanRequest request;
  request.method = method;
  request.target = {kind, value};
  return request;
}

/// What a method makes of the short model at a share of the cache.
struct MadePlan {
  PlannedPlan planned;
  PlanFactors factors;
};

/// Made once a program: many tests look at the same plans, and chains take seconds. `whole` with its factors.
inline const MadePlan& madePlan(const std::string& method, double share, bool whole = true) {
  static std::map<std::pair<std::string, double>, MadePlan> made;
  auto at = made.find({method, share});
  if (at == made.end()) {
    PlannedPlan planned = valueOf(makePlan(shortDecoder(), &shortStatistics(), requestOf(method, share), {})).planned;
    at = made.emplace(std::pair(method, share), MadePlan{std::move(planned), {}}).first;
  }
  MadePlan& plan = at->second;
  if (whole && plan.factors.empty())
    plan.factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan.planned.plan, {}));
  return plan;
}

}  // namespace kvista::test
