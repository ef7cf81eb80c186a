// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/layouts.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/plan/grouping.h"
#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

std::vector<int> allHeads(int heads) {
  std::vector<int> list(static_cast<std::size_t>(heads));
  std::iota(list.begin(), list.end(), 0);
  return list;
}

HeadGroups eachAlone(int heads) {
  HeadGroups groups;
  for (int head = 0; head < heads; ++head) groups.push_back({head});
  return groups;
}

Result<Eigen::MatrixXd> keySimilarity(const LayoutRequest& request) {
  KVISTA_ASSIGN(const at::Tensor asked, request.keySimilarity());
  const at::Tensor similarity = asked.contiguous();
  const auto n = static_cast<Eigen::Index>(similarity.size(0));
  return Eigen::Map<const Eigen::MatrixXd>(similarity.const_data_ptr<double>(), n, n);
}

}  // namespace

std::vector<std::pair<std::string_view, std::string_view>> layoutNames() {
  std::vector<std::pair<std::string_view, std::string_view>> names = {
      {"auto", "joint over the widest groups of heads whose decoding work stays affordable"},
      {"joint", "one latent for all keys and values of a layer"},
      {"separate", "one latent for all keys of a layer, one for all values"},
      {"head", "every head of keys and of values alone"},
      {"paired", "groups of heads with similar keys, the same heads for values"},
      {"neighbours-both", "groups of neighbouring heads, the same for keys and for values"},
      {"values", "every head of values alone, keys as they are"},
      {"common-key", "one latent for all keys of a layer, as wide as a head, one for all values"}};
  for (const Grouping& grouping : groupings()) names.emplace_back(grouping.name, grouping.summary);
  return names;
}

Result<std::string_view> findLayout(std::string_view name) {
  std::string names;
  for (const auto& [known, summary] : layoutNames()) {
    if (known == name) return known;
    names += fmt::format(" {}", known);
  }
  return fail(ErrorCode::invalidArgument, fmt::format("There is no grouping '{}'.", name),
              fmt::format("Known groupings:{}.", names));
}

at::Tensor headSimilarity(const at::Tensor& covariance, const ModelShape& shape, Side side) {
  const std::int64_t begin = side == Side::key ? 0 : shape.keyWidth();
  const std::int64_t width = side == Side::key ? shape.keyWidth() : shape.valueWidth();
  const at::Tensor block = covariance.narrow(0, begin, width).narrow(1, begin, width).cpu().contiguous();
  // Symmetric, so that Eigen's column order does not matter.
  const Eigen::Map<const Eigen::MatrixXd> matrix(block.const_data_ptr<double>(), width, width);
  Eigen::MatrixXd similarity = linearCka(matrix, shape.kvHeads);
  return at::from_blob(similarity.data(), {shape.kvHeads, shape.kvHeads}, at::kDouble).clone();
}

Result<std::vector<Group>> layOut(const LayoutRequest& request) {
  const ModelShape& shape = request.shape;
  const int heads = shape.kvHeads;
  const bool jointly = request.grouping == "joint", neighbours = request.grouping == "neighbours-both";
  const bool paired = request.grouping == "paired" || neighbours;
  HeadGroups keys, values;
  if (request.grouping == "head" || request.grouping == "values") {
    keys = values = eachAlone(heads);
  } else if (request.grouping == "separate" || request.grouping == "common-key" ||
             (jointly && (request.groupSize <= 0 || request.groupSize >= heads))) {
    keys = values = {allHeads(heads)};
  } else {
    KVISTA_ASSIGN(const Grouping* grouping, findGrouping(neighbours          ? "neighbours"
                                                         : jointly || paired ? "swap"
                                                                             : request.grouping));
    GroupingRequest wanted;
    wanted.heads = heads;
    wanted.groupSize = std::clamp(request.groupSize, 1, heads);
    if (grouping->needsSimilarity) {
      KVISTA_ASSIGN(wanted.similarity, keySimilarity(request));
    }
    if (grouping->needsTruncatedLoss && request.truncatedLoss) {
      wanted.truncatedLoss = [&](const std::vector<int>& group) {
        std::vector<Slot> slots;
        for (const int head : group) slots.push_back({request.layer, Side::key, head});
        return request.truncatedLoss(slots);
      };
    }
    KVISTA_ASSIGN(keys, grouping->group(wanted));
    values = jointly || paired ? keys : HeadGroups{allHeads(heads)};
  }

  if (jointly) return joinKeysAndValues(shape, request.layer, keys);
  std::vector<Group> groups = groupsOf(shape, request.layer, keys, values);
  if (request.grouping == "values" || request.grouping == "common-key")
    for (Group& group : groups) group.locked = group.slots.front().side == Side::key;
  if (request.grouping == "common-key")
    std::fill(groups.front().widths.begin() + shape.headDim, groups.front().widths.end(), std::uint8_t{0});
  return groups;
}

}  // namespace kvista
