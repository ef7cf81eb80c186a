// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace kvista {

/// Trellis coded quantisation (Marcellin and Fischer, 1990, with Ungerboeck's trellis of 8 states; methods.md section
/// 10). A code of b bits has 2^(b+1) levels to choose from, of which the last bits u of the three codes before it leave
/// half:
///   level = 4 (code / 2) + 2 (u ^ u[-2] ^ u[-3]) + u[-1],   meaning (level - 2^b + 1/2) steps,
/// u being the code's own last bit, and bits before the first code 0. Whoever codes looks for the codes of least
/// squared error as a whole; what a code means takes three bits of its neighbours.
inline constexpr int kTrellisBits = 4;  ///< Of the widest codes that go through one: wider ones gain next to nothing.

/// Codes of least squared error of numbers in steps; of equals the one of lower states. `codes` has as many.
void trellisCodes(std::span<const float> numbers, int bits, std::span<std::uint8_t> codes);
/// What codes mean, in steps.
void trellisLevels(std::span<const std::uint8_t> codes, int bits, std::span<float> numbers);

/// The same of rows [..., n], float32 and uint8, on any device.
at::Tensor trellisCodes(const at::Tensor& numbers, int bits);
at::Tensor trellisLevels(const at::Tensor& codes, int bits);
/// trellisCodes by libtorch's operators, for GPUs without kernels: one direction after the other, all rows at once.
at::Tensor trellisCodesByOperators(const at::Tensor& numbers, int bits);

}  // namespace kvista
