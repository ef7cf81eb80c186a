// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention over latents against what it stands for, written down in float64: keys rebuilt and rotated, softmax,
// values.
#include "core/cuda/latent_attention.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "core/model/rotation_table.h"
#include "tests/unit/cuda/target.h"

namespace kvista::test {
namespace {

/// Normal numbers, rounded to a type.
at::Tensor numbers(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType type) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kDouble).to(type);
}

at::ScalarType scalarType(HalfType type) { return type == HalfType::bfloat16 ? at::kBFloat16 : at::kHalf; }

std::vector<float> frequenciesOf(int width, double base) {
  std::vector<float> result;
  for (int j = 0; j < width / 2; ++j) result.push_back(static_cast<float>(std::pow(base, -2.0 * j / width)));
  return result;
}

/// One head: query [width], keys [tokens, width], values [tokens, rank], lift [width, rank], in float64.
at::Tensor attention(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& lift,
                     double scale) {
  return lift.matmul(at::softmax(keys.matmul(query) * scale, 0).matmul(values));
}

/// x [tokens, width], pairs (j, j + width / 2).
at::Tensor rotated(const at::Tensor& x, const std::vector<float>& frequencies) {
  const at::Tensor angles = at::arange(x.size(0), at::kDouble).unsqueeze(1) * at::tensor(frequencies, at::kDouble);
  const auto halves = x.chunk(2, 1);
  return at::cat(
      {halves[0] * angles.cos() - halves[1] * angles.sin(), halves[1] * angles.cos() + halves[0] * angles.sin()}, 1);
}

double relativeError(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kDouble) - wanted).norm() / wanted.norm()).item<double>();
}
/// Two roundings of what enters a score and of what leaves it.
double tolerance(HalfType type) { return type == HalfType::bfloat16 ? 8e-3 : 3e-3; }

template <class T>
at::Tensor copied(const std::vector<T>& values, at::Device device) {
  const auto bytes = static_cast<std::int64_t>(values.size() * sizeof(T));
  return at::from_blob(const_cast<T*>(values.data()), {bytes}, at::kByte).to(device, at::kByte, false, true);
}

TEST(RotationTable, HoldsEveryCosineAndSine) {
  for (const auto& [width, base, segment, functions] :
       {std::tuple{128, 1e4, 1024, 32}, {128, 1e4, 256, 16}, {64, 1e4, 256, 16}, {128, 5e5, 1024, 32}}) {
    const std::vector<float> frequencies = frequenciesOf(width, base);
    const RotationTable table = makeRotationTable(frequencies, segment, functions);
    EXPECT_LT(table.error, 1e-4) << width << " " << base << " " << segment;
    const auto entry = [&](int column, int d) {
      return static_cast<double>(table.table[static_cast<std::size_t>((column / 8 * segment + d) * 8 + column % 8)]);
    };
    for (int j = 0; j < width / 2; ++j)
      for (int d = 0; d < segment; d += 17) {
        double cosine = 0, sine = 0;
        if (j < kDirectPairs) {
          cosine = entry(2 * j, d);
          sine = entry(2 * j + 1, d);
        } else {
          for (int m = 0; m < functions; ++m) {
            const auto at = static_cast<std::size_t>((j - kDirectPairs) * functions + m);
            cosine += static_cast<double>(table.lowCosine[at]) * entry(2 * kDirectPairs + m, d);
            sine += static_cast<double>(table.lowSine[at]) * entry(2 * kDirectPairs + m, d);
          }
        }
        const double angle = d * static_cast<double>(frequencies[static_cast<std::size_t>(j)]);
        ASSERT_NEAR(cosine, std::cos(angle), 4e-3) << j << " " << d;
        ASSERT_NEAR(sine, std::sin(angle), 4e-3) << j << " " << d;
      }
  }
}

struct RebuiltCase {
  HalfType type;
  int batch, tokens, heads, queriesPerHead, headsPerGroup, width, keyRank, valueRank, segment, lowFunctions;
  bool joint;
};

class RebuiltAttention : public ::testing::TestWithParam<RebuiltCase> {};

