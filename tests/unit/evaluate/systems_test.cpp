// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What truncation costs, and KQ-SVD beside its variants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/compress/planner.h"
#include "core/evaluate/key_variants.h"
#include "core/evaluate/truncation_loss.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

TEST(MeasureTruncation, CostsNothingWhereAllIsKeptAndMoreTheLessIs) {
  const auto losses = valueOf(measureTruncation(demoDecoder(), demoStatistics(), {0}, {1.0, 0.5, 0.02}, 12, {}));
  ASSERT_EQ(losses.size(), 6U);
  for (std::size_t side = 0; side < 2; ++side) {
    EXPECT_EQ(losses[3 * side].side, side == 0 ? Side::key : Side::value);
    EXPECT_EQ(losses[3 * side].loss, 0);
    EXPECT_GT(losses[3 * side + 2].loss, losses[3 * side + 1].loss);
  }
}

TEST(KeyVariants, EachIsBestAtWhatItIsFor) {
  PlanRequest request;
  request.method = "kqsvd";
  request.target = {Target::Kind::share, 0.5};
  const CompressionPlan plan = valueOf(makePlan(demoDecoder(), &demoStatistics(), request, {})).planned.plan;
  const auto variants = valueOf(compareKeyVariants(demoDecoder(), demoStatistics(), plan, {}));
  ASSERT_EQ(variants.size(), 3U);
  const VariantErrors &kqsvd = variants[0], &ksvd = variants[1], &eigen = variants[2];
  EXPECT_LT(ksvd.keys, kqsvd.keys);
  EXPECT_LT(ksvd.keys, eigen.keys);
  EXPECT_LT(ksvd.values, kqsvd.values);
  EXPECT_DOUBLE_EQ(ksvd.values, eigen.values);
  EXPECT_LT(kqsvd.logits, ksvd.logits);
  EXPECT_LT(kqsvd.logits, eigen.logits);
  request.method = "joint";
  const CompressionPlan joint = valueOf(makePlan(demoDecoder(), &demoStatistics(), request, {})).planned.plan;
  EXPECT_THAT(errorOf(compareKeyVariants(demoDecoder(), demoStatistics(), joint, {})).message,
              ::testing::HasSubstr("does not compress keys after RoPE"));
}

}  // namespace
}  // namespace kvista::test
