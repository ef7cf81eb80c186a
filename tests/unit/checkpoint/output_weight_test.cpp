// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include "core/compress/attention_metric.h"
#include "core/model/tensor_file.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

TEST(OutputWeight, IsTheCheckpointsAndItsMetricSharesValueHeadsAmongTheirQueries) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");  // 4 query heads, 2 KV heads of 8
  const TensorFile file = valueOf(TensorFile::open(folder / "model" / "model.safetensors"));
  const at::Tensor weight = model.decoder->outputWeight(1);
  EXPECT_TRUE(at::equal(weight, valueOf(file.read("model.layers.1.self_attn.o_proj.weight", at::kFloat, {32, 32}))));
  const at::Tensor metric = valueOf(outputMetric(*model.decoder, 1)), wide = weight.to(at::kDouble);
  ASSERT_EQ(metric.sizes(), at::IntArrayRef({2, 8, 8}));
  const at::Tensor third = wide.narrow(1, 16, 8), fourth = wide.narrow(1, 24, 8);
  EXPECT_LE(largestDifference(metric[1], at::matmul(third.t(), third) + at::matmul(fourth.t(), fourth)), 1e-9);
}

TEST(OutputWeight, IsReadAgainWhereLayersAreStreamed) {
  const TemporaryFolder folder;
  const TinyModel model = tinyModel(folder / "model");
  ComputeOptions options;
  options.streamLayers = true;
  const auto streamed = valueOf(Decoder::load(model.checkpoint, options, {}));
  EXPECT_TRUE(at::equal(streamed->outputWeight(0), model.decoder->outputWeight(0)));
}

}  // namespace
}  // namespace kvista::test
