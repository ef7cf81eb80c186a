// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What puts tensors before the kernels of attention over latents, against libtorch's operators in float32.
#include "core/model/latent_operators.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/cuda/target.h"

namespace kvista::test {
namespace {

at::Tensor numbers(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType type = at::kBFloat16) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble).to(type);
}

double relativeError(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kDouble).cpu() - wanted.to(at::kDouble)).norm() / wanted.to(at::kDouble).norm()).item<double>();
}
double largestError(const at::Tensor& found, const at::Tensor& wanted) {
  return (found.to(at::kDouble).cpu() - wanted.to(at::kDouble)).abs().max().item<double>();
}

std::vector<float> frequenciesOf(int width) {
  std::vector<float> result;
  for (int j = 0; j < width / 2; ++j) result.push_back(static_cast<float>(std::pow(1e4, -2.0 * j / width)));
  return result;
}

template <class T>
T valueOf(Result<T> result) {
  EXPECT_TRUE(result) << result.error().message;
  return std::move(result).value();
}

Result<at::Device> deviceWithKernels() {
  KVISTA_ASSIGN(const KernelTarget target, kernelTarget());
  useLatentAttention(target.device.type(), *target.attention);
  return target.device;
}

/// Two groups of two heads whose latents lie in the middle of wider records.
RebuiltAttention rebuilt(at::Device device, at::ScalarType type, int width, bool joint, int queriesPerHead) {
  std::vector<RebuiltAttention::Group> groups;
  for (int g = 0; g < 2; ++g)
    groups.push_back(
        {(numbers({48 + 8 * g, 2 * width}, 10 + static_cast<std::uint64_t>(g)) / 7).to(device, type),
         (numbers({2 * width, joint ? 48 + 8 * g : 40}, 20 + static_cast<std::uint64_t>(g)) / 7).to(device, type),
         8 + 64 * g, joint ? 8 + 64 * g : 40 * g});
  return valueOf(RebuiltAttention::make(
      std::move(groups), std::make_shared<LatentRotation>(frequenciesOf(width), device), queriesPerHead));
}

TEST(LatentOperators, RebuiltKernelsComputeWhatOperatorsDo) {
  const auto device = deviceWithKernels();
  if (!device) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << device.error().message;
  for (const auto& [width, joint, queriesPerHead, tokens] : {std::tuple{128, false, 1, 300}, {64, true, 2, 700}}) {
    const at::Tensor queries = numbers({2, 4 * queriesPerHead, width}, 1);
    const at::Tensor keys = numbers({2, tokens + 10, 136}, 2).narrow(1, 10, tokens),
                     values = joint ? keys : numbers({2, tokens, 80}, 3);
    const RebuiltAttention kernels = rebuilt(*device, at::kBFloat16, width, joint, queriesPerHead);
    ASSERT_EQ(kernels.refusal(), "");
    const at::Tensor there = keys.to(*device);
    const LatentAttended found = valueOf(kernels(queries.to(*device), there, joint ? there : values.to(*device), 0.1));
    const RebuiltAttention operators = rebuilt(at::kCPU, at::kFloat, width, joint, queriesPerHead);
    ASSERT_NE(operators.refusal(), "");
    const LatentAttended wanted =
        valueOf(operators(queries.to(at::kFloat), keys.to(at::kFloat), values.to(at::kFloat), 0.1));
    EXPECT_LT(relativeError(found.output, wanted.output), 8e-3) << width;
    EXPECT_LT(largestError(found.exponent(), wanted.exponent()), 0.05) << width;
  }
}

DirectAttention::Latent latentOf(const std::vector<std::uint8_t>& widths, std::uint64_t seed, std::int64_t offset,
                                 at::Device device, at::ScalarType type) {
  DirectAttention::Latent latent;
  latent.layout = RecordLayout::of(widths);
  latent.layout.runAlignment = 4;
  latent.layout.alignment = 16;
  latent.layout.numberBytes = type == at::kFloat ? 4 : 2;
  std::vector<float> steps;
  for (const std::uint8_t width : widths)
    steps.push_back(width == 16 ? 1.0f : 3.0f / static_cast<float>(1 << (width - 1)));
  latent.steps = at::tensor(steps).to(device);
  latent.up = (numbers({64, latent.layout.rank()}, seed) / 6).to(device, type);
  latent.offset = offset;
  return latent;
}

/// Of directions of 16, 8, 6, 4, 3, 2 and 1 bit.
std::vector<std::uint8_t> widthsOf(std::array<std::size_t, 7> counts) {
  std::vector<std::uint8_t> widths;
  for (std::size_t i = 0; i < counts.size(); ++i)
    widths.insert(widths.end(), counts[i], std::array<std::uint8_t, 7>{16, 8, 6, 4, 3, 2, 1}[i]);
  return widths;
}

struct PackedCase {
  int width, headsPerGroup, queriesPerHead, tokens;
  bool joint;
};
class PackedRebuilt : public ::testing::TestWithParam<PackedCase> {};

