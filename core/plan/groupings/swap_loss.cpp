// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/grouping.h"

namespace kvista {

Grouping swapGrouping();

namespace {

Result<HeadGroups> group(const GroupingRequest& request) {
  if (!request.truncatedLoss)
    return fail(ErrorCode::invalidArgument,
                "The grouping swap-loss needs the loss of each group at its rank, and none was given.",
                "Group by similarity instead, with swap.");
  return swapGrouping().group(request);
}

}  // namespace

Grouping swapLossGrouping() {
  return {"swap-loss", "Exchanges pairs of heads while the true loss of the groups at their rank falls.", true, group,
          true};
}

}  // namespace kvista
