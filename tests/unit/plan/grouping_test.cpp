// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/grouping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace kvista {
namespace {

using ::testing::HasSubstr;

HeadGroups group(std::string_view name, const GroupingRequest& request) {
  const auto result = findGrouping(name).value()->group(request);
  EXPECT_TRUE(result) << result.error().message;
  return result.value_or(HeadGroups{});
}

/// Heads shuffled into groups; heads of one group are more alike than any others, with noise on both.
struct Planted {
  GroupingRequest request;
  HeadGroups truth;
};

Planted plant(std::mt19937& random, int heads, int groupSize) {
  std::vector<int> order(static_cast<std::size_t>(heads));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<int> groupOf(order.size());
  Planted planted;
  planted.request.heads = heads;
  planted.request.groupSize = groupSize;
  for (int i = 0; i < heads; ++i) {
    if (i % groupSize == 0) planted.truth.emplace_back();
    planted.truth.back().push_back(order[static_cast<std::size_t>(i)]);
    groupOf[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = i / groupSize;
  }
  planted.truth = canonical(planted.truth);
  std::uniform_real_distribution<double> within(0.45, 0.75), between(0.05, 0.4);
  planted.request.similarity = Eigen::MatrixXd::Identity(heads, heads);
  for (int i = 0; i < heads; ++i)
    for (int j = 0; j < i; ++j) {
      const bool same = groupOf[static_cast<std::size_t>(i)] == groupOf[static_cast<std::size_t>(j)];
      planted.request.similarity(i, j) = planted.request.similarity(j, i) = same ? within(random) : between(random);
    }
  return planted;
}

double similarityWithin(const GroupingRequest& request, const HeadGroups& groups) {
  double sum = 0;
  for (const auto& heads : groups)
    for (const int a : heads)
      for (const int b : heads) sum += request.similarity(a, b);
  return sum;
}

TEST(GroupingTest, RegistryFindsByName) {
  std::vector<std::string_view> names;
  for (const Grouping& grouping : groupings()) {
    names.push_back(grouping.name);
    EXPECT_FALSE(grouping.summary.empty());
  }
  EXPECT_EQ(names, (std::vector<std::string_view>{"neighbours", "greedy", "swap", "swap-loss", "dendrogram", "all"}));
  EXPECT_EQ(findGrouping("sort").error().message, "There is no grouping 'sort'.");
  EXPECT_EQ(findGrouping("sort").error().hint, "Known groupings: neighbours greedy swap swap-loss dendrogram all.");
}

TEST(GroupingTest, TheDendrogramIsCutIntoFamiliesOfAnySize) {
  GroupingRequest request;
  request.heads = 8;
  request.groupSize = 4;  // so two groups
  request.similarity = Eigen::MatrixXd::Identity(8, 8);
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < i; ++j)  // six heads alike, and two others
      request.similarity(i, j) = request.similarity(j, i) = (i % 3 == 2) == (j % 3 == 2) ? 0.9 : 0.1;
  EXPECT_EQ(group("dendrogram", request), (HeadGroups{{0, 1, 3, 4, 6, 7}, {2, 5}}));
  request.groupSize = 1;
  EXPECT_EQ(group("dendrogram", request).size(), 8u);
  request.groupSize = 100;
  EXPECT_EQ(group("dendrogram", request).size(), 1u);
  std::mt19937 random(4);
  for (int trial = 0; trial < 50; ++trial) {
    const Planted planted = plant(random, 16, 4);
    EXPECT_EQ(group("dendrogram", planted.request), planted.truth);
  }
}

TEST(GroupingTest, SimpleOnes) {
  GroupingRequest request;
  request.heads = 6;
  EXPECT_EQ(group("neighbours", request), (HeadGroups{{0, 1, 2, 3}, {4, 5}}));
  EXPECT_EQ(group("all", request), (HeadGroups{{0, 1, 2, 3, 4, 5}}));
  request.groupSize = 1;
  EXPECT_EQ(group("neighbours", request).size(), 6u);
  request.groupSize = std::numeric_limits<int>::max();
  EXPECT_EQ(group("neighbours", request), (HeadGroups{{0, 1, 2, 3, 4, 5}}));
}

TEST(GroupingTest, EveryHeadOnceAndTheSameEveryTime) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 100; ++trial) {
    const int heads = 1 + static_cast<int>(random() % 20);
    const int size = 1 + static_cast<int>(random() % 7);
    const auto planted = plant(random, heads, size).request;
    for (const Grouping& grouping : groupings()) {
      GroupingRequest request = planted;
      if (grouping.needsTruncatedLoss)
        request.truncatedLoss = [&](const std::vector<int>& members) { return -similarityWithin(planted, {members}); };
      const HeadGroups groups = group(grouping.name, request);
      EXPECT_EQ(groups, group(grouping.name, request)) << grouping.name;
      EXPECT_EQ(groups, canonical(groups));
      std::vector<int> seen;
      std::vector<std::size_t> sizes;
      for (const auto& members : groups) {
        seen.insert(seen.end(), members.begin(), members.end());
        sizes.push_back(members.size());
      }
      std::sort(seen.begin(), seen.end());
      std::vector<int> all(static_cast<std::size_t>(heads));
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(seen, all) << grouping.name;
      if (grouping.name == "all") continue;
      // Full groups, and the rest in one.
      std::sort(sizes.rbegin(), sizes.rend());
      for (std::size_t g = 0; g < sizes.size(); ++g)
        EXPECT_EQ(sizes[g], static_cast<std::size_t>(std::min(size, heads - static_cast<int>(g) * size)))
            << grouping.name;
    }
  }
}

