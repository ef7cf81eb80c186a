// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A whole decoder that writes on from a cache of latents, attended to by kernels, beside one whose cache holds what
// attention sees.
#include "core/compress/latent_sequence.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/checkpoint/make_model.h"
#include "core/compress/plan_transform.h"
#include "core/io/checkpoint.h"
#include "core/plan/plan_groups.h"
#include "tests/unit/cuda/target.h"

namespace kvista::test {
namespace {

template <class T>
T valueOf(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message + " " + result.error().detail);
  return *std::move(result);
}

/// One layer of 3 heads of keys, 9 of queries, all 64 wide, in bfloat16.
std::shared_ptr<const Decoder> smallDecoder(at::Device device) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("kvista-latent-sequence-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  valueOf(makeModel({.shape = "smollm2-135m", .target = folder, .layers = 1, .seed = 3, .isVirtual = true}, {}));
  const Checkpoint checkpoint = valueOf(openCheckpoint(folder.string()));
  auto decoder = valueOf(Decoder::load(checkpoint, {.device = device, .dtype = at::kBFloat16}, {}));
  std::filesystem::remove_all(folder);
  return decoder;
}

/// Widths of 16 bits for the first directions, or codes of all widths, and factors in a random basis.
GroupFactors factorsOf(Group& group, bool coded, std::uint64_t seed) {
  const auto width = static_cast<std::int64_t>(group.widths.size());
  for (std::size_t i = 0; i < group.widths.size(); ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(width);
    group.widths[i] = coded          ? (share < 0.125    ? 8
                                        : share < 0.2    ? 6
                                        : share < 0.375  ? 4
                                        : share < 0.4375 ? 3
                                        : share < 0.6    ? 2
                                                         : 0)
                      : share < 0.45 ? 16
                                     : 0;
  }
  const at::Tensor basis = std::get<0>(
      at::linalg_qr(at::randn({width, width}, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble)));
  GroupFactors factors;
  factors.widths = latentWidths(group);
  const auto rank = static_cast<std::int64_t>(factors.widths.size());
  factors.up = basis.narrow(1, 0, rank).to(at::kFloat).contiguous();
  factors.down = factors.up.t().contiguous();
  std::vector<float> steps;
  for (const std::uint8_t bits : factors.widths)
    steps.push_back(bits == 16 ? 0.0f : 3.0f / static_cast<float>(1 << (bits - 1)));
  factors.steps = at::tensor(steps);
  return factors;
}

struct SequenceCase {
  const char* name;
  KeyPosition position;
  bool joint, coded;
  int exactTokens;
};

TEST(LatentSequence, KernelsWriteOnAsTheTransformDoes) {
  const auto target = kernelTarget();
  if (!target) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << target.error().message;
  useLatentAttention(target->device.type(), *target->attention);
  const auto decoder = smallDecoder(target->device);
  const ModelShape& shape = decoder->shape();
  for (const SequenceCase& c : {SequenceCase{"single heads after RoPE, codes", KeyPosition::afterRope, false, true, 4},
                                {"single heads after RoPE, numbers", KeyPosition::afterRope, false, false, 0},
                                {"single heads before RoPE, numbers", KeyPosition::beforeRope, false, false, 4},
                                {"joint, numbers", KeyPosition::beforeRope, true, false, 0},
                                {"joint, codes", KeyPosition::beforeRope, true, true, 4}}) {
    CompressionPlan plan;
    plan.method = "coded";
    plan.keyPosition = c.position;
    plan.storage = c.coded ? Storage::coded : Storage::lowRank16;
    plan.exactTokens = c.exactTokens;
    plan.groups = c.joint ? joinKeysAndValues(shape, 0, c.coded ? HeadGroups{{0}, {1}, {2}} : HeadGroups{{0, 2}, {1}})
                          : singleSlots(shape);
    PlanFactors factors;
    for (std::size_t g = 0; g < plan.groups.size(); ++g) factors.push_back(factorsOf(plan.groups[g], c.coded, g));
    const PlanTransform transform(plan, factors, shape, target->device);
    DecoderCache latents, full;
    latents.store = transform.makeStore(*decoder);
    EXPECT_TRUE(dynamic_cast<const LatentSequence&>(*latents.store).usesKernels(0)) << c.name;
    at::Tensor next = at::arange(40, 70, at::kLong).unsqueeze(0);
    double error = 0;
    for (int step = 0; step < 8; ++step) {
      const at::Tensor found = valueOf(decoder->nextToken(next, latents, &transform, {})),
                       wanted = valueOf(decoder->nextToken(next, full, &transform, {}));
      error = std::max(error, ((found - wanted).norm() / wanted.norm()).item<double>());
      next = wanted.argmax().view({1, 1});
    }
    // Both round to bfloat16 at other places; a code at the edge of its cell may fall on the other side.
    EXPECT_LT(error, 2e-2) << c.name;
  }
}

}  // namespace
}  // namespace kvista::test
