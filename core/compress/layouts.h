// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/plan/plan.h"

namespace kvista {

/// How the slots of one layer are put into groups.
struct LayoutRequest {
  ModelShape shape;
  int layer = 0;
  /// joint: K and V of all heads together. separate: all of K, all of V. head: every head of either side alone. paired:
  /// similar keys, and the values of the same heads; neighbours-both: neighbouring heads, likewise. Otherwise a head
  /// grouping (core/plan/grouping.h: neighbours, greedy, swap, all): keys so, values in one group.
  std::string_view grouping;
  int groupSize = 4;  ///< Heads a group, for head groupings and for `joint` (0: all).
  /// How alike the key heads are, [heads, heads] float64; asked for by head groupings by similarity alone.
  std::function<Result<at::Tensor>()> keySimilarity;
  /// What a group of key slots loses at its rank; asked for by groupings by loss alone, which fail where it is no
  /// finite number.
  std::function<double(const std::vector<Slot>&)> truncatedLoss = {};
};

/// Groups of the layer, each uncompressed; keys before values within a group.
Result<std::vector<Group>> layOut(const LayoutRequest& request);

/// Names that `grouping` may have, with one line each.
std::vector<std::pair<std::string_view, std::string_view>> layoutNames();
/// The name, if `grouping` may have it. Error: invalidArgument, with those that it may have.
Result<std::string_view> findLayout(std::string_view name);

/// Linear CKA between the heads of one side from a [2kv, 2kv] covariance (methods.md section 3), [heads, heads].
at::Tensor headSimilarity(const at::Tensor& covariance, const ModelShape& shape, Side side);

}  // namespace kvista
