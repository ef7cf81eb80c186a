// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan_comparison.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

/// Two layers of two heads, keys of 8 numbers and values of 4.
ModelShape shapeOfTwo() {
  ModelShape shape;
  shape.layers = shape.kvHeads = shape.queryHeads = 2;
  shape.headDim = 8;
  shape.valueHeadDim = 4;
  return shape;
}

TEST(PlanComparisonTest, WhatIsKeptHasSixteenBits) {
  CompressionPlan plan;
  plan.groups = singleSlots(shapeOfTwo());
  const Matrix bits = bitsPerNumber(plan, shapeOfTwo());
  EXPECT_EQ(bits.rows, 2);
  EXPECT_EQ(bits.columns, 4);
  EXPECT_EQ(bits.values, std::vector<float>(8, 16.0F));
}

TEST(PlanComparisonTest, SlotsShareTheBytesOfTheirGroupByTheirNumbers) {
  const ModelShape shape = shapeOfTwo();
  CompressionPlan plan;
  plan.groups = joinKeysAndValues(shape, 0, {{0, 1}});
  const auto second = groupsOf(shape, 1, {{0}, {1}}, {{0, 1}});
  plan.groups.insert(plan.groups.end(), second.begin(), second.end());
  plan.groups[0].widths.assign(24, 0);
  for (int i = 0; i < 6; ++i) plan.groups[0].widths[static_cast<std::size_t>(i)] = 8;  // 6 bytes for 24 numbers.
  plan.groups[2].widths.assign(8, 4);                                                  // K1: 4 bytes for 8.
  plan.groups[3].widths.assign(8, 0);                                                  // V0 and V1: dropped.
  const Matrix bits = bitsPerNumber(plan, shape);
  EXPECT_EQ(bits.values, (std::vector<float>{2, 2, 2, 2, 16, 4, 0, 0}));

  double bytes = 0;
  for (int layer = 0; layer < 2; ++layer)
    for (int column = 0; column < 4; ++column) bytes += bits.at(layer, column) / 8 * (column < 2 ? 8 : 4);
  EXPECT_DOUBLE_EQ(bytes, static_cast<double>(bytesPerToken(plan)));
}

TEST(PlanComparisonTest, ScalesOfPlainQuantisationAreCounted) {
  CompressionPlan plan;
  plan.storage = Storage::plainQuantised;
  plan.scaleBlock = 32;
  plan.groups = singleSlots(shapeOfTwo());
  for (Group& group : plan.groups) group.widths.assign(group.widths.size(), 4);
  const Matrix bits = bitsPerNumber(plan, shapeOfTwo());
  EXPECT_FLOAT_EQ(bits.at(0, 0), 4 + 1);  // Keys: 8 pairs of 4 bytes for 32 tokens are a byte a token, 8 bits over 8.
  EXPECT_FLOAT_EQ(bits.at(0, 2), 4 + 8);  // Values: 4 bytes a token, 32 bits over 4.
}

TEST(PlanComparisonTest, LossesAddUpToTheWholeWhateverTheGroups) {
  const ModelShape shape = shapeOfTwo();
  CompressionPlan plan;
  plan.groups = joinKeysAndValues(shape, 0, {{0, 1}});
  const auto second = groupsOf(shape, 1, {{0}, {1}}, {{0, 1}});
  plan.groups.insert(plan.groups.end(), second.begin(), second.end());
  const Matrix losses = lossByLayer(plan, shape, {0.75, 0.125, 0.25, 0.5});
  EXPECT_EQ(losses.rows, 2);
  EXPECT_EQ(losses.columns, 2);
  EXPECT_EQ(losses.values, (std::vector<float>{0.5F, 0.25F, 0.375F, 0.5F}));

  // A group across layers is in both by its numbers.
  std::swap(plan.groups[0].slots[0], plan.groups[1].slots[0]);
  const Matrix moved = lossByLayer(plan, shape, {0.75, 0.125, 0.25, 0.5});
  EXPECT_FLOAT_EQ(moved.at(0, 0), 0.25F + 0.125F);
  EXPECT_FLOAT_EQ(moved.at(1, 0), 0.25F + 0.25F);
}

TEST(PlanComparisonTest, WhatIsNotKnownStaysSo) {
  const ModelShape shape = shapeOfTwo();
  CompressionPlan plan;
  plan.groups = singleSlots(shape);  // K0 K1 V0 V1 of each layer.
  std::vector<double> losses(8, 0.5);
  losses[2] = NAN;
  const Matrix known = lossByLayer(plan, shape, losses);
  EXPECT_EQ(known.at(0, 0), 1.0F);
  EXPECT_TRUE(std::isnan(known.at(0, 1)));
  EXPECT_EQ(known.at(1, 1), 1.0F);
  EXPECT_TRUE(lossByLayer(plan, shape, {1.0}).isEmpty());

  plan.groups.erase(plan.groups.begin());           // K0 of layer 0 is nowhere,
  plan.groups.back().slots[0] = {7, Side::key, 5};  // and V1 of layer 1 is of another model.
  const Matrix bits = bitsPerNumber(plan, shape);
  EXPECT_TRUE(std::isnan(bits.at(0, 0)));
  EXPECT_EQ(bits.at(0, 1), 16.0F);
  EXPECT_TRUE(std::isnan(bits.at(1, 3)));
  EXPECT_TRUE(std::isnan(lossByLayer(plan, shape, std::vector<double>(7, 0.5)).at(0, 0)));
}

}  // namespace
}  // namespace kvista