TEST(GroupingTest, GreedyFollowsTheReleasedRule) {
  GroupingRequest request;
  request.heads = 6;
  request.groupSize = 3;
  request.similarity = Eigen::MatrixXd::Identity(6, 6);
  const auto edge = [&](int a, int b, double value) { request.similarity(a, b) = request.similarity(b, a) = value; };
  edge(0, 1, 0.9);  // Opens the first group.
  edge(2, 3, 0.8);  // Goes there too, though unlike, and overflows it.
  edge(3, 4, 0.7);  // No room with 3.
  edge(4, 5, 0.6);  // The second group.
  EXPECT_EQ(group("greedy", request), (HeadGroups{{0, 1, 2}, {3, 4, 5}}));
}

TEST(GroupingTest, SwapFindsPlantedGroupsAndGreedyDoesNot) {
  std::mt19937 random(11);
  int bySwap = 0, byGreedy = 0;
  for (int trial = 0; trial < 100; ++trial) {
    const Planted planted = plant(random, 16, 4);
    bySwap += group("swap", planted.request) == planted.truth ? 1 : 0;
    byGreedy += group("greedy", planted.request) == planted.truth ? 1 : 0;
  }
  EXPECT_GE(bySwap, 95);
  EXPECT_LE(byGreedy, 20);
}

TEST(GroupingTest, SwapIsNeverWorseThanItsStarts) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int trial = 0; trial < 30; ++trial) {
    GroupingRequest request;
    request.heads = 32;
    request.similarity = Eigen::MatrixXd::Identity(32, 32);
    for (int i = 0; i < 32; ++i)
      for (int j = 0; j < i; ++j) request.similarity(i, j) = request.similarity(j, i) = uniform(random);
    const double best = similarityWithin(request, group("swap", request));
    EXPECT_GE(best, similarityWithin(request, group("greedy", request)) - 1e-9);
    EXPECT_GE(best, similarityWithin(request, group("neighbours", request)) - 1e-9);
  }
}

