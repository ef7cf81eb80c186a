// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>
#include <functional>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/plan/plan.h"

namespace kvista {

/// What a grouping decides on: the heads of one side of one layer, and how alike they are.
struct GroupingRequest {
  int heads = 0;
  int groupSize = 4;           ///< Heads a group; the last group may be smaller.
  Eigen::MatrixXd similarity;  ///< [heads, heads], symmetric, 1 on the diagonal; may be empty for `neighbours`.
  /// Loss of a group of heads at its rank (tail of its eigenvalues); empty unless the true truncated loss is wanted.
  std::function<double(const std::vector<int>&)> truncatedLoss;
};

/// Every head once; heads rising within a group, groups by first head.
using HeadGroups = std::vector<std::vector<int>>;

struct Grouping {
  std::string_view name;
  std::string_view summary;
  bool needsSimilarity;
  Result<HeadGroups> (*group)(const GroupingRequest&);
  bool needsTruncatedLoss = false;
};

/// neighbours, greedy (HSR as released), swap and swap-loss (exchanges while the objective improves), dendrogram, all.
/// A new one is a file beside groupings/neighbours.cpp and one line in groupings.cpp.
const std::vector<Grouping>& groupings();
Result<const Grouping*> findGrouping(std::string_view name);

/// Similarity of heads from second moments (linear CKA, methods.md section 3).
/// `covariance`: [heads*width, heads*width], block (i, j) belongs to heads i and j. S_ij = |C_ij|_F^2 / (|C_ii|_F
/// |C_jj|_F). A head that is zero is like no other head. Empty when the size is not a multiple of `heads`.
Eigen::MatrixXd linearCka(const Eigen::MatrixXd& covariance, int heads);

/// Mistakes in a request, as every grouping refuses them.
Result<void> checkRequest(const GroupingRequest& request, bool needsSimilarity);
/// Heads rising within a group, groups by first head, no empty group.
HeadGroups canonical(HeadGroups groups);

}  // namespace kvista
