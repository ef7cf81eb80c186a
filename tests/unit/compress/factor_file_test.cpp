// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/factor_file.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/compress/planner.h"
#include "tests/unit/compress/plan_request.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
const std::string kModel = "0123456789abcdef";

class FactorFile : public ::testing::Test {
 protected:
  FactorFile() {
    const MadePlan& made = madePlan("coded-joint", 0.125);
    plan_ = made.planned.plan;
    factors_ = made.factors;
    save(factors_);
  }
  void save(const PlanFactors& factors) {
    if (const auto saved = saveFactors(file_, plan_, factors, kModel, {}); !saved)
      throw std::runtime_error(saved.error().message);
  }
  Result<PlanFactors> load() { return loadFactors(file_, plan_, shortDecoder().shape(), kModel); }
  /// After one group's factors were changed and saved.
  template <class Change>
  Error changed(Change change) {
    PlanFactors factors = factors_;
    factors[0].up = factors[0].up.clone();
    change(factors[0]);
    save(factors);
    return errorOf(load());
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "p.refined.safetensors";
  CompressionPlan plan_;
  PlanFactors factors_;
};

TEST_F(FactorFile, GivesBackWhatWasKept) {
  const PlanFactors back = valueOf(load());
  ASSERT_EQ(back.size(), factors_.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_TRUE(at::equal(back[i].up, factors_[i].up));
    EXPECT_TRUE(at::equal(back[i].down, factors_[i].down));
    EXPECT_TRUE(at::equal(back[i].steps, factors_[i].steps));
    EXPECT_EQ(back[i].widths, factors_[i].widths);
  }
}

TEST_F(FactorFile, KeepsTheMeansOfCentredPlansAndNeedsThem) {
  PlanRequest request;
  request.method = "joint";
  request.target.value = 0.25;
  request.centred = true;
  plan_ = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
  factors_ = valueOf(makeFactors(shortDecoder(), &shortStatistics(), plan_, {}));
  save(factors_);
  const PlanFactors back = valueOf(load());
  for (std::size_t i = 0; i < back.size(); ++i)
    EXPECT_TRUE(at::equal(back[i].shift, factors_[i].shift) && at::equal(back[i].offset, factors_[i].offset));
  EXPECT_THAT(changed([](GroupFactors& group) { group.offset = at::Tensor(); }).message, HasSubstr("0.offset"));
}

TEST_F(FactorFile, CountsBeforeTheStatisticsOfThePlan) {
  PlanFactors other = factors_;
  other[0].up = other[0].up.mul(2);
  save(other);
  const auto obtained = [&](const std::filesystem::path& file) {
    return valueOf(factorsOfPlan(shortDecoder(), &shortStatistics(), plan_, file, kModel, {}));
  };
  EXPECT_TRUE(at::equal(obtained(file_)[0].up, other[0].up));
  EXPECT_TRUE(at::equal(obtained({})[0].up, factors_[0].up));
}

TEST_F(FactorFile, IsRefusedForAnotherPlanOrModel) {
  EXPECT_THAT(errorOf(loadFactors(file_, plan_, shortDecoder().shape(), "fedcba9876543210")).message,
              HasSubstr("another plan or model"));
  plan_.exactTokens += 1;
  const Error error = errorOf(load());
  EXPECT_EQ(error.code, ErrorCode::invalidArgument);
  EXPECT_THAT(error.message, AllOf(HasSubstr("p.refined.safetensors"), HasSubstr("another plan or model")));
}

TEST_F(FactorFile, WhatIsDamagedIsNamed) {
  EXPECT_THAT(changed([](GroupFactors& group) { group.up = group.up.narrow(1, 0, 1).clone(); }).message,
              HasSubstr("0.up"));
  EXPECT_THAT(changed([](GroupFactors& group) { group.up = group.up.to(at::kDouble); }).message, HasSubstr("0.up"));
  EXPECT_THAT(changed([](GroupFactors& group) { group.up[0][0] = std::numeric_limits<float>::quiet_NaN(); }).message,
              HasSubstr("NaN"));
  EXPECT_THAT(changed([](GroupFactors& group) { group.up = at::Tensor(); }).message, HasSubstr("0.up"));
}

TEST_F(FactorFile, CutOffEmptyOrMissingIsAnError) {
  const std::string whole = readText(file_);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    writeText(file_, whole.substr(0, size));
    const Error error = errorOf(load());
    EXPECT_EQ(error.code, ErrorCode::corruptFile) << size;
    EXPECT_THAT(error.message, HasSubstr("p.refined.safetensors")) << size;
  }
  std::filesystem::remove(file_);
  EXPECT_EQ(errorOf(load()).code, ErrorCode::io);
}

}  // namespace
}  // namespace kvista::test
