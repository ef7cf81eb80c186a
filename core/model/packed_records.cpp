// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/packed_records.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
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

/// Calls `body(value)` with a value of the type that numbers have.
template <class Body>
void withNumber(at::ScalarType type, const Body& body) {
  switch (type) {
    case at::kFloat: return body(float{});
    case at::kBFloat16: return body(c10::BFloat16{});
    case at::kHalf: return body(c10::Half{});
    default: TORCH_CHECK(false, "records have no numbers of type ", type);
  }
}

/// packLatent and unpackLatent on a CPU, where an operator for every run of every group would take longer than the work.
void packRow(const float* latent, const float* steps, const RecordLayout& layout, at::ScalarType numbers, std::uint8_t* record) {
  withNumber(numbers, [&](auto number) {
    for (int i = 0; i < layout.counts[0]; ++i) {
      number = static_cast<decltype(number)>(latent[i]);
      std::memcpy(record + static_cast<std::size_t>(i) * sizeof number, &number, sizeof number);
    }
  });
  latent += layout.counts[0];
  steps += layout.counts[0];
  record += layout.runBytes(0);
  for (int run = 1; run < RecordLayout::kRuns; ++run) {
    const int bits = RecordLayout::bits(run), count = layout.counts[static_cast<std::size_t>(run)];
    const float half = std::ldexp(1.0f, bits - 1);
    for (int i = 0; i < count; ++i) {
      const float whole = std::floor(latent[i] / steps[i]), level = whole > -half ? std::min(whole, half - 1) : -half;  // not a number: -half
      record[i * bits / 8] |= static_cast<std::uint8_t>(static_cast<unsigned>(level + half) << i * bits % 8);
    }
    latent += count;
    steps += count;
    record += layout.runBytes(run);
  }
}

void unpackRow(const std::uint8_t* record, const float* steps, const RecordLayout& layout, at::ScalarType numbers, float* latent) {
  withNumber(numbers, [&](auto number) {
    for (int i = 0; i < layout.counts[0]; ++i) {
      std::memcpy(&number, record + static_cast<std::size_t>(i) * sizeof number, sizeof number);
      latent[i] = static_cast<float>(number);
    }
  });
  latent += layout.counts[0];
  steps += layout.counts[0];
  record += layout.runBytes(0);
  for (int run = 1; run < RecordLayout::kRuns; ++run) {
    const int bits = RecordLayout::bits(run), count = layout.counts[static_cast<std::size_t>(run)];
    const float middle = std::ldexp(1.0f, bits - 1) - 0.5f;
    for (int i = 0; i < count; ++i)
      latent[i] = (static_cast<float>(record[i * bits / 8] >> i * bits % 8 & ((1 << bits) - 1)) - middle) * steps[i];
    latent += count;
    steps += count;
    record += layout.runBytes(run);
  }
}

std::vector<std::int64_t> withLast(const at::Tensor& x, std::int64_t last) {
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = last;
  return sizes;
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
  if (latent.is_cpu()) {
    const at::Tensor from = latent.to(at::kFloat).contiguous(), own = steps.contiguous();
    at::Tensor records = at::zeros(withLast(latent, layout.bytes()), latent.options().dtype(at::kByte));
    const std::int64_t rank = layout.rank(), bytes = layout.bytes(), rows = rank == 0 ? 0 : from.numel() / rank;
    for (std::int64_t row = 0; row < rows; ++row)
      packRow(from.const_data_ptr<float>() + row * rank, own.const_data_ptr<float>(), layout, numbers, records.mutable_data_ptr<std::uint8_t>() + row * bytes);
    return records;
  }
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
    parts.push_back(at::empty(withLast(latent, 0), latent.options().dtype(at::kByte)));
  }
  return at::constant_pad_nd(at::cat(parts, -1), {0, layout.bytes() - taken}, 0);
}

at::Tensor unpackLatent(const at::Tensor& records, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers) {
  if (records.is_cpu()) {
    const at::Tensor from = records.contiguous(), own = steps.contiguous();
    at::Tensor latent = at::empty(withLast(records, layout.rank()), records.options().dtype(at::kFloat));
    const std::int64_t rank = layout.rank(), bytes = records.size(-1), rows = rank == 0 ? 0 : from.numel() / bytes;
    for (std::int64_t row = 0; row < rows; ++row)
      unpackRow(from.const_data_ptr<std::uint8_t>() + row * bytes, own.const_data_ptr<float>(), layout, numbers, latent.mutable_data_ptr<float>() + row * rank);
    return latent;
  }
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
    return at::empty(withLast(records, 0), records.options().dtype(at::kFloat));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, -1);
}

}  // namespace kvista