TEST(GroupingTest, SwapMinimisesTheTrueLossWhenItIsGiven) {
  // Similarity says neighbours; the loss wants heads of equal parity together.
  GroupingRequest request;
  request.heads = 8;
  request.similarity = Eigen::MatrixXd::Constant(8, 8, 0.1);
  request.similarity.topLeftCorner(4, 4).setConstant(0.9);
  request.similarity.bottomRightCorner(4, 4).setConstant(0.9);
  request.similarity.diagonal().setOnes();
  EXPECT_EQ(group("swap", request), (HeadGroups{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  EXPECT_THAT(findGrouping("swap-loss").value()->group(request).error().message, HasSubstr("none was given"));
  request.truncatedLoss = [](const std::vector<int>& heads) {
    const auto odd = std::count_if(heads.begin(), heads.end(), [](int head) { return head % 2 != 0; });
    return static_cast<double>(std::min<std::ptrdiff_t>(odd, 4 - odd));
  };
  EXPECT_EQ(group("swap", request), (HeadGroups{{0, 2, 4, 6}, {1, 3, 5, 7}}));
  EXPECT_EQ(group("swap-loss", request), group("swap", request));
  request.truncatedLoss = [](const std::vector<int>&) { return std::nan(""); };
  EXPECT_EQ(findGrouping("swap").value()->group(request).error().code, ErrorCode::numerical);
}

TEST(GroupingTest, RefusesWhatCannotBeGrouped) {
  const auto messageOf = [](std::string_view name, const GroupingRequest& request) {
    const auto result = findGrouping(name).value()->group(request);
    return result ? std::string() : result.error().message;
  };
  GroupingRequest request;
  EXPECT_THAT(messageOf("all", request), HasSubstr("There are 0 heads to group"));
  request.heads = 4;
  EXPECT_EQ(messageOf("swap", request), "The similarity of heads is 0 x 0, but there are 4 heads.");
  request.similarity = Eigen::MatrixXd::Identity(4, 4);
  request.similarity(1, 2) = std::nan("");
  EXPECT_EQ(messageOf("greedy", request), "The similarity of heads 1 and 2 is not a finite number.");
  request.groupSize = 0;
  EXPECT_EQ(messageOf("neighbours", request), "The group size is 0; it must be at least 1.");
}

TEST(LinearCkaTest, EqualsTheDefinitionOnActivations) {
  // CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X^T, L = Y Y^T, uncentred: inner products of kernels.
  std::mt19937 random(2);
  std::normal_distribution<double> normal;
  const int heads = 5, width = 6, tokens = 40;
  Eigen::MatrixXd y(tokens, heads * width);
  for (Eigen::Index i = 0; i < y.size(); ++i) y.data()[i] = normal(random);
  y.middleCols(width, width) += y.leftCols(width);  // Two heads that resemble each other.
  const Eigen::MatrixXd similarity = linearCka(y.transpose() * y, heads);
  for (int i = 0; i < heads; ++i)
    for (int j = 0; j < heads; ++j) {
      const auto kernel = [&](int head) -> Eigen::MatrixXd {
        const auto x = y.middleCols(head * width, width);
        return x * x.transpose();
      };
      const Eigen::MatrixXd a = kernel(i), b = kernel(j);
      EXPECT_NEAR(similarity(i, j), a.cwiseProduct(b).sum() / (a.norm() * b.norm()), 1e-12);
      EXPECT_EQ(similarity(i, j), similarity(j, i));
    }
}

TEST(LinearCkaTest, DoesNotSeeRotationsOrScales) {
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  Eigen::MatrixXd x(30, 2);
  for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = normal(random);
  Eigen::Matrix2d rotation;
  rotation << std::cos(0.7), -std::sin(0.7), std::sin(0.7), std::cos(0.7);
  Eigen::MatrixXd y(30, 4);
  y << x, 3 * x * rotation;
  EXPECT_NEAR(linearCka(y.transpose() * y, 2)(0, 1), 1, 1e-12);
}

TEST(LinearCkaTest, DeadHeadsAndOddSizes) {
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(4, 4);
  covariance.topLeftCorner(2, 2).setIdentity();
  EXPECT_EQ(linearCka(covariance, 2), Eigen::MatrixXd::Identity(2, 2));
  EXPECT_EQ(linearCka(covariance, 3).size(), 0);
  EXPECT_EQ(linearCka(covariance, 0).size(), 0);
}

}  // namespace
}  // namespace kvista
