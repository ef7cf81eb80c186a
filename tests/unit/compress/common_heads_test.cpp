// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/common_heads.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/block_diag.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace kvista::test {
namespace {

constexpr std::int64_t kHeads = 3, kWidth = 8;

at::Tensor normal(at::IntArrayRef shape) { return at::randn(shape, at::TensorOptions(at::kDouble)); }

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

/// [d, d] that multiplies rotary pair j by x_j + i y_j and leaves what does not rotate.
at::Tensor pairwise(const at::Tensor& x, const at::Tensor& y, const HeadRotation& rotation) {
  at::Tensor matrix = at::eye(kWidth, at::TensorOptions(at::kDouble));
  const at::Tensor pairs = rotaryPairs(rotation);
  for (std::int64_t pair = 0; pair < pairs.size(0); ++pair) {
    const auto a = pairs[pair][0].item<std::int64_t>(), b = pairs[pair][1].item<std::int64_t>();
    matrix[a][a] = x[pair];
    matrix[a][b] = -y[pair];
    matrix[b][a] = y[pair];
    matrix[b][b] = x[pair];
  }
  return matrix;
}

at::Tensor rotationBy(double angle, const HeadRotation& rotation) {
  const at::Tensor angles = angle / (at::randn({rotation.rotaryDim / 2}, at::TensorOptions(at::kDouble)).abs() + 1);
  return pairwise(at::cos(angles), at::sin(angles), rotation);
}

class CommonHead : public ::testing::TestWithParam<HeadRotation> {
 protected:
  CommonHead() {
    at::manual_seed(4);
    const at::Tensor mixed = normal({kHeads * kWidth, kHeads * kWidth});
    covariance = at::matmul(mixed, mixed.t());
    const at::Tensor gradients = normal({kHeads, kWidth, 2 * kWidth});
    metrics = at::matmul(gradients, gradients.transpose(1, 2));
  }
  at::Tensor covariance, metrics;
};

TEST_P(CommonHead, commutesWithTheRotationOfEveryPosition) {
  const GroupBasis basis = *commonHeadBasis(covariance, metrics, kHeads, GetParam());
  const at::Tensor rotation = rotationBy(1.7, GetParam());
  for (std::int64_t head = 0; head < kHeads; ++head) {
    const at::Tensor own = basis.up.narrow(0, head * kWidth, kWidth).narrow(1, 0, kWidth);
    EXPECT_LT(largest(at::matmul(own, rotation) - at::matmul(rotation, own)), 1e-9 * largest(own));
    EXPECT_GT(largest(own), 1e-3);
  }
}

TEST_P(CommonHead, isABasis) {
  const GroupBasis basis = *commonHeadBasis(covariance, metrics, kHeads, GetParam());
  const at::Tensor identity = at::eye(kHeads * kWidth, at::TensorOptions(at::kDouble));
  EXPECT_LT(largest(at::matmul(basis.up, basis.down) - identity), 1e-9);
  EXPECT_LT(largest(at::matmul(basis.down, basis.up) - identity), 1e-9);
}

TEST_P(CommonHead, holdsHeadsThatTurnAndStretchOneAnother) {
  const at::Tensor mixed = normal({kWidth, kWidth});
  std::vector<at::Tensor> heads;
  for (std::int64_t head = 0; head < kHeads; ++head)
    heads.push_back(pairwise(normal({GetParam().rotaryDim / 2}), normal({GetParam().rotaryDim / 2}), GetParam()));
  const at::Tensor rows = at::matmul(at::cat(heads), mixed);
  const GroupBasis basis = *commonHeadBasis(at::matmul(rows, rows.t()), at::Tensor(), kHeads, GetParam());
  const at::Tensor rebuilt =
      at::matmul(basis.up.narrow(1, 0, kWidth), at::matmul(basis.down.narrow(0, 0, kWidth), rows));
  EXPECT_LT(largest(rebuilt - rows), 1e-7 * largest(rows));
  for (std::size_t i = kWidth; i < basis.spectrum.eigenvalues.size(); ++i)
    EXPECT_LT(basis.spectrum.eigenvalues[i], 1e-9 * basis.spectrum.eigenvalues[0]);
}

/// Of errors e the sum of w |e|^2, w the mean of a pair's metric.
double lossOf(const at::Tensor& up, const at::Tensor& down, const at::Tensor& covariance, const at::Tensor& metrics,
              const HeadRotation& rotation) {
  const at::Tensor left = at::eye(kHeads * kWidth, at::TensorOptions(at::kDouble)) - at::matmul(up, down);
  std::vector<at::Tensor> blocks;
  for (std::int64_t head = 0; head < kHeads; ++head) {
    at::Tensor block = metrics[head].clone();
    if (rotation.rotaryDim > 0) {
      const at::Tensor pairs = rotaryPairs(rotation);
      block.narrow(0, 0, rotation.rotaryDim).zero_();
      block.narrow(1, 0, rotation.rotaryDim).zero_();
      for (std::int64_t pair = 0; pair < pairs.size(0); ++pair) {
        const auto a = pairs[pair][0].item<std::int64_t>(), b = pairs[pair][1].item<std::int64_t>();
        const at::Tensor mean = (metrics[head][a][a] + metrics[head][b][b]) / 2;
        block[a][a] = mean;
        block[b][b] = mean;
      }
    }
    blocks.push_back(block);
  }
  return at::matmul(at::block_diag(blocks), at::matmul(left, at::matmul(covariance, left.t())))
      .diagonal()
      .sum()
      .item<double>();
}

TEST_P(CommonHead, losesTheRestOfItsSpectrumAndNoOtherFactorsLoseLess) {
  const GroupBasis basis = *commonHeadBasis(covariance, metrics, kHeads, GetParam());
  const at::Tensor up = basis.up.narrow(1, 0, kWidth), down = basis.down.narrow(0, 0, kWidth);
  const double loss = lossOf(up, down, covariance, metrics, GetParam());
  const double rest =
      std::accumulate(basis.spectrum.eigenvalues.begin() + kWidth, basis.spectrum.eigenvalues.end(), 0.0);
  EXPECT_NEAR(loss, rest, 1e-9 * rest);
  ASSERT_GT(rest, 0);
  for (int attempt = 0; attempt < 20; ++attempt) {
    std::vector<at::Tensor> upward, downward;
    const std::int64_t pairs = GetParam().rotaryDim / 2;
    for (std::int64_t head = 0; head < kHeads; ++head) {
      upward.push_back(pairwise(1 + 0.05 * normal({pairs}), 0.05 * normal({pairs}), GetParam()));
      downward.push_back(pairwise(1 + 0.05 * normal({pairs}), 0.05 * normal({pairs}), GetParam()));
    }
    EXPECT_GE(lossOf(at::matmul(at::block_diag(upward), up), at::matmul(down, at::block_diag(downward)), covariance,
                     metrics, GetParam()),
              loss * (1 - 1e-9));
  }
}

INSTANTIATE_TEST_SUITE_P(Rotations, CommonHead,
                         ::testing::Values(HeadRotation{kWidth, false}, HeadRotation{kWidth, true},
                                           HeadRotation{4, false}, HeadRotation{6, true}, HeadRotation{0, false}));

}  // namespace
}  // namespace kvista::test
