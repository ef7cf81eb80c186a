// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/grouping.h"

namespace kvista {

namespace {

Result<HeadGroups> group(const GroupingRequest& request) {
  KVISTA_CHECK(checkRequest(request, false));
  HeadGroups groups;
  for (int head = 0; head < request.heads; ++head) {
    if (head % request.groupSize == 0) groups.emplace_back();
    groups.back().push_back(head);
  }
  return groups;
}

}  // namespace

Grouping neighboursGrouping() {
  return {"neighbours", "Heads that follow one another, as Palu groups them.", false, group};
}

}  // namespace kvista
