// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/plan/matrix.h"

namespace kvista {

/// Which clusters were joined, the most alike first. Clusters 0 to leaves-1 are the leaves, cluster leaves+k is what
/// merge k made. Fewer than leaves-1 merges: a forest.
struct Dendrogram {
  struct Merge {
    int left = 0;  ///< The cluster with the lower first leaf.
    int right = 0;
    double similarity = 0.0;  ///< Mean over the pairs of a leaf of `left` and a leaf of `right`.
    bool operator==(const Merge&) const = default;
  };
  int leaves = 0;
  std::vector<Merge> merges;
  bool operator==(const Dendrogram&) const = default;
};

/// Average linkage (UPGMA, Sokal and Michener 1958) by chains of nearest neighbours, in O(n^2) time.
/// `similarity`: [n, n], larger is more alike; the diagonal is not used, and where [i, j] and [j, i] differ their mean
/// is. A value that is not known (NaN) counts as the lowest known one. With `groups` (of leaf numbers) only leaves of
/// one group are joined. Numbers outside [0, n) and repetitions are passed over; a matrix that is not square is empty.
Dendrogram averageLinkage(const Matrix& similarity);
Dendrogram averageLinkage(const Matrix& similarity, const std::vector<std::vector<int>>& groups);

/// Leaves from top to bottom so that no lines cross: trees by their lowest leaf, and so within each tree.
std::vector<int> leafOrder(const Dendrogram& tree);

}  // namespace kvista
