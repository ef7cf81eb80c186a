// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// The quantiser of coded latents and the fit of its steps.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/special_ndtri.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/compress/factors.h"
#include "core/compress/quantiser_fit.h"
#include "core/model/trellis.h"
#include "core/plan/spectrum.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

GroupFactors coder(std::vector<std::uint8_t> widths, const std::vector<float>& steps) {
  GroupFactors factors;
  factors.widths = std::move(widths);
  factors.steps = at::tensor(steps, at::kFloat);
  return factors;
}

std::vector<float> coded(const std::vector<float>& latent, const GroupFactors& factors) {
  const at::Tensor out = codeAndDecode(at::tensor(latent, at::kFloat), factors).contiguous();
  return {out.const_data_ptr<float>(), out.const_data_ptr<float>() + out.numel()};
}

TEST(CodeAndDecode, ByHand) {
  //                                    16 bits  8 bits: -128 .. 127      4 bits: -8 .. 7     2 bits: -2 .. 1      1 bit
  const GroupFactors factors =
      coder({16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1}, {0, 0.5F, 0.5F, 0.5F, 1, 1, 1, 2, 2, 2, 1.5F, 1.5F});
  EXPECT_EQ(coded({0.123F, 0.6F, 1000, -1000, 0, -0.25F, 7.99F, 1.99F, 2, -4.01F, 0.1F, -0.1F}, factors),
            (std::vector<float>{0.123F, 0.75F, 63.75F, -63.75F, 0.5F, -0.5F, 7.5F, 1, 3, -3, 0.75F, -0.75F}));
}

TEST(CodeAndDecode, RoundsDownAtExactMultiplesOfTheStep) {
  const GroupFactors factors = coder({4, 4, 4, 4}, {0.25F, 0.25F, 0.25F, 0.25F});
  EXPECT_EQ(coded({0.25F, 0.125F, -0.25F, -0.375F}, factors), (std::vector<float>{0.375F, 0.125F, -0.125F, -0.375F}));
}

TEST(CodeAndDecode, ClampsAtTheLowestAndHighestLevel) {
  for (const int bits : {1, 2, 4, 8}) {
    const GroupFactors factors = coder({static_cast<std::uint8_t>(bits)}, {0.5F});
    const float highest = (std::ldexp(1.0F, bits - 1) - 0.5F) * 0.5F;
    EXPECT_EQ(coded({1e30F}, factors).front(), highest) << bits;
    EXPECT_EQ(coded({-1e30F}, factors).front(), -highest) << bits;
  }
}

TEST(CodeAndDecode, SixteenBitsPass) {
  const at::Tensor latent = gaussian({3, 5, 4}, 1).to(at::kFloat);
  EXPECT_TRUE(at::equal(codeAndDecode(latent, coder({16, 16, 16, 16}, {0, 0, 0, 0})), latent));
  const at::Tensor out = codeAndDecode(latent, coder({16, 16, 2, 1}, {0, 0, 0.7F, 0.9F}));
  EXPECT_TRUE(at::equal(out.narrow(-1, 0, 2), latent.narrow(-1, 0, 2)));
  EXPECT_GT(largestDifference(out.narrow(-1, 2, 2), latent.narrow(-1, 2, 2)), 0.01);
}

TEST(CodeAndDecode, LeavesItsOwnOutputAlone) {
  const at::Tensor latent = gaussian({200, 5}, 2).to(at::kFloat) * 3;
  const GroupFactors factors = coder({16, 8, 4, 2, 1}, {0, 0.03F, 0.3F, 0.9F, 1.6F});
  const at::Tensor once = codeAndDecode(latent, factors);
  EXPECT_TRUE(at::equal(codeAndDecode(once, factors), once));
  EXPECT_LE(codeAndDecode(latent.narrow(0, 0, 1), factors).sub(once.narrow(0, 0, 1)).abs().max().item<float>(), 0);
}

