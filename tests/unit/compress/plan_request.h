// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/compress/planner.h"

namespace kvista::test {

inline PlanRequest requestOf(const std::string& method, double value, Target::Kind kind = Target::Kind::share) {
  PlanRequest request;
  request.method = method;
  request.target = {kind, value};
  return request;
}

}  // namespace kvista::test
