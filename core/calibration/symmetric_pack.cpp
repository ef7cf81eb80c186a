// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/symmetric_pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

namespace kvista {
namespace {

constexpr double kLargestCode = (1 << 23) - 1;
constexpr std::int64_t kCodeBytes = 3;

/// Where row i of the triangle below the diagonal begins.
std::int64_t rowOffset(std::int64_t i, std::int64_t n) {
  return n * static_cast<std::int64_t>(sizeof(float)) + kCodeBytes * (i * (i - 1) / 2);
}

std::vector<double> rootsOf(const std::uint8_t* packed, std::int64_t n) {
  std::vector<double> roots(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    float value = 0;
    std::memcpy(&value, packed + i * static_cast<std::int64_t>(sizeof value), sizeof value);
    roots[static_cast<std::size_t>(i)] = value < 0 ? 0 : std::sqrt(static_cast<double>(value));
  }
  return roots;
}

void packRow(const double* row, std::int64_t i, const std::vector<double>& roots, std::uint8_t* codes) {
  for (std::int64_t j = 0; j < i; ++j) {
    const double scale = roots[static_cast<std::size_t>(i)] * roots[static_cast<std::size_t>(j)];
    const double part = row[j] / scale;  // not finite where the diagonal is not, which tells it to whoever unpacks
    const double code = std::isfinite(part) ? std::clamp(std::round(part * kLargestCode), -kLargestCode, kLargestCode) : 0;
    const auto bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(code));
    for (std::int64_t b = 0; b < kCodeBytes; ++b) *codes++ = static_cast<std::uint8_t>(bits >> (8 * b));
  }
}

void unpackRow(const std::uint8_t* codes, std::int64_t i, std::int64_t n, const std::vector<double>& roots, double* matrix) {
  for (std::int64_t j = 0; j < i; ++j, codes += kCodeBytes) {
    // The sign is in the highest byte: shifted to the top and back, it fills the fourth.
    const std::uint32_t bits = std::uint32_t{codes[0]} << 8 | std::uint32_t{codes[1]} << 16 | std::uint32_t{codes[2]} << 24;
    const double code = static_cast<std::int32_t>(bits) >> 8;
    const double value = code / kLargestCode * (roots[static_cast<std::size_t>(i)] * roots[static_cast<std::size_t>(j)]);
    matrix[i * n + j] = matrix[j * n + i] = value;
  }
}

}  // namespace

std::int64_t packedBytes(std::int64_t n) { return rowOffset(n, n); }

at::Tensor packSymmetric(const at::Tensor& matrices) {
  const std::int64_t n = matrices.size(-1);
  const at::Tensor all = matrices.cpu().to(at::kDouble).contiguous();
  std::vector<std::int64_t> sizes = all.sizes().vec();
  sizes.pop_back();
  sizes.back() = packedBytes(n);
  at::Tensor packed = at::empty(sizes, at::kByte);
  for (std::int64_t m = 0; m < all.numel() / (n * n); ++m) {
    const double* matrix = all.const_data_ptr<double>() + m * n * n;
    std::uint8_t* bytes = packed.mutable_data_ptr<std::uint8_t>() + m * packedBytes(n);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto value = static_cast<float>(matrix[i * n + i]);
      std::memcpy(bytes + i * static_cast<std::int64_t>(sizeof value), &value, sizeof value);
    }
    const std::vector<double> roots = rootsOf(bytes, n);
    at::parallel_for(0, n, 256, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) packRow(matrix + i * n, i, roots, bytes + rowOffset(i, n));
    });
  }
  return packed;
}

at::Tensor unpackSymmetric(const at::Tensor& packed, std::int64_t n) {
  const at::Tensor all = packed.contiguous();
  std::vector<std::int64_t> sizes = all.sizes().vec();
  sizes.back() = n;
  sizes.push_back(n);
  at::Tensor matrices = at::empty(sizes, at::kDouble);
  for (std::int64_t m = 0; m < matrices.numel() / (n * n); ++m) {
    const std::uint8_t* bytes = all.const_data_ptr<std::uint8_t>() + m * packedBytes(n);
    double* matrix = matrices.mutable_data_ptr<double>() + m * n * n;
    const std::vector<double> roots = rootsOf(bytes, n);
    for (std::int64_t i = 0; i < n; ++i) {
      float value = 0;
      std::memcpy(&value, bytes + i * static_cast<std::int64_t>(sizeof value), sizeof value);
      matrix[i * n + i] = value;
    }
    at::parallel_for(0, n, 256, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) unpackRow(bytes + rowOffset(i, n), i, n, roots, matrix);
    });
  }
  return matrices;
}

}  // namespace kvista
