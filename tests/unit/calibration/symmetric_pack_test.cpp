// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/symmetric_pack.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

/// Second moments of columns whose sizes differ a million times.
at::Tensor secondMoment(std::int64_t n, unsigned seed) {
  at::Tensor rows = gaussian({2 * n, n}, seed);
  for (std::int64_t i = 0; i < n; ++i) rows.select(1, i).mul_(std::pow(10.0, static_cast<double>(i % 7) - 3));
  return at::matmul(rows.t(), rows);
}

TEST(PackSymmetric, IsWithinItsRoundingEverywhere) {
  const at::Tensor matrices = at::stack({secondMoment(40, 1), secondMoment(40, 2)});
  const at::Tensor packed = packSymmetric(matrices);
  EXPECT_EQ(packed.sizes().vec(), (std::vector<std::int64_t>{2, 4 * 40 + 3 * 40 * 39 / 2}));
  const at::Tensor unpacked = unpackSymmetric(packed, 40);
  for (std::int64_t m = 0; m < 2; ++m) {
    const at::Tensor roots = matrices[m].diagonal().sqrt();
    const at::Tensor error = (unpacked[m] - matrices[m]) / at::outer(roots, roots);
    EXPECT_LE(error.abs().max().item<double>(), std::ldexp(1.0, -23));
    EXPECT_TRUE(at::equal(unpacked[m], unpacked[m].t()));
  }
}

TEST(PackSymmetric, PackedAgainIsTheSameToTheByte) {
  for (const std::int64_t n : {1, 2, 33, 256}) {
    const at::Tensor packed = packSymmetric(secondMoment(n, 3));
    EXPECT_TRUE(at::equal(packSymmetric(unpackSymmetric(packed, n)), packed)) << n;
  }
}

TEST(PackSymmetric, ABatchOfOneIsUnpackedWhateverItsWidth) {
  for (const std::int64_t n : {11, 12, 13}) {
    const at::Tensor packed = packSymmetric(secondMoment(n, 5).unsqueeze(0));
    EXPECT_TRUE(at::equal(unpackSymmetric(packed, n).squeeze(0), unpackSymmetric(packed.squeeze(0), n))) << n;
  }
}

TEST(PackSymmetric, PerfectCorrelationAndNothingAreExact) {
  const at::Tensor vector = gaussian({12}, 4).to(at::kFloat).to(at::kDouble);
  at::Tensor matrix = at::outer(vector, vector);  // correlations of 1 and -1 alone
  EXPECT_LE(relativeDifference(unpackSymmetric(packSymmetric(matrix), 12), matrix), 1e-7);
  matrix.select(0, 5).zero_();
  matrix.select(1, 5).zero_();
  const at::Tensor unpacked = unpackSymmetric(packSymmetric(matrix), 12);
  EXPECT_EQ(unpacked.select(0, 5).abs().max().item<double>(), 0);
  EXPECT_TRUE(at::equal(unpackSymmetric(packSymmetric(at::zeros({3, 4, 4}, at::kDouble)), 4),
                        at::zeros({3, 4, 4}, at::kDouble)));
}

TEST(PackSymmetric, WhatIsNotFiniteStaysSo) {
  at::Tensor matrix = secondMoment(8, 5);
  matrix.select(0, 2).fill_(std::numeric_limits<double>::infinity());
  matrix.select(1, 2).fill_(std::numeric_limits<double>::infinity());
  const at::Tensor unpacked = unpackSymmetric(packSymmetric(matrix), 8);
  EXPECT_FALSE(unpacked.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace kvista::test
