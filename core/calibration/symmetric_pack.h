// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace kvista {

/// Bytes of one packed [n, n] matrix: the diagonal in float32, then a 24-bit integer for each number below it.
std::int64_t packedBytes(std::int64_t n);

/// Positive semi-definite matrices [.., n, n] to bytes [.., packedBytes(n)]. Below the diagonal stands a_ij divided by
/// sqrt(a_ii a_jj), which lies in [-1, 1], times 2^23 - 1: no number is off by more than 2^-24 of sqrt(a_ii a_jj) (and
/// the rounding of the diagonal), a third less room than float32 takes. Packing what was unpacked gives the same bytes.
/// The bytes lie where the matrices do.
at::Tensor packSymmetric(const at::Tensor& matrices);
/// float64 [.., n, n] from bytes [.., packedBytes(n)], where those lie.
at::Tensor unpackSymmetric(const at::Tensor& packed, std::int64_t n);

}  // namespace kvista