TEST(CodeAndDecode, CodesOfAWidthGoThroughOneTrellis) {
  const std::vector<std::uint8_t> widths = {16, 8, 6, 4, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1};
  const at::Tensor latent = gaussian({100, 14}, 3).to(at::kFloat);
  GroupFactors factors =
      coder(widths, {0, 0.03F, 0.1F, 0.2F, 0.2F, 0.3F, 0.4F, 0.5F, 0.5F, 0.6F, 0.8F, 0.8F, 0.9F, 0.9F});
  factors.trellis = true;
  const at::Tensor out = codeAndDecode(latent, factors);
  EXPECT_TRUE(at::equal(codeAndDecode(out, factors), out));
  for (const auto& [bits, begin, count] : {std::tuple{4, 3, 2}, {3, 5, 2}, {2, 7, 3}, {1, 10, 4}}) {
    const at::Tensor steps = factors.steps.narrow(0, begin, count);
    const at::Tensor levels = trellisLevels(trellisCodes(latent.narrow(1, begin, count) / steps, bits), bits);
    EXPECT_TRUE(at::equal(out.narrow(1, begin, count), levels * steps)) << bits;
  }
  factors.trellis = false;
  EXPECT_TRUE(at::equal(codeAndDecode(latent, factors).narrow(1, 0, 3), out.narrow(1, 0, 3)))
      << "wider ones are coded by themselves";
}