TEST_P(RebuiltAttention, IsAttentionOverRebuiltKeys) {
  const auto target = kernelTarget();
  if (!target) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << target.error().message;
  const at::Device device = target->device;
  const RebuiltCase& c = GetParam();
  const at::ScalarType type = scalarType(c.type);
  const int keyHeads = c.heads / c.queriesPerHead, groups = keyHeads / c.headsPerGroup,
            groupWidth = c.headsPerGroup * c.width;
  const at::Tensor queries = numbers({c.batch, c.heads, c.width}, 1, type);
  const at::Tensor keys = numbers({c.batch, c.tokens, groups, c.keyRank}, 2, type);
  const at::Tensor values = c.joint ? keys : numbers({c.batch, c.tokens, groups, c.valueRank}, 3, type);
  const at::Tensor keyUp = (numbers({groups, c.keyRank, groupWidth}, 4, at::kDouble) / std::sqrt(c.keyRank)).to(type);
  const at::Tensor valueUp =
      (numbers({groups, groupWidth, c.valueRank}, 5, at::kDouble) / std::sqrt(c.valueRank)).to(type);
  const std::vector<float> frequencies = frequenciesOf(c.width, 1e4);
  const int tableTokens = c.lowFunctions == 16 ? 256 : 1024;
  const RotationTable table = makeRotationTable(frequencies, tableTokens, c.lowFunctions);
  const double scale = 1 / std::sqrt(c.width);

  const auto there = [&](const at::Tensor& x) { return x.to(device).contiguous(); };
  const at::Tensor gQueries = there(queries), gKeys = there(keys), gValues = c.joint ? gKeys : there(values),
                   gKeyUp = there(keyUp), gValueUp = there(valueUp), gTable = copied(table.table, device),
                   gCosine = copied(table.lowCosine, device), gSine = copied(table.lowSine, device),
                   gFrequencies = copied(frequencies, device);
  std::vector<RebuiltGroup> described;
  for (int g = 0; g < groups; ++g)
    described.push_back({gKeyUp[g].data_ptr(), gValueUp[g].data_ptr(), g * c.keyRank, g * c.valueRank, c.keyRank,
                         c.valueRank, g * c.headsPerGroup});
  const at::Tensor gGroups = copied(described, device);
  const int segments = (c.tokens + c.segment - 1) / c.segment;
  Guarded partials(std::int64_t{c.batch} * c.heads * segments * c.valueRank, at::kFloat, device);
  Guarded statistics(std::int64_t{c.batch} * c.heads * segments * 2, at::kFloat, device);
  Guarded result(queries.numel(), type, device);
  const std::int64_t keyStride = groups * c.keyRank, valueStride = groups * c.valueRank;
  const RebuiltAttentionRun run{gQueries.data_ptr(),
                                gKeys.data_ptr(),
                                gValues.data_ptr(),
                                keyStride * c.tokens,
                                keyStride,
                                valueStride * c.tokens,
                                valueStride,
                                static_cast<const RebuiltGroup*>(gGroups.data_ptr()),
                                static_cast<const float*>(gFrequencies.data_ptr()),
                                gTable.data_ptr(),
                                static_cast<const float*>(gCosine.data_ptr()),
                                static_cast<const float*>(gSine.data_ptr()),
                                static_cast<float*>(partials.pointer()),
                                static_cast<float*>(statistics.pointer()),
                                result.pointer(),
                                static_cast<float>(scale),
                                c.batch,
                                c.tokens,
                                c.heads,
                                c.queriesPerHead,
                                c.width,
                                groups,
                                c.headsPerGroup,
                                c.keyRank,
                                c.valueRank,
                                c.segment,
                                c.lowFunctions,
                                tableTokens,
                                groups * c.keyRank,
                                groups * c.valueRank};
  const char* const refused = target->attention->rebuilt(run, c.type, 0);
  ASSERT_EQ(refused, nullptr) << refused;

  const auto exact = [](const at::Tensor& x) { return x.to(at::kDouble); };
  std::vector<at::Tensor> wanted;
  for (int b = 0; b < c.batch; ++b)
    for (int h = 0; h < c.heads; ++h) {
      const int head = h / c.queriesPerHead, g = head / c.headsPerGroup, within = head % c.headsPerGroup * c.width;
      const at::Tensor rebuilt = exact(keys[b].select(1, g)).matmul(exact(keyUp[g].narrow(1, within, c.width)));
      wanted.push_back(attention(exact(queries[b][h]), rotated(rebuilt, frequencies), exact(values[b].select(1, g)),
                                 exact(valueUp[g].narrow(0, within, c.width)), scale));
    }
  EXPECT_LT(relativeError(result.values(), at::cat(wanted)), tolerance(c.type));
  EXPECT_TRUE(partials.guardsHold() && statistics.guardsHold() && result.guardsHold());
}

