// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/plan/grouping.h"

// One line a grouping: X(name) is the function `Grouping nameGrouping()` of its file in groupings/.
#define KVISTA_GROUPINGS(X) \
  X(neighbours)             \
  X(greedy)                 \
  X(swap)                   \
  X(swapLoss)               \
  X(dendrogram)             \
  X(all)

namespace kvista {

#define KVISTA_DECLARE(name) Grouping name##Grouping();
KVISTA_GROUPINGS(KVISTA_DECLARE)

const std::vector<Grouping>& groupings() {
#define KVISTA_ENTRY(name) name##Grouping(),
  static const std::vector<Grouping> kGroupings = {KVISTA_GROUPINGS(KVISTA_ENTRY)};
  return kGroupings;
}

Result<const Grouping*> findGrouping(std::string_view name) {
  std::string known;
  for (const Grouping& grouping : groupings()) {
    if (grouping.name == name) return &grouping;
    known += fmt::format(" {}", grouping.name);
  }
  return fail(ErrorCode::invalidArgument, fmt::format("There is no grouping '{}'.", name),
              fmt::format("Known groupings:{}.", known));
}

Result<void> checkRequest(const GroupingRequest& request, bool needsSimilarity) {
  constexpr int kMaxHeads = 4096;
  if (request.heads < 1 || request.heads > kMaxHeads)
    return fail(ErrorCode::invalidArgument,
                fmt::format("There are {} heads to group; it must be 1 to {}.", request.heads, kMaxHeads));
  if (request.groupSize < 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The group size is {}; it must be at least 1.", request.groupSize));
  if (!needsSimilarity) return {};
  const auto& similarity = request.similarity;
  if (similarity.rows() != request.heads || similarity.cols() != request.heads)
    return fail(ErrorCode::invalidArgument, fmt::format("The similarity of heads is {} x {}, but there are {} heads.",
                                                        similarity.rows(), similarity.cols(), request.heads));
  for (Eigen::Index i = 0; i < similarity.rows(); ++i)
    for (Eigen::Index j = 0; j < similarity.cols(); ++j)
      if (!std::isfinite(similarity(i, j)))
        return fail(ErrorCode::invalidArgument,
                    fmt::format("The similarity of heads {} and {} is not a finite number.", i, j));
  return {};
}

HeadGroups canonical(HeadGroups groups) {
  std::erase_if(groups, [](const std::vector<int>& heads) { return heads.empty(); });
  for (auto& heads : groups) std::sort(heads.begin(), heads.end());
  std::sort(groups.begin(), groups.end());
  return groups;
}

Eigen::MatrixXd linearCka(const Eigen::MatrixXd& covariance, int heads) {
  if (heads < 1 || covariance.rows() != covariance.cols() || covariance.rows() % heads != 0) return {};
  const Eigen::Index width = covariance.rows() / heads;
  const auto energy = [&](int i, int j) { return covariance.block(i * width, j * width, width, width).squaredNorm(); };
  Eigen::MatrixXd similarity = Eigen::MatrixXd::Identity(heads, heads);
  Eigen::VectorXd own(heads);
  for (int i = 0; i < heads; ++i) own(i) = std::sqrt(energy(i, i));
  for (int i = 0; i < heads; ++i) {
    for (int j = 0; j < i; ++j) {
      const double scale = own(i) * own(j);
      similarity(i, j) = similarity(j, i) = scale > 0 ? energy(i, j) / scale : 0.0;
    }
  }
  return similarity;
}

}  // namespace kvista
