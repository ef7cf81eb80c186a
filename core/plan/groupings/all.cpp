// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include "core/plan/grouping.h"

namespace kvista {

namespace {

Result<HeadGroups> group(const GroupingRequest& request) {
  KVISTA_CHECK(checkRequest(request, false));
  HeadGroups groups(1, std::vector<int>(static_cast<std::size_t>(request.heads)));
  std::iota(groups.front().begin(), groups.front().end(), 0);
  return groups;
}

}  // namespace

Grouping allGrouping() { return {"all", "All heads of a layer in one group.", false, group}; }

}  // namespace kvista
