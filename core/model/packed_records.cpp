// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/packed_records.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/floor.h>

#include <bit>
#include <cmath>
#include <vector>

namespace kvista {
namespace {

std::int64_t paddedTo(std::int64_t bytes, std::int64_t alignment) { return (bytes + alignment - 1) / alignment * alignment; }

/// Codes [..., count], whole numbers from 0 on, to bytes [..., bytes].
at::Tensor packCodes(const at::Tensor& codes, int bits, std::int64_t bytes) {
  const std::int64_t inByte = 8 / bits;
  const at::Tensor padded = at::constant_pad_nd(codes.to(at::kInt), {0, bytes * inByte - codes.size(-1)}, 0);
  const at::Tensor shifts = at::arange(0, 8, bits, padded.options());
  return padded.unflatten(-1, {bytes, inByte}).bitwise_left_shift(shifts).sum(-1).to(at::kByte);
}

at::Tensor unpackCodes(const at::Tensor& bytes, int bits, std::int64_t count) {
  const at::Tensor shifts = at::arange(0, 8, bits, bytes.options().dtype(at::kInt));
  const at::Tensor codes = bytes.to(at::kInt).unsqueeze(-1).bitwise_right_shift(shifts).bitwise_and((1 << bits) - 1);
  return codes.flatten(-2).narrow(-1, 0, count);
}

}  // namespace

std::int64_t RecordLayout::runBytes(int run) const {
  const auto count = static_cast<std::int64_t>(counts[static_cast<std::size_t>(run)]);
  return paddedTo(run == 0 ? count * numberBytes : (count * bits(run) + 7) / 8, runAlignment);
}

std::int64_t RecordLayout::bytes() const {
  std::int64_t sum = 0;
  for (int run = 0; run < kRuns; ++run) sum += runBytes(run);
  return paddedTo(sum, alignment);
}

int RecordLayout::rank() const {
  int sum = 0;
  for (const int count : counts) sum += count;
  return sum;
}

std::array<int, RecordLayout::kRuns> runsOf(std::span<const std::uint8_t> widths) {
  std::array<int, RecordLayout::kRuns> counts{};
  for (const std::uint8_t width : widths) ++counts[static_cast<std::size_t>(4 - std::countr_zero(width))];
  return counts;
}

at::Tensor packLatent(const at::Tensor& latent, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers) {
  std::vector<at::Tensor> parts;
  std::int64_t direction = 0, taken = 0;
  for (int run = 0; run < RecordLayout::kRuns; ++run) {
    const std::int64_t count = layout.counts[static_cast<std::size_t>(run)], bytes = layout.runBytes(run);
    if (count == 0) continue;
    const at::Tensor own = latent.narrow(-1, direction, count);
    if (run == 0) {
      const at::Tensor raw = own.to(numbers).contiguous().view(at::kByte);
      parts.push_back(at::constant_pad_nd(raw, {0, bytes - raw.size(-1)}, 0));
    } else {
      const double half = std::ldexp(1.0, RecordLayout::bits(run) - 1);
      const at::Tensor levels = at::floor(own.to(at::kFloat) / steps.narrow(0, direction, count));
      parts.push_back(packCodes(at::clamp(levels, -half, half - 1) + half, RecordLayout::bits(run), bytes));
    }
    direction += count;
    taken += bytes;
  }
  if (parts.empty()) {
    std::vector<std::int64_t> sizes = latent.sizes().vec();
    sizes.back() = 0;
    parts.push_back(latent.new_empty(sizes, latent.options().dtype(at::kByte)));
  }
  return at::constant_pad_nd(at::cat(parts, -1), {0, layout.bytes() - taken}, 0);
}

at::Tensor unpackLatent(const at::Tensor& records, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers) {
  std::vector<at::Tensor> parts;
  std::int64_t direction = 0, begin = 0;
  for (int run = 0; run < RecordLayout::kRuns; ++run) {
    const std::int64_t count = layout.counts[static_cast<std::size_t>(run)];
    if (count == 0) continue;
    if (run == 0) {
      parts.push_back(records.narrow(-1, begin, count * layout.numberBytes).contiguous().view(numbers).to(at::kFloat));
    } else {
      const double middle = std::ldexp(1.0, RecordLayout::bits(run) - 1) - 0.5;
      const at::Tensor codes = unpackCodes(records.narrow(-1, begin, layout.runBytes(run)), RecordLayout::bits(run), count);
      parts.push_back((codes.to(at::kFloat) - middle) * steps.narrow(0, direction, count));
    }
    direction += count;
    begin += layout.runBytes(run);
  }
  if (parts.empty()) {
    std::vector<std::int64_t> sizes = records.sizes().vec();
    sizes.back() = 0;
    return records.new_empty(sizes, records.options().dtype(at::kFloat));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, -1);
}

}  // namespace kvista
