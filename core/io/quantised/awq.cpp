// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// AWQ in the order of its "gemm" kernels: codes and zero points packed along the outputs, eight to a word, shuffled.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/all_cores.h"
#include "core/io/json_file.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;
constexpr std::int64_t kLargestGroup = 1 << 20;
constexpr std::int64_t kCodesOfWord = 8;
/// At which bit of a word the code of each of its eight outputs begins.
constexpr std::array<std::uint32_t, 8> kShifts = {0, 16, 4, 20, 8, 24, 12, 28};

struct AwqWeight {
  TensorInfo codes, zeros, scales;  // [in, out / 8], [groups, out / 8], [groups, out]
  std::uint64_t in = 0, out = 0, groupSize = 0;
};

/// out[o][i] = (code - zero[group of i][o]) scale[group of i][o]: Lin et al., AWQ (2023), as AutoAWQ writes it.
Result<void> readAwq(const TensorStore& store, const AwqWeight& weight, std::span<float> out) {
  KVISTA_ASSIGN(const std::vector<float> scales, floatsOf(store, weight.scales));
  const auto codes = numbersOf<std::uint32_t>(store, weight.codes),
             zeros = numbersOf<std::uint32_t>(store, weight.zeros);
  const std::uint64_t words = weight.out / kCodesOfWord;
  const auto codeOf = [](std::uint32_t word, std::uint64_t output) {
    return static_cast<std::int32_t>(word >> kShifts[output] & 15U);
  };
  onAllCores(words, kWorthAThread / (kCodesOfWord * std::max<std::uint64_t>(weight.in, 1)) + 1, 1,
             [&](std::uint64_t first, std::uint64_t last) {
               for (std::uint64_t word = first; word < last; ++word)
                 for (std::uint64_t i = 0; i < weight.in; ++i) {
                   const std::uint64_t group = i / weight.groupSize;
                   const std::uint32_t code = codes[i * words + word], zero = zeros[group * words + word];
                   for (std::uint64_t j = 0; j < kCodesOfWord; ++j) {
                     const std::uint64_t output = word * kCodesOfWord + j;
                     out[output * weight.in + i] =
                         static_cast<float>(codeOf(code, j) - codeOf(zero, j)) * scales[group * weight.out + output];
                   }
                 }
             });
  return {};
}

}  // namespace

Result<void> readAwqWeights(QuantisedTensors& tensors) {
  KVISTA_ASSIGN(const std::int64_t wBits, tensors.integer("w_bit", 4, 1, 8));
  KVISTA_ASSIGN(const std::int64_t bits, tensors.integer("bits", wBits, 1, 8));
  if (bits != 4) return tensors.unsupported(fmt::format("of AWQ has {} bits, where 4 are read", bits));
  KVISTA_ASSIGN(const std::string newer, tensors.text("format", "gemm"));
  KVISTA_ASSIGN(const std::string version, tensors.text("version", newer));
  if (version != "gemm")
    return tensors.unsupported(fmt::format("of AWQ has the version {}, where gemm is read", quoteForMessage(version)));
  KVISTA_ASSIGN(const std::int64_t qGroupSize, tensors.integer("q_group_size", 128, -1, kLargestGroup));
  KVISTA_ASSIGN(const std::int64_t groupSize, tensors.integer("group_size", qGroupSize, -1, kLargestGroup));
  if (groupSize == 0) return tensors.unsupported("has a group_size of 0");
  for (const std::string& module : tensors.namesBefore(".qweight")) {
    KVISTA_ASSIGN(const TensorInfo* const codes, tensors.need(module + ".qweight", {DataType::i32}, {-1, -1}));
    const std::int64_t in = codes->shape[0], words = codes->shape[1];
    const std::int64_t inGroup = groupSize == -1 ? std::max<std::int64_t>(in, 1) : groupSize,
                       groups = groupsIn(in, inGroup);
    KVISTA_ASSIGN(const TensorInfo* const zeros, tensors.need(module + ".qzeros", {DataType::i32}, {groups, words}));
    KVISTA_ASSIGN(const TensorInfo* const scales,
                  tensors.need(module + ".scales", {DataType::f16, DataType::bf16, DataType::f32},
                               {groups, words * kCodesOfWord}));
    const AwqWeight weight{*codes,
                           *zeros,
                           *scales,
                           static_cast<std::uint64_t>(in),
                           static_cast<std::uint64_t>(words * kCodesOfWord),
                           static_cast<std::uint64_t>(inGroup)};
    tensors.replace(module + ".weight", {words * kCodesOfWord, in}, codes->file,
                    {codes->name, zeros->name, scales->name},
                    [store = tensors.keep(), weight](std::span<float> out) { return readAwq(*store, weight, out); });
  }
  return {};
}

}  // namespace kvista
