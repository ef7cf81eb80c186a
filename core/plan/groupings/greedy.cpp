// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>

#include "core/plan/grouping.h"

namespace kvista {

namespace {

/// Groups that fill up; only the last may be planned smaller.
class FillingGroups {
 public:
  explicit FillingGroups(const GroupingRequest& request)
      : size_(std::min(request.groupSize, request.heads)),
        groups_(static_cast<std::size_t>((request.heads + size_ - 1) / size_)),
        lastSize_(request.heads - static_cast<int>(groups_.size() - 1) * size_),
        groupOf_(static_cast<std::size_t>(request.heads), kFree) {}

  [[nodiscard]] int groupOf(int head) const { return groupOf_[static_cast<std::size_t>(head)]; }
  [[nodiscard]] bool isFree(int head) const { return groupOf(head) == kFree; }
  [[nodiscard]] int room(int group) const {
    const bool last = group + 1 == static_cast<int>(groups_.size());
    return (last ? lastSize_ : size_) - static_cast<int>(groups_[static_cast<std::size_t>(group)].size());
  }
  /// The first group with room, or -1.
  [[nodiscard]] int firstWithRoom() const {
    for (int group = 0; group < static_cast<int>(groups_.size()); ++group)
      if (room(group) > 0) return group;
    return -1;
  }
  void put(int head, int group) {
    groups_[static_cast<std::size_t>(group)].push_back(head);
    groupOf_[static_cast<std::size_t>(head)] = group;
  }
  /// Heads that a group holds too many move on to the first groups with room.
  void moveOverflow() {
    for (int group = 0; group < static_cast<int>(groups_.size()); ++group) {
      while (room(group) < 0) {
        const int head = groups_[static_cast<std::size_t>(group)].back();
        groups_[static_cast<std::size_t>(group)].pop_back();
        put(head, firstWithRoom());
      }
    }
  }
  [[nodiscard]] HeadGroups take() && { return canonical(std::move(groups_)); }

 private:
  static constexpr int kFree = -1;
  int size_;
  HeadGroups groups_;
  int lastSize_;
  std::vector<int> groupOf_;
};

/// ReCalKV's rule as released (methods.md section 4).
Result<HeadGroups> group(const GroupingRequest& request) {
  KVISTA_CHECK(checkRequest(request, true));
  struct Edge {
    double similarity;
    int a, b;
  };
  std::vector<Edge> edges;
  for (int a = 0; a < request.heads; ++a)
    for (int b = a + 1; b < request.heads; ++b) edges.push_back({request.similarity(a, b), a, b});
  std::stable_sort(edges.begin(), edges.end(),
                   [](const Edge& x, const Edge& y) { return x.similarity > y.similarity; });

  FillingGroups groups(request);
  for (const Edge& edge : edges) {
    if (groups.isFree(edge.a) && groups.isFree(edge.b)) {
      // The released rule asks for room for one and appends two.
      if (const int target = groups.firstWithRoom(); target >= 0) {
        groups.put(edge.a, target);
        groups.put(edge.b, target);
      }
    } else if (groups.isFree(edge.a) != groups.isFree(edge.b)) {
      const int free = groups.isFree(edge.a) ? edge.a : edge.b;
      const int target = groups.groupOf(free == edge.a ? edge.b : edge.a);
      if (groups.room(target) > 0) groups.put(free, target);
    }
  }
  for (int head = 0; head < request.heads; ++head)
    if (groups.isFree(head)) groups.put(head, groups.firstWithRoom());
  groups.moveOverflow();
  return std::move(groups).take();
}

}  // namespace

Grouping greedyGrouping() {
  return {"greedy", "ReCalKV's head reordering as released: pairs by falling similarity.", true, group};
}

}  // namespace kvista
