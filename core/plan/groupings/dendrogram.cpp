// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/dendrogram.h"

#include <cstddef>

#include "core/plan/grouping.h"

namespace kvista {

namespace {

/// As many groups as groups of the size asked for would be, by taking the last merges of the tree apart: heads that are
/// like no others stay alone, and large families stay together.
Result<HeadGroups> group(const GroupingRequest& request) {
  KVISTA_CHECK(checkRequest(request, true));
  Matrix similarity{request.heads, request.heads, {}};
  for (int row = 0; row < request.heads; ++row)
    for (int column = 0; column < request.heads; ++column)
      similarity.values.push_back(static_cast<float>(request.similarity(row, column)));
  const Dendrogram tree = averageLinkage(similarity);
  const int wanted = (request.heads + request.groupSize - 1) / request.groupSize;
  HeadGroups clusters;
  for (int head = 0; head < request.heads; ++head) clusters.push_back({head});
  for (std::size_t merge = 0; merge < static_cast<std::size_t>(request.heads - wanted); ++merge) {
    std::vector<int> joined;
    for (const int part : {tree.merges[merge].left, tree.merges[merge].right}) {
      std::vector<int>& heads = clusters[static_cast<std::size_t>(part)];
      joined.insert(joined.end(), heads.begin(), heads.end());
      heads.clear();
    }
    clusters.push_back(std::move(joined));
  }
  return canonical(std::move(clusters));
}

}  // namespace

Grouping dendrogramGrouping() {
  return {"dendrogram", "Cuts the tree of similar heads into as many groups, which may differ in size.", true, group};
}

}  // namespace kvista
