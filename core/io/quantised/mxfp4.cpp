// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// MXFP4 as GPT-OSS stores its stacks of experts: blocks of 32 inputs that share a power of two.
#include <array>

#include "core/base/all_cores.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;
constexpr std::uint64_t kBlockBytes = 16, kBlock = 2 * kBlockBytes;

/// E2M1: a sign, two bits of exponent biased by 1, one of fraction: OCP Microscaling Formats v1.0 (2023),
/// section 5.3.3.
constexpr std::array<float, 16> kNumbersOfCodes = {0,     0.5F,  1,  1.5F,  2,  3,  4,  6,
                                                   -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};

/// Of `matrix`, out[i][o] = number(code of o and i) 2^(scale of o and i's block - 127); two codes a byte, the lower
/// first.
void readMatrix(const TensorStore& store, const TensorInfo& blocks, const TensorInfo& scales, std::uint64_t matrix,
                std::span<float> out) {
  const auto rows = static_cast<std::uint64_t>(blocks.shape[1]), groups = static_cast<std::uint64_t>(blocks.shape[2]);
  const auto* codes =
      reinterpret_cast<const std::uint8_t*>(store.raw(blocks).data()) + matrix * rows * groups * kBlockBytes;
  const auto* powers = reinterpret_cast<const std::uint8_t*>(store.raw(scales).data()) + matrix * rows * groups;
  onAllCores(groups, kWorthAThread / (rows * kBlock) + 1, 1, [&](std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t group = first; group < last; ++group)
      for (std::uint64_t row = 0; row < rows; ++row) {
        const float power = powerOfCode(powers[row * groups + group]);
        const std::uint8_t* pairs = codes + (row * groups + group) * kBlockBytes;
        for (std::uint64_t i = 0; i < kBlock; ++i)
          out[(group * kBlock + i) * rows + row] =
              kNumbersOfCodes[i % 2 == 0 ? pairs[i / 2] & 15U : pairs[i / 2] >> 4U] * power;
      }
  });
}

}  // namespace

Result<void> readMxfp4Weights(QuantisedTensors& tensors) {
  for (const std::string& name : tensors.namesBefore("_blocks")) {
    KVISTA_ASSIGN(const TensorInfo* const blocks,
                  tensors.need(name + "_blocks", {DataType::u8}, {-1, -1, -1, kBlockBytes}));
    const std::int64_t matrices = blocks->shape[0], rows = blocks->shape[1], groups = blocks->shape[2];
    KVISTA_ASSIGN(const TensorInfo* const scales,
                  tensors.need(name + "_scales", {DataType::u8}, {matrices, rows, groups}));
    if (blocks->count() == 0) return QuantisedTensors::corrupt(*blocks, "is empty");
    tensors.replaceStack(name, {matrices, groups * static_cast<std::int64_t>(kBlock), rows}, blocks->file,
                         {blocks->name, scales->name},
                         [store = tensors.keep(), blocks = *blocks, scales = *scales](
                             std::uint64_t matrix, std::span<float> out) -> Result<void> {
                           readMatrix(*store, blocks, scales, matrix, out);
                           return {};
                         });
  }
  return {};
}

}  // namespace kvista