/// Two groups whose records hold codes of every width, runs of odd lengths among them, unpacked by kernels and by
/// operators.
TEST_P(PackedRebuilt, KernelsComputeWhatOperatorsDo) {
  const auto device = deviceWithKernels();
  if (!device) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << device.error().message;
  const auto& [width, headsPerGroup, queriesPerHead, tokens, joint] = GetParam();
  const std::array<std::vector<std::uint8_t>, 2> widths = {widthsOf({0, 8, 5, 19, 0, 8, 0}),
                                                           widthsOf({5, 3, 3, 27, 5, 1, 2})};
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    std::vector<RebuiltAttention::Group> groups;
    std::vector<at::Tensor> keys, values;
    std::int64_t keyOffset = 0, valueOffset = 0;
    for (std::uint64_t g = 0; g < 2; ++g) {
      const DirectAttention::Latent key = latentOf(widths[g], 30 + g, keyOffset, *device, type),
                                    value = joint ? key : latentOf(widths[1 - g], 40 + g, valueOffset, *device, type);
      const auto up = [&](const DirectAttention::Latent& latent, std::uint64_t seed) {
        return (numbers({headsPerGroup * width, latent.layout.rank()}, seed) / 7).to(*device, type);
      };
      groups.push_back({up(key, 70 + g).t().contiguous(), up(value, 80 + g), key.offset, value.offset,
                        RebuiltAttention::Codes{key.layout, key.steps},
                        RebuiltAttention::Codes{value.layout, value.steps}});
      keys.push_back(
          packLatent(numbers({2, tokens, key.layout.rank()}, 50 + g).to(*device), key.steps, key.layout, type));
      values.push_back(
          packLatent(numbers({2, tokens, value.layout.rank()}, 60 + g).to(*device), value.steps, value.layout, type));
      keyOffset += key.layout.bytes();
      valueOffset += value.layout.bytes();
    }
    const RebuiltAttention attention = valueOf(RebuiltAttention::make(
        std::move(groups), std::make_shared<LatentRotation>(frequenciesOf(width), *device), queriesPerHead));
    ASSERT_EQ(attention.refusal(), "");
    const at::Tensor queries = numbers({2, 2 * headsPerGroup * queriesPerHead, width}, 1).to(*device, type);
    const at::Tensor keyRecords = at::cat(keys, -1), valueRecords = joint ? keyRecords : at::cat(values, -1);
    const LatentAttended found = valueOf(attention(queries, keyRecords, valueRecords, 0.1)),
                         wanted = attention.byOperators(queries, keyRecords, valueRecords, 0.1);
    EXPECT_LT(relativeError(found.output, wanted.output.cpu()), 8e-3);
    EXPECT_LT(largestError(found.exponent(), wanted.exponent().cpu()), 0.05);
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, PackedRebuilt,
                         ::testing::Values(PackedCase{128, 4, 1, 300, false}, PackedCase{64, 2, 2, 130, true},
                                           PackedCase{64, 2, 1, 301, false}, PackedCase{128, 1, 1, 270, false},
                                           PackedCase{64, 1, 1, 1, true}));

TEST(LatentOperators, RefusesGroupsOfWhichOnlySomeArePacked) {
  const auto device = deviceWithKernels();
  if (!device) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << device.error().message;
  const DirectAttention::Latent latent = latentOf(widthsOf({0, 8, 0, 0, 0, 0, 0}), 1, 0, *device, at::kBFloat16);
  const at::Tensor up = numbers({64, 8}, 2).to(*device);
  const RebuiltAttention::Codes codes{latent.layout, latent.steps};
  const auto rotation = std::make_shared<LatentRotation>(frequenciesOf(64), *device);
  const auto mixed = RebuiltAttention::make(
      {{up.t().contiguous(), up, 0, 0, codes, codes}, {up.t().contiguous(), up, 16, 16}}, rotation, 1);
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().message.find("Group 1 is packed and others are not"), std::string::npos)
      << mixed.error().message;
  const auto fewer = RebuiltAttention::make({{numbers({16, 64}, 3).to(*device), up, 0, 0, codes, codes}}, rotation, 1);
  ASSERT_FALSE(fewer);
  EXPECT_NE(fewer.error().message.find("steps of the keys of group 0"), std::string::npos) << fewer.error().message;
}

