// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/dendrogram.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace kvista {
namespace {

/// A merge before it has its number: any leaf of either side, and how alike they are.
struct Joint {
  int a, b;
  double similarity;
};

double lowestKnown(const Matrix& matrix) {
  constexpr float kNone = std::numeric_limits<float>::infinity();
  float lowest = kNone;
  // Neither holds of what is not a number.
  for (const float value : matrix.values)
    if (value < lowest && value > -kNone) lowest = value;
  return lowest == kNone ? 0.0 : static_cast<double>(lowest);
}

/// The clusters of one group while they are joined. A cluster is called by one of its members' places.
class Linkage {
 public:
  Linkage(const Matrix& matrix, const std::vector<int>& members, double unknown)
      : members_(members),
        size_(members.size(), 1),
        stride_(members.size() + 8 + 8 * (members.size() / 8 % 2)),
        table_(members.size() * stride_) {
    const auto known = [&](int row, int column) {
      const float value = matrix.at(row, column);
      return std::isfinite(value) ? static_cast<double>(value) : unknown;
    };
    // By tiles: either the rows or the columns of a large table are far apart in memory.
    constexpr std::size_t kTile = 32;
    const std::size_t count = members.size();
    for (std::size_t rows = 0; rows < count; rows += kTile)
      for (std::size_t columns = rows; columns < count; columns += kTile)
        for (std::size_t i = rows; i < std::min(rows + kTile, count); ++i)
          for (std::size_t j = std::max(columns, i); j < std::min(columns + kTile, count); ++j)
            at(i, j) = at(j, i) = (known(members[i], members[j]) + known(members[j], members[i])) / 2;
    there_.resize(count);
    std::iota(there_.begin(), there_.end(), std::size_t{0});
  }

  void run(std::vector<Joint>& joints) {
    std::vector<std::size_t> chain;
    for (std::size_t left = members_.size(); left > 1;) {
      if (chain.empty()) chain.push_back(there_.front());
      const std::size_t here = chain.back();
      const std::size_t before = chain.size() > 1 ? chain[chain.size() - 2] : here;
      const std::size_t next = nearest(here, before);
      if (next != before) {
        chain.push_back(next);
        continue;
      }
      chain.resize(chain.size() - 2);
      joints.push_back({members_[here], members_[next], at(here, next)});
      join(here, next);
      --left;
    }
  }

 private:
  double& at(std::size_t i, std::size_t j) { return table_[i * stride_ + j]; }

  /// Among equals the chain's last one, so that it ends, then the lowest.
  std::size_t nearest(std::size_t here, std::size_t before) {
    std::size_t best = before;
    double similarity = before == here ? -std::numeric_limits<double>::infinity() : at(here, before);
    const double* row = &at(here, 0);
    for (const std::size_t j : there_) {
      if ((row[j] <= similarity && best != here) || j == here) continue;
      best = j;
      similarity = row[j];
    }
    return best;
  }

  void join(std::size_t gone, std::size_t kept) {
    const double a = size_[gone], b = size_[kept];
    there_.erase(std::lower_bound(there_.begin(), there_.end(), gone));
    for (const std::size_t j : there_) at(kept, j) = at(j, kept) = (a * at(gone, j) + b * at(kept, j)) / (a + b);
    size_[kept] += size_[gone];
  }

