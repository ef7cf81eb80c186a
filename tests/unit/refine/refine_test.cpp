// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/refine/refine.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/refine/trainable_factors.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using ::testing::HasSubstr;

struct Planned {
  CompressionPlan plan;
  PlanFactors factors;
};

/// With a first layer that is coded like the others, so that all have something to gain.
Planned planned(const std::string& method, double share, std::optional<bool> trellis = std::nullopt) {
  PlanRequest request;
  request.trellis = trellis;
  request.tokenNumbers = false;
  request.method = method;
  request.target.value = share;
  Planned result;
  result.plan = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan;
  result.factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), result.plan, {}));
  return result;
}

PlanTransform transformOf(const CompressionPlan& plan, const PlanFactors& factors) {
  return {plan, factors, shortDecoder().shape(), at::kCPU};
}

std::string nameOf(std::string name) {
  std::erase(name, '-');
  return name;
}

double divergenceOf(const Planned& start, const PlanFactors& factors) {
  return valueOf(
      shortDecoder().divergence(demoWindows(8, 0, kEvaluationText).ids, transformOf(start.plan, factors), {}));
}

RefineRequest shortRequest(int steps) {
  RefineRequest request;
  request.steps = steps;
  request.warmUpSteps = 4;
  request.windowsPerStep = 8;
  return request;
}

RefineResult refined(const Planned& start, const RefineRequest& request, const Task& task = {}) {
  return valueOf(refine(shortDecoder(), start.plan, start.factors, demoWindows(96).ids, demoWindows(8, 96).ids, request,
                        {}, task));
}

TEST(Distil, AnswersTheMeanDivergenceOfTheDistributions) {
  const Planned start = planned("joint", 0.25);
  const at::Tensor ids = demoWindows(2).ids;
  const PlanTransform student = transformOf(start.plan, start.factors);
  const auto logProbabilities = [&](const CacheTransform* transform) {
    return at::log_softmax(valueOf(shortDecoder().forward(ids, transform, {}, true, {})).logits, -1, at::kDouble);
  };
  const at::Tensor teacher = logProbabilities(nullptr);
  const double expected = (teacher.exp() * (teacher - logProbabilities(&student))).sum(-1).mean().item<double>();
  EXPECT_GT(expected, 1e-3);
  EXPECT_NEAR(valueOf(shortDecoder().divergence(ids, student, {})), expected, 1e-5 * expected + 1e-7);
  EXPECT_NEAR(valueOf(shortDecoder().distil(ids, student, {})), expected, 1e-5 * expected + 1e-7);
}

TEST(Distil, GradientsAreThoseOfFiniteDifferences) {
  const Planned start = planned("joint", 0.25);
  const at::Tensor ids = demoWindows(1).ids;
  TrainableFactors trained(start.factors, at::kCPU);
  ASSERT_TRUE(shortDecoder().distil(ids, transformOf(start.plan, trained.factors()), {}));
  for (std::size_t group = 0; group < start.factors.size(); ++group) {
    for (const bool up : {true, false}) {
      const at::Tensor& leaf = up ? trained.factors()[group].up : trained.factors()[group].down;
      // Along the gradient itself the slope is its norm.
      const at::Tensor gradient = leaf.grad().clone();
      const double norm = gradient.norm().item<double>();
      ASSERT_GT(norm, 0);
      const auto lossAt = [&](double distance) {
        PlanFactors moved = trained.detached();
        (up ? moved[group].up : moved[group].down) += gradient * (distance / norm);
        return valueOf(shortDecoder().divergence(ids, transformOf(start.plan, moved), {}));
      };
      constexpr double kDistance = 2e-3;
      EXPECT_NEAR((lossAt(kDistance) - lossAt(-kDistance)) / (2 * kDistance), norm, 0.03 * norm)
          << group << (up ? " up" : " down");
    }
  }
}

class Recomputed : public ::testing::TestWithParam<const char*> {};