/// Two heads, records of keys and of values, in the type of their numbers.
struct DirectCase {
  std::vector<DirectAttention::Head> heads;
  at::Tensor keys, values;
};
DirectCase directCase(at::Device device, at::ScalarType type, std::int64_t tokens) {
  const std::array<std::vector<std::uint8_t>, 2> widths = {widthsOf({0, 8, 7, 17, 0, 5, 0}),
                                                           widthsOf({4, 0, 2, 28, 4, 3, 3})};
  DirectCase result;
  std::vector<at::Tensor> keys, values;
  std::int64_t keyOffset = 0, valueOffset = 0;
  for (std::uint64_t h = 0; h < 2; ++h) {
    DirectAttention::Head head{latentOf(widths[h], 30 + h, keyOffset, device, type),
                               latentOf(widths[1 - h], 40 + h, valueOffset, device, type)};
    for (const auto& [latent, records, offset, seed] :
         {std::tuple{&head.keys, &keys, &keyOffset, 50 + h}, std::tuple{&head.values, &values, &valueOffset, 60 + h}}) {
      records->push_back(packLatent(numbers({2, tokens, latent->layout.rank()}, seed).to(device), latent->steps,
                                    latent->layout, type));
      EXPECT_EQ(records->back().size(-1), latent->layout.bytes());
      *offset += latent->layout.bytes();
    }
    result.heads.push_back(std::move(head));
  }
  result.keys = at::cat(keys, -1);
  result.values = at::cat(values, -1);
  return result;
}

TEST(LatentOperators, DirectKernelsComputeWhatOperatorsDo) {
  const auto device = deviceWithKernels();
  if (!device) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << device.error().message;
  const at::Tensor queries = numbers({2, 6, 64}, 1);
  DirectCase there = directCase(*device, at::kBFloat16, 333), here = directCase(at::kCPU, at::kFloat, 333);
  const DirectAttention kernels = valueOf(DirectAttention::make(there.heads, 3)),
                        operators = valueOf(DirectAttention::make(here.heads, 3));
  ASSERT_EQ(kernels.refusal(), "");
  const LatentAttended found = valueOf(kernels(queries.to(*device), there.keys, there.values, 0.2));
  const LatentAttended wanted = valueOf(operators(queries.to(at::kFloat), here.keys, here.values, 0.2));
  EXPECT_LT(relativeError(found.output, wanted.output), 8e-3);
  EXPECT_LT(largestError(found.exponent(), wanted.exponent()), 0.05);
}

TEST(LatentOperators, AttentionToTwoPartsJoinsToAttentionToAll) {
  const DirectCase one = directCase(at::kCPU, at::kFloat, 50);
  const DirectAttention attention = valueOf(DirectAttention::make(one.heads, 3));
  const at::Tensor queries = numbers({2, 6, 64}, 1, at::kFloat);
  const auto part = [&](std::int64_t first, std::int64_t count) {
    return valueOf(attention(queries, one.keys.narrow(1, first, count), one.values.narrow(1, first, count), 0.2));
  };
  const LatentAttended all = part(0, 50), both = joined(part(0, 7), part(7, 43));
  EXPECT_LT(largestError(both.output, all.output), 1e-5);
  EXPECT_LT(largestError(both.exponent(), all.exponent()), 1e-5);
}

TEST(LatentOperators, WhatDoesNotFitIsNamed) {
  const RebuiltAttention attention = rebuilt(at::kCPU, at::kFloat, 64, false, 1);
  const at::Tensor queries = numbers({2, 4, 64}, 1, at::kFloat), keys = numbers({2, 9, 136}, 2, at::kFloat),
                   values = numbers({2, 9, 80}, 3, at::kFloat);
  const auto sentence = [](const auto& result) { return result ? std::string() : result.error().message; };
  EXPECT_EQ(sentence(attention(queries, keys, values, 1)), "");
  EXPECT_EQ(sentence(attention(queries.narrow(1, 0, 3), keys, values, 1)),
            "The queries have shape [2, 3, 64], not [any, 4, 64].");
  EXPECT_EQ(sentence(attention(queries.to(at::kHalf), keys, values, 1)), "The queries are Half, not Float.");
  EXPECT_EQ(sentence(attention(queries.transpose(1, 2).contiguous().transpose(1, 2), keys, values, 1)),
            "The queries are not contiguous.");
  EXPECT_EQ(sentence(attention(queries, keys.narrow(2, 0, 100), values, 1)),
            "The keys have records of 100 numbers; the groups reach to 128.");
  EXPECT_EQ(sentence(attention(queries, keys.transpose(1, 2).contiguous().transpose(1, 2), values, 1)),
            "The keys have 9 numbers between those of a record that should be neighbours.");
  EXPECT_EQ(sentence(attention(queries, keys, values.narrow(1, 0, 8), 1)),
            "There are keys of 9 tokens and values of 8.");
  EXPECT_EQ(sentence(attention(queries, keys.narrow(0, 0, 1), values, 1)),
            "The keys have shape [1, 9, 136], not [2, any, any].");
  EXPECT_EQ(sentence(DirectAttention::make({}, 1)),
            "Attention over latents needs at least one head, and a query for each.");
  auto heads = directCase(at::kCPU, at::kFloat, 3).heads;
  heads[1].values.steps = heads[1].values.steps.narrow(0, 1, 2);
  EXPECT_EQ(sentence(DirectAttention::make(heads, 1)), "The steps of the values of head 1 have shape [2], not [37].");
}

}  // namespace
}  // namespace kvista::test
