// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/symmetric_pack.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tril_indices.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <vector>

namespace kvista {
namespace {

constexpr double kLargestCode = (1 << 23) - 1;
constexpr std::int64_t kCodeBytes = 3;
constexpr std::int64_t kDiagonalBytes = sizeof(float);

/// How many numbers lie below the diagonal.
std::int64_t below(std::int64_t n) { return n * (n - 1) / 2; }

/// Roots of a float32 diagonal [.., n] as it is stored, float64; those of negative numbers are 0.
at::Tensor rootsOf(const at::Tensor& diagonal) { return diagonal.to(at::kDouble).clamp_min(0).sqrt(); }

/// Rows and columns of the numbers below the diagonal, row by row, int64 [2, below(n)].
at::Tensor placesBelow(std::int64_t n, at::Device device) {
  return at::tril_indices(n, n, -1, at::TensorOptions(at::kLong).device(device));
}

}  // namespace

std::int64_t packedBytes(std::int64_t n) { return n * kDiagonalBytes + below(n) * kCodeBytes; }

at::Tensor packSymmetric(const at::Tensor& matrices) {
  const std::int64_t n = matrices.size(-1);
  const at::Tensor all = matrices.to(at::kDouble).contiguous();
  const at::Tensor diagonal = all.diagonal(0, -2, -1).to(at::kFloat).clone(at::MemoryFormat::Contiguous);
  const at::Tensor places = placesBelow(n, all.device()), roots = rootsOf(diagonal);
  const auto ofPlace = [&](std::int64_t side) { return roots.index_select(-1, places[side]); };
  // Not finite where the diagonal is not, which tells it to whoever unpacks.
  const at::Tensor parts = all.flatten(-2).index_select(-1, places[0] * n + places[1]) / (ofPlace(0) * ofPlace(1));
  const at::Tensor rounded = (parts * kLargestCode).round_().clamp_(-kLargestCode, kLargestCode);
  // Lowest byte first.
  const at::Tensor codes = at::where(parts.isfinite(), rounded, 0.0).to(at::kInt).unsqueeze(-1).view(at::kByte);
  return at::cat({diagonal.view(at::kByte), codes.narrow(-1, 0, kCodeBytes).flatten(-2)}, -1);
}

at::Tensor unpackSymmetric(const at::Tensor& packed, std::int64_t n) {
  // A copy always: one matrix counts as contiguous with a stride that is no multiple of a number's bytes.
  const at::Tensor diagonal =
      packed.narrow(-1, 0, n * kDiagonalBytes).clone(at::MemoryFormat::Contiguous).view(at::kFloat);
  std::vector<std::int64_t> sizes = packed.sizes().vec();
  sizes.back() = n;
  sizes.push_back(n);
  at::Tensor matrices = at::zeros(sizes, diagonal.options().dtype(at::kDouble));
  if (n > 1) {
    const at::Tensor bytes =
        packed.narrow(-1, n * kDiagonalBytes, below(n) * kCodeBytes).unflatten(-1, {below(n), kCodeBytes});
    // With a lowest byte of zeros before it a code is an integer of 32 bits, 256 times as large, whose sign is right.
    const at::Tensor codes = at::cat({at::zeros_like(bytes.narrow(-1, 0, 1)), bytes}, -1).view(at::kInt).squeeze(-1);
    // Both triangles look their number up, the diagonal any.
    const at::Tensor index = at::arange(n, at::TensorOptions(at::kLong).device(packed.device()));
    const at::Tensor row = index.unsqueeze(1).maximum(index), column = index.unsqueeze(1).minimum(index);
    const at::Tensor place = (row * (row - 1)).div_(2, "floor").add_(column).clamp_(0, below(n) - 1).flatten();
    const at::Tensor roots = rootsOf(diagonal);
    matrices = codes.index_select(-1, place)
                   .to(at::kDouble)
                   .div_(256 * kLargestCode)
                   .view(sizes)
                   .mul_(roots.unsqueeze(-1) * roots.unsqueeze(-2));
  }
  matrices.diagonal(0, -2, -1).copy_(diagonal);
  return matrices;
}

}  // namespace kvista