constexpr auto kBf16 = HalfType::bfloat16, kF16 = HalfType::float16;
INSTANTIATE_TEST_SUITE_P(
    Shapes, RebuiltAttention,
    ::testing::Values(RebuiltCase{kBf16, 2, 300, 8, 1, 4, 128, 152, 96, 1024, 32, false},
                      RebuiltCase{kF16, 1, 700, 8, 1, 4, 128, 160, 88, 256, 16, false},
                      RebuiltCase{kF16, 1, 1100, 4, 1, 2, 128, 80, 48, 1024, 32, false},
                      RebuiltCase{kBf16, 1, 257, 4, 1, 1, 128, 40, 24, 256, 16, false},
                      RebuiltCase{kF16, 2, 300, 8, 2, 2, 128, 56, 56, 1024, 32, true},
                      RebuiltCase{kF16, 1, 500, 8, 4, 2, 64, 104, 200, 256, 16, false},
                      RebuiltCase{kBf16, 1, 300, 4, 1, 4, 128, 8, 16, 256, 16, false},
                      RebuiltCase{kF16, 2, 900, 4, 1, 2, 128, 80, 80, 256, 16, false},
                      RebuiltCase{kBf16, 2, 2700, 2, 1, 1, 128, 40, 40, 256, 16, false},
                      RebuiltCase{kF16, 3, 1500, 3, 1, 3, 64, 88, 120, 256, 16, false},
                      RebuiltCase{kF16, 4, 1000, 3, 3, 1, 64, 56, 56, 256, 16, true},
                      RebuiltCase{kF16, 1, 1, 2, 1, 1, 64, 8, 8, 256, 16, false},
                      // Four heads of one, two and four groups, which warpgroups take where there are any.
                      RebuiltCase{kF16, 1, 1300, 8, 1, 4, 128, 152, 152, 1024, 32, false},
                      RebuiltCase{kBf16, 2, 700, 8, 1, 2, 128, 80, 72, 512, 32, false},
                      RebuiltCase{kF16, 2, 600, 8, 1, 1, 128, 40, 56, 256, 32, false},
                      RebuiltCase{kF16, 1, 1100, 8, 4, 1, 64, 72, 72, 1024, 32, true},
                      RebuiltCase{kBf16, 1, 70, 4, 1, 4, 64, 8, 200, 256, 32, false},
                      RebuiltCase{kF16, 1, 1, 4, 1, 1, 128, 8, 8, 256, 32, false},
                      // Too wide for them.
                      RebuiltCase{kF16, 1, 400, 4, 1, 4, 128, 200, 152, 256, 32, false}));

struct DirectCase {
  HalfType type;
  int batch, tokens, heads, queriesPerHead, width;
  std::array<int, PackedLatent::kRuns> keys, values;
  int segment;
};

/// Records [heads, tokens, words] of irregular codes, and what they mean, [heads, tokens, rank].
struct Records {
  std::vector<std::uint32_t> words;
  at::Tensor meaning;
};
Records makeRecords(const PackedLatent& latent, std::int64_t rows, HalfType type, const at::Tensor& steps) {
  Records records{std::vector<std::uint32_t>(static_cast<std::size_t>(rows * latent.words())),
                  at::empty({rows, latent.rank}, at::kDouble)};
  std::uint32_t state = 12345;
  const at::Tensor plain = numbers({rows, std::max(latent.counts[0], 1)}, 6, scalarType(type));
  auto meaning = records.meaning.accessor<double, 2>();
  const auto step = steps.accessor<float, 1>();
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint32_t* words = &records.words[static_cast<std::size_t>(row * latent.words())];
    for (int run = 0, direction = 0; run < PackedLatent::kRuns; words += latent.words(run++)) {
      const int bits = PackedLatent::bits(run);
      for (int i = 0; i < latent.counts[run]; ++i, ++direction) {
        std::uint32_t code = (state = state * 1664525U + 1013904223U) >> (32 - bits);
        if (run == 0) {
          std::uint16_t number = 0;
          std::memcpy(&number, static_cast<const char*>(plain.const_data_ptr()) + (row * plain.size(1) + i) * 2, 2);
          code = number;
          meaning[row][direction] = plain[row][i].item<double>();
        } else {
          meaning[row][direction] = (code - std::exp2(bits - 1) + 0.5) * static_cast<double>(step[direction]);
        }
        words[i * bits / 32] |= code << i * bits % 32;
      }
    }
  }
  return records;
}