  const std::vector<int>& members_;
  std::vector<int> size_;
  std::size_t stride_;  // No power of two: a cache would keep only a few elements of a column.
  std::vector<double> table_;
  std::vector<std::size_t> there_;  // Clusters that are not joined to others, by number.
};

/// Numbers the merges by falling similarity.
Dendrogram numbered(int leaves, std::vector<Joint> joints) {
  std::stable_sort(joints.begin(), joints.end(),
                   [](const Joint& x, const Joint& y) { return x.similarity > y.similarity; });
  Dendrogram tree{leaves, {}};
  std::vector<int> parent(static_cast<std::size_t>(leaves)), cluster(parent.size()), lowest(parent.size());
  std::iota(parent.begin(), parent.end(), 0);
  std::iota(cluster.begin(), cluster.end(), 0);
  std::iota(lowest.begin(), lowest.end(), 0);
  const auto root = [&](int leaf) {
    auto at = static_cast<std::size_t>(leaf);
    while (parent[at] != static_cast<int>(at)) {
      parent[at] = parent[static_cast<std::size_t>(parent[at])];
      at = static_cast<std::size_t>(parent[at]);
    }
    return at;
  };
  for (const Joint& joint : joints) {
    std::size_t a = root(joint.a), b = root(joint.b);
    if (lowest[a] > lowest[b]) std::swap(a, b);
    tree.merges.push_back({cluster[a], cluster[b], joint.similarity});
    parent[b] = static_cast<int>(a);
    cluster[a] = leaves + static_cast<int>(tree.merges.size()) - 1;
  }
  return tree;
}

}  // namespace

Dendrogram averageLinkage(const Matrix& similarity) {
  std::vector<int> all(static_cast<std::size_t>(std::max(similarity.rows, 0)));
  std::iota(all.begin(), all.end(), 0);
  return averageLinkage(similarity, {all});
}

Dendrogram averageLinkage(const Matrix& similarity, const std::vector<std::vector<int>>& groups) {
  const auto side = static_cast<std::size_t>(std::max(similarity.rows, 0));
  if (similarity.rows != similarity.columns || similarity.values.size() != side * side) return {};
  const double unknown = lowestKnown(similarity);
  std::vector<bool> taken(side, false);
  std::vector<Joint> joints;
  for (const std::vector<int>& group : groups) {
    std::vector<int> members;
    for (const int leaf : group) {
      if (leaf < 0 || leaf >= similarity.rows || taken[static_cast<std::size_t>(leaf)]) continue;
      taken[static_cast<std::size_t>(leaf)] = true;
      members.push_back(leaf);
    }
    std::sort(members.begin(), members.end());
    Linkage(similarity, members, unknown).run(joints);
  }
  return numbered(similarity.rows, std::move(joints));
}

std::vector<int> leafOrder(const Dendrogram& tree) {
  const auto leaves = static_cast<std::size_t>(tree.leaves);
  std::vector<bool> isRoot(leaves + tree.merges.size(), true);
  std::vector<int> lowest(isRoot.size());
  std::iota(lowest.begin(), lowest.begin() + tree.leaves, 0);
  for (std::size_t k = 0; k < tree.merges.size(); ++k) {
    const Dendrogram::Merge& merge = tree.merges[k];
    isRoot[static_cast<std::size_t>(merge.left)] = isRoot[static_cast<std::size_t>(merge.right)] = false;
    lowest[leaves + k] =
        std::min(lowest[static_cast<std::size_t>(merge.left)], lowest[static_cast<std::size_t>(merge.right)]);
  }
  std::vector<int> waiting;
  for (std::size_t cluster = 0; cluster < isRoot.size(); ++cluster)
    if (isRoot[cluster]) waiting.push_back(static_cast<int>(cluster));
  std::sort(waiting.begin(), waiting.end(), [&](int a, int b) {
    return lowest[static_cast<std::size_t>(a)] > lowest[static_cast<std::size_t>(b)];  // The last is taken first.
  });
  std::vector<int> order;
  order.reserve(leaves);
  while (!waiting.empty()) {
    const int cluster = waiting.back();
    waiting.pop_back();
    if (cluster < tree.leaves) {
      order.push_back(cluster);
    } else {
      const Dendrogram::Merge& merge = tree.merges[static_cast<std::size_t>(cluster - tree.leaves)];
      waiting.push_back(merge.right);
      waiting.push_back(merge.left);
    }
  }
  return order;
}

}  // namespace kvista