TEST(FitQuantisers, GaussianSamplesGetTheGaussianSteps) {
  const std::vector<int> widths = {0, 1, 2, 4, 8, 16};
  const std::vector<double> deviations = {1, 0.01, 300};
  // Quantiles instead of draws: a few large draws would decide over 8 bits.
  const at::Tensor quantiles = at::special_ndtri((at::arange(20'000, at::kDouble) + 0.5) / 20'000);
  const at::Tensor latents = (quantiles.unsqueeze(1) * at::tensor(deviations, at::kDouble)).to(at::kFloat);
  const QuantiserFit fit = fitQuantisers(latents, widths);
  ASSERT_EQ(fit.steps.sizes().vec(), (std::vector<std::int64_t>{3, 6}));
  ASSERT_EQ(fit.distortion.size(), 18U);
  for (std::size_t direction = 0; direction < 3; ++direction) {
    for (std::size_t w = 0; w < widths.size(); ++w) {
      const double distortion = fit.distortion[direction * 6 + w];
      EXPECT_NEAR(distortion, gaussianDistortion(widths[w]), 0.1 * gaussianDistortion(widths[w])) << widths[w];
      const double step = fit.steps[static_cast<std::int64_t>(direction)][static_cast<std::int64_t>(w)].item<double>();
      if (widths[w] == 0 || widths[w] == 16)
        EXPECT_EQ(step, 0);
      else
        EXPECT_NEAR(step / (gaussianStep(widths[w]) * deviations[direction]), 1, 0.27)
            << widths[w];  // one step of the grid
    }
  }
}

/// The distortion that the coder itself has with the Gaussian step.
double gaussianStepDistortion(const at::Tensor& values, int bits) {
  const double deviation = std::sqrt(values.square().mean(at::kDouble).item<double>());
  const GroupFactors factors =
      coder({static_cast<std::uint8_t>(bits)}, {static_cast<float>(gaussianStep(bits) * deviation)});
  return codeAndDecode(values, factors).sub(values).square().sum(at::kDouble).item<double>() /
         values.square().sum(at::kDouble).item<double>();
}

TEST(FitQuantisers, OtherShapesGetBetterStepsThanTheGaussianOnes) {
  const std::vector<int> widths = {1, 4, 8};
  const at::Tensor normal = gaussian({20'000, 2}, 4);
  // The product of a normal number and the root of an exponential one is a Laplace number.
  const at::Tensor exponential = normal.square().sum(1) / 2;
  const at::Tensor laplace = (gaussian({20'000}, 5) * (2 * exponential).sqrt()).unsqueeze(1).to(at::kFloat);
  const QuantiserFit heavy = fitQuantisers(laplace, widths);
  for (std::size_t w = 0; w < 3; ++w)
    EXPECT_LE(heavy.distortion[w], 1.0001 * gaussianStepDistortion(laplace, widths[w])) << widths[w];
  EXPECT_LT(heavy.distortion[1], 0.95 * gaussianStepDistortion(laplace, 4));
  EXPECT_LT(heavy.distortion[2], 0.95 * gaussianStepDistortion(laplace, 8));

  const at::Tensor twoPoints = normal.narrow(1, 0, 1).sign().to(at::kFloat) * 3;
  const QuantiserFit two = fitQuantisers(twoPoints, widths);
  EXPECT_GT(gaussianStepDistortion(twoPoints, 1), 0.04);
  EXPECT_LT(two.distortion[0], 1e-4);  // a step of two deviations is on the grid but for .25 %
}

TEST(FitQuantisers, TheDistortionIsThatOfTheCoder) {
  const std::vector<int> widths = {1, 2, 4, 8};
  const at::Tensor latents = (gaussian({500, 3}, 6).pow(3)).to(at::kFloat);
  const QuantiserFit fit = fitQuantisers(latents, widths);
  for (std::int64_t direction = 0; direction < 3; ++direction)
    for (std::int64_t w = 0; w < 4; ++w) {
      const at::Tensor values = latents.narrow(1, direction, 1);
      const GroupFactors factors = coder({static_cast<std::uint8_t>(widths[static_cast<std::size_t>(w)])},
                                         {fit.steps[direction][w].item<float>()});
      const double expected = codeAndDecode(values, factors).sub(values).square().sum(at::kDouble).item<double>() /
                              values.square().sum(at::kDouble).item<double>();
      EXPECT_NEAR(fit.distortion[static_cast<std::size_t>(direction * 4 + w)] / expected, 1, 1e-3);
    }
}

TEST(FitQuantisers, StepsOfATrellisAreThoseOfItsLevels) {
  // Of 20,000 numbers that are coded behind one another, as of directions that are.
  const at::Tensor latents = gaussian({20'000, 2}, 7).to(at::kFloat) * at::tensor({1.0F, 40.0F});
  const QuantiserFit fit = fitQuantisers(latents, {0, 1, 2, 3, 4, 6}, true),
                     alone = fitQuantisers(latents, {0, 1, 2, 3, 4, 6});
  for (std::int64_t direction = 0; direction < 2; ++direction) {
    for (const int bits : {1, 2, 3, 4}) {
      const double distortion = fit.distortion[static_cast<std::size_t>(direction * 6 + bits)];
      EXPECT_NEAR(distortion / trellisDistortion(bits), 1, 0.06) << bits;
      EXPECT_LT(distortion, 0.9 * alone.distortion[static_cast<std::size_t>(direction * 6 + bits)]) << bits;
      const at::Tensor step = fit.steps[direction][bits], values = latents.select(1, direction);
      const at::Tensor errors = trellisLevels(trellisCodes((values / step).contiguous(), bits), bits) * step - values;
      EXPECT_NEAR((errors.square().sum() / values.square().sum()).item<double>() / distortion, 1, 1e-3) << bits;
    }
    EXPECT_EQ(fit.distortion[static_cast<std::size_t>(direction * 6 + 5)],
              alone.distortion[static_cast<std::size_t>(direction * 6 + 5)]);
  }
}

TEST(FitQuantisers, ADirectionOfZerosLosesNothing) {
  const QuantiserFit fit = fitQuantisers(at::zeros({50, 2}, at::kFloat), {0, 4});
  EXPECT_EQ(fit.distortion, (std::vector<float>{0, 0, 0, 0}));
  EXPECT_EQ(fit.steps.abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace kvista::test