PackedLatent latentOf(const std::array<int, PackedLatent::kRuns>& counts) {
  PackedLatent latent{};
  for (int run = 0; run < PackedLatent::kRuns; ++run) {
    latent.counts[run] = counts[static_cast<std::size_t>(run)];
    latent.rank += latent.counts[run];
  }
  return latent;
}

/// Steps that make codes of every width about as large as 1; 1 for numbers.
at::Tensor stepsOf(const PackedLatent& latent) {
  std::vector<float> steps;
  for (int run = 0; run < PackedLatent::kRuns; ++run)
    for (int i = 0; i < latent.counts[run]; ++i)
      steps.push_back(run == 0 ? 1.0f
                               : (1.0f + 0.1f * static_cast<float>(i % 7)) /
                                     static_cast<float>(1 << (PackedLatent::bits(run) - 1)));
  return at::tensor(steps);
}

class DirectAttention : public ::testing::TestWithParam<DirectCase> {};

TEST_P(DirectAttention, IsAttentionOverUnpackedLatents) {
  const auto target = kernelTarget();
  if (!target) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << target.error().message;
  const at::Device device = target->device;
  const DirectCase& c = GetParam();
  const at::ScalarType type = scalarType(c.type);
  const int keyHeads = c.heads / c.queriesPerHead;
  PackedLatent keyLatent = latentOf(c.keys), valueLatent = latentOf(c.values);
  const at::Tensor queries = numbers({c.batch, c.heads, c.width}, 1, type);
  const at::Tensor keyUp =
      (numbers({keyHeads, c.width, keyLatent.rank}, 4, at::kDouble) / std::sqrt(keyLatent.rank)).to(type);
  const at::Tensor valueUp =
      (numbers({keyHeads, c.width, valueLatent.rank}, 5, at::kDouble) / std::sqrt(valueLatent.rank)).to(type);
  const at::Tensor keySteps = stepsOf(keyLatent), valueSteps = stepsOf(valueLatent);
  const std::int64_t rows = std::int64_t{c.batch} * keyHeads * c.tokens;
  const Records keys = makeRecords(keyLatent, rows, c.type, keySteps),
                values = makeRecords(valueLatent, rows, c.type, valueSteps);
  const double scale = 1 / std::sqrt(c.width);

  const auto there = [&](const at::Tensor& x) { return x.to(device).contiguous(); };
  const at::Tensor gQueries = there(queries), gKeys = copied(keys.words, device),
                   gValues = copied(values.words, device), gKeyUp = there(keyUp), gValueUp = there(valueUp),
                   gKeySteps = there(keySteps), gValueSteps = there(valueSteps);
  const std::int64_t keyBytes = keyLatent.words() * 4, valueBytes = valueLatent.words() * 4;
  keyLatent.steps = gKeySteps.data_ptr<float>();
  valueLatent.steps = gValueSteps.data_ptr<float>();
  std::vector<DirectGroup> described;
  for (int h = 0; h < keyHeads; ++h) {
    keyLatent.offset = h * c.tokens * keyBytes;
    valueLatent.offset = h * c.tokens * valueBytes;
    keyLatent.up = gKeyUp[h].data_ptr();
    valueLatent.up = gValueUp[h].data_ptr();
    described.push_back({keyLatent, valueLatent});
  }
  const at::Tensor gGroups = copied(described, device);
  const int rank = std::max(keyLatent.rank, valueLatent.rank), segments = (c.tokens + c.segment - 1) / c.segment;
  const std::int64_t queryRows = std::int64_t{c.batch} * c.heads;
  Guarded weights(queryRows * rank, at::kShort, device), units(queryRows * 2, at::kFloat, device),
      partials(queryRows * segments * rank, at::kFloat, device),
      statistics(queryRows * segments * 2, at::kFloat, device), result(queries.numel(), type, device);
  const DirectAttentionRun run{gQueries.data_ptr(),
                               gKeys.data_ptr(),
                               gValues.data_ptr(),
                               keyHeads * c.tokens * keyBytes,
                               keyBytes,
                               keyHeads * c.tokens * valueBytes,
                               valueBytes,
                               static_cast<const DirectGroup*>(gGroups.data_ptr()),
                               weights.pointer(),
                               static_cast<float*>(units.pointer()),
                               static_cast<float*>(partials.pointer()),
                               static_cast<float*>(statistics.pointer()),
                               result.pointer(),
                               static_cast<float>(scale),
                               c.batch,
                               c.tokens,
                               c.heads,
                               c.queriesPerHead,
                               c.width,
                               rank,
                               keyLatent.words(),
                               valueLatent.words(),
                               valueLatent.units(),
                               c.segment};
  const char* const refused = target->attention->direct(run, c.type, 0);
  ASSERT_EQ(refused, nullptr) << refused;

  const auto exact = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor keysMean = keys.meaning.reshape({c.batch, keyHeads, c.tokens, -1}),
                   valuesMean = values.meaning.reshape({c.batch, keyHeads, c.tokens, -1});
  std::vector<at::Tensor> wanted;
  for (int b = 0; b < c.batch; ++b)
    for (int h = 0; h < c.heads; ++h) {
      const int head = h / c.queriesPerHead;
      wanted.push_back(attention(exact(queries[b][h]), keysMean[b][head].matmul(exact(keyUp[head]).t()),
                                 valuesMean[b][head], exact(valueUp[head]), scale));
    }
  EXPECT_LT(relativeError(result.values(), at::cat(wanted)), tolerance(c.type));
  EXPECT_TRUE(weights.guardsHold() && units.guardsHold() && partials.guardsHold() && statistics.guardsHold() &&
              result.guardsHold());
}