TEST_P(Recomputed, LayersGiveTheSameGradients) {
  const Planned start = planned(GetParam(), 0.125);
  const at::Tensor ids = demoWindows(1).ids;
  ComputeOptions nothingKept;
  nothingKept.activationBudgetBytes = 0;
  Checkpoint checkpoint = demoCheckpoint();
  checkpoint.config["num_hidden_layers"] = 2;
  const auto again = valueOf(Decoder::load(checkpoint, nothingKept, {}));
  TrainableFactors kept(start.factors, at::kCPU), recomputed(start.factors, at::kCPU);
  const auto distilled = [&](const Decoder& decoder, const PlanFactors& factors) {
    PlanTransform student = transformOf(start.plan, factors);
    student.followGradients();
    return valueOf(decoder.distil(ids, student, {}));
  };
  EXPECT_EQ(distilled(shortDecoder(), kept.factors()), distilled(*again, recomputed.factors()));
  EXPECT_NEAR(distilled(shortDecoder(), start.factors),
              valueOf(shortDecoder().divergence(ids, transformOf(start.plan, start.factors), {})), 1e-6);
  for (std::size_t group = 0; group < start.factors.size(); ++group) {
    ASSERT_GT(kept.factors()[group].up.grad().abs().max().item<double>(), 0);
    EXPECT_TRUE(at::equal(kept.factors()[group].up.grad(), recomputed.factors()[group].up.grad()));
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, Recomputed, ::testing::Values("coded-joint", "coded-chain"),
                         [](const auto& info) { return nameOf(info.param); });

TEST(TrainableFactors, ScalingChangesNoNumberThatTheModelSees) {
  for (const char* method : {"joint", "coded-joint", "coded-head"}) {
    const Planned start = planned(method, 0.25);
    const TrainableFactors trained(start.factors, at::kCPU);
    const at::Tensor ids = demoWindows(1).ids;
    const auto logits = [&](const PlanFactors& factors) {
      const PlanTransform transform = transformOf(start.plan, factors);
      return valueOf(shortDecoder().forward(ids, &transform, {}, true, {})).logits;
    };
    EXPECT_TRUE(at::equal(logits(trained.detached()), logits(start.factors))) << method;
    const GroupFactors& group = trained.factors().front();
    const at::Tensor ratio = group.up.detach().norm(2, 0) / group.down.detach().norm(2, 1);
    EXPECT_LE(ratio.max().item<double>(), 2.001) << method;
    EXPECT_GE(ratio.min().item<double>(), 0.499) << method;
  }
}

TEST(CoderGradient, PassesInsideTheRangeAndNotBeyondIt) {
  GroupFactors factors;
  factors.widths = {16, 2, 2, 2};
  factors.steps = at::tensor({0.0F, 1.0F, 1.0F, 1.0F});
  const at::Tensor latent = at::tensor({5.0F, 0.3F, 7.0F, -7.0F}).set_requires_grad(true);
  const at::Tensor decoded = codeAndDecode(latent, factors);
  EXPECT_TRUE(at::allclose(decoded.detach(), at::tensor({5.0F, 0.5F, 1.5F, -1.5F})));
  decoded.sum().backward();
  EXPECT_TRUE(at::equal(latent.grad(), at::tensor({1.0F, 1.0F, 0.0F, 0.0F})));
}

TEST(CoderGradient, PassesAsFarAsTheLevelsOfATrellisReach) {
  GroupFactors factors;
  factors.widths = {2, 2, 2};
  factors.steps = at::tensor({1.0F, 1.0F, 1.0F});
  factors.trellis = true;
  const at::Tensor latent = at::tensor({3.9F, 4.1F, -4.1F}).set_requires_grad(true);
  codeAndDecode(latent, factors).sum().backward();
  EXPECT_TRUE(at::equal(latent.grad(), at::tensor({1.0F, 0.0F, 0.0F})));
}

struct RefineCase {
  const char* method;
  double share;  ///< Small enough to leave something to gain.
  bool trellis = false;
};
class Refine : public ::testing::TestWithParam<RefineCase> {};

TEST_P(Refine, BringsTheModelCloserOnTextThatNoStepSaw) {
  const Planned start = planned(GetParam().method, GetParam().share, GetParam().trellis);
  const RefineResult result = refined(start, shortRequest(40));
  EXPECT_EQ(result.steps, 40);
  EXPECT_LT(result.heldOutAfter, 0.95 * result.heldOutBefore);
  EXPECT_GT(result.bestStep, 0);
  ASSERT_EQ(result.curve.size(), 40U);
  EXPECT_EQ(result.curve.back().step, 40);
  EXPECT_EQ(result.curve.front().heldOut, result.heldOutBefore);
  EXPECT_LT(divergenceOf(start, result.factors), 0.95 * divergenceOf(start, start.factors));
  for (std::size_t i = 0; i < start.factors.size(); ++i) {
    EXPECT_EQ(result.factors[i].widths, start.factors[i].widths);
    EXPECT_EQ(result.factors[i].up.sizes(), start.factors[i].up.sizes());
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, Refine,
                         ::testing::Values(RefineCase{"joint", 0.1}, RefineCase{"coded-joint", 0.02},
                                           RefineCase{"coded-joint", 0.015, true}, RefineCase{"coded-chain", 0.02},
                                           RefineCase{"coded-head", 0.04}),
                         [](const auto& info) {
                           return nameOf(info.param.method) + (info.param.trellis ? "trellis" : "");
                         });

TEST(RefineRun, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const Planned start = planned("joint", 0.1);
  RefineRequest request = shortRequest(4);
  const RefineResult first = refined(start, request);
  EXPECT_EQ(first.curve, refined(start, request).curve);
  request.seed = 1;
  EXPECT_NE(first.curve, refined(start, request).curve);
}

TEST(RefineRun, GoesOnWhereItWasCutOff) {
  const Planned start = planned("joint", 0.1);
  RefineRequest request = shortRequest(6);
  const RefineResult whole = refined(start, request);
  // Stopped by the task in the middle; what was kept is the state after the last save.
  const auto folder = std::filesystem::temp_directory_path() / "kvista_refine_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  request.partialFile = folder / "partial";
  request.key = "this model and text";
  request.saveEverySeconds = 0;
  std::stop_source stop;
  Task task;
  task.stop = stop.get_token();
  const auto cut = refine(
      shortDecoder(), start.plan, start.factors, demoWindows(96).ids, demoWindows(8, 96).ids, request,
      [&](const RefinePoint& point) {
        if (point.step == 3) stop.request_stop();
      },
      task);
  EXPECT_EQ(errorOf(cut).code, ErrorCode::cancelled);
  ASSERT_TRUE(std::filesystem::exists(request.partialFile));
  int steps = 0;
  const RefineResult rest =
      valueOf(refine(shortDecoder(), start.plan, start.factors, demoWindows(96).ids, demoWindows(8, 96).ids, request,
                     [&](const RefinePoint& point) { steps += point.heldOut && point.step == 6 ? 0 : 1; }, {}));
  EXPECT_LT(steps, 6) << "it began anew";
  EXPECT_EQ(rest.curve, whole.curve);
  EXPECT_TRUE(at::equal(rest.factors[0].up, whole.factors[0].up));
  EXPECT_FALSE(std::filesystem::exists(request.partialFile));
  std::filesystem::remove_all(folder);
}

TEST(RefineRun, NestedFactorsServeSmallerRanksBetter) {
  const Planned start = planned("joint", 0.1);
  RefineRequest request = shortRequest(24);
  const PlanFactors plain = refined(start, request).factors;
  request.nested = true;
  const PlanFactors nested = refined(start, request).factors;
  const auto halfRank = [&](const PlanFactors& factors) {
    return divergenceOf(start, TrainableFactors(factors, at::kCPU).firstDirections(0.4));
  };
  EXPECT_LT(halfRank(nested), halfRank(plain));
}

TEST(RefineRun, RefusesWhatItCannotTrain) {
  const Planned start = planned("plain", 0.3);
  const auto refusal =
      refine(shortDecoder(), start.plan, start.factors, demoWindows(2).ids, demoWindows(1, 2).ids, {}, {}, {});
  EXPECT_THAT(errorOf(refusal).message, HasSubstr("no factors"));
  const Planned joint = planned("joint", 0.2);
  const auto empty = refine(shortDecoder(), joint.plan, joint.factors, demoWindows(2).ids,
                            demoWindows(1).ids.narrow(0, 0, 0), {}, {}, {});
  EXPECT_THAT(errorOf(empty).message, HasSubstr("held out"));
}

}  // namespace
}  // namespace kvista::test