INSTANTIATE_TEST_SUITE_P(
    Widths, DirectAttention,
    ::testing::Values(DirectCase{kF16, 2, 300, 4, 1, 128, {0, 0, 128, 0, 0}, {0, 0, 128, 0, 0}, 256},
                      DirectCase{kF16, 1, 300, 2, 1, 128, {8, 20, 40, 24, 12}, {0, 8, 60, 36, 24}, 128},
                      DirectCase{kBf16, 1, 200, 8, 4, 64, {24, 0, 9, 0, 40}, {20, 3, 0, 70, 0}, 256},
                      DirectCase{kF16, 1, 300, 2, 1, 128, {0, 12, 88, 16, 0}, {0, 12, 88, 16, 0}, 512},
                      DirectCase{kF16, 1, 200, 4, 2, 128, {0, 2, 19, 35, 70}, {0, 1, 9, 20, 100}, 256},
                      DirectCase{kBf16, 1, 130, 8, 8, 64, {48, 0, 0, 0, 0}, {40, 0, 0, 0, 0}, 128},
                      DirectCase{kF16, 1, 200, 1, 1, 128, {0, 130, 8, 0, 200}, {40, 100, 9, 30, 130}, 128},
                      DirectCase{kF16, 1, 1, 1, 1, 64, {0, 0, 0, 0, 5}, {0, 1, 0, 0, 0}, 128}));

TEST(LatentAttention, ShapesThatDoNotFitAreRefused) {
  const auto target = kernelTarget();
  if (!target) GTEST_SKIP() << "no GPU here, unit.cuda.emulated runs it: " << target.error().message;
  RebuiltAttentionRun rebuilt{};
  rebuilt.width = 96;
  rebuilt.segment = 256;
  rebuilt.lowFunctions = 16;
  rebuilt.tableTokens = 256;
  EXPECT_STREQ(target->attention->rebuilt(rebuilt, kF16, 0), "the shapes do not fit this kernel");
  DirectAttentionRun direct{};
  direct.queriesPerHead = 9;
  direct.segment = 128;
  EXPECT_STREQ(target->attention->direct(direct, kF16, 0), "the shapes do not fit this kernel");
}

}  // namespace
}  // namespace kvista::test
