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
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
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

/// Of the codes of so many bits, from 0 on.
float middleOf(int bits) { return std::ldexp(1.0f, bits - 1) - 0.5f; }

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
void packRow(const float* latent, const float* steps, const RecordLayout& layout, std::span<const RecordLayout::Parts> all,
             at::ScalarType numbers, std::uint8_t* record) {
  withNumber(numbers, [&](auto number) {
    for (int i = 0; i < layout.counts[0]; ++i) {
      number = static_cast<decltype(number)>(latent[i]);
      std::memcpy(record + static_cast<std::size_t>(i) * sizeof number, &number, sizeof number);
    }
  });
  for (const RecordLayout::Parts& parts : all) {
    if (parts.run == 0) continue;
    const int bits = RecordLayout::bits(parts.run);
    const float half = std::ldexp(1.0f, parts.width - 1);
    std::uint8_t* const run = record + layout.runBegin(parts.run);
    for (int i = 0; i < parts.count; ++i) {
      const int direction = parts.direction + i, begin = (parts.within + i) * bits;
      const float whole = std::floor(latent[direction] / steps[direction]);
      const float level = whole > -half ? std::min(whole, half - 1) : -half;  // not a number: -half
      const unsigned part = static_cast<unsigned>(level + half) >> parts.shift & ((1U << bits) - 1);
      run[begin / 8] |= static_cast<std::uint8_t>(part << begin % 8);
    }
  }
}

void unpackRow(const std::uint8_t* record, const float* steps, const RecordLayout& layout, std::span<const RecordLayout::Parts> all,
               at::ScalarType numbers, float* latent) {
  withNumber(numbers, [&](auto number) {
    for (int i = 0; i < layout.counts[0]; ++i) {
      std::memcpy(&number, record + static_cast<std::size_t>(i) * sizeof number, sizeof number);
      latent[i] = static_cast<float>(number);
    }
  });
  const int rank = layout.rank();
  std::fill(latent + layout.counts[0], latent + rank, 0.0f);
  for (const RecordLayout::Parts& parts : all) {
    if (parts.run == 0) continue;
    const int bits = RecordLayout::bits(parts.run);
    const float middle = middleOf(bits), factor = std::ldexp(1.0f, parts.shift);
    const std::uint8_t* const run = record + layout.runBegin(parts.run);
    for (int i = 0; i < parts.count; ++i) {
      const int begin = (parts.within + i) * bits;
      latent[parts.direction + i] += (static_cast<float>(run[begin / 8] >> begin % 8 & ((1 << bits) - 1)) - middle) * factor;
    }
  }
  for (int i = layout.counts[0]; i < rank; ++i) latent[i] *= steps[i];
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

std::int64_t RecordLayout::runBegin(int run) const {
  std::int64_t sum = 0;
  for (int before = 0; before < run; ++before) sum += runBytes(before);
  return sum;
}

std::int64_t RecordLayout::bytes() const { return paddedTo(runBegin(kRuns), alignment); }

int RecordLayout::rank() const {
  int sum = -sixes - threes;
  for (const int count : counts) sum += count;
  return sum;
}

RecordLayout RecordLayout::of(std::span<const std::uint8_t> widths) {
  RecordLayout layout;
  for (const std::uint8_t width : widths) {
    for (int run = 0; run < kRuns; ++run) layout.counts[static_cast<std::size_t>(run)] += (width & bits(run)) != 0 ? 1 : 0;
    layout.sixes += width == 6 ? 1 : 0;
    layout.threes += width == 3 ? 1 : 0;
  }
  return layout;
}

std::vector<RecordLayout::Parts> RecordLayout::parts() const {
  const std::array<std::pair<int, int>, 7> directions = {{{16, counts[0]},
                                                          {8, counts[1]},
                                                          {6, sixes},
                                                          {4, counts[2] - sixes},
                                                          {3, threes},
                                                          {2, counts[3] - sixes - threes},
                                                          {1, counts[4] - threes}}};
  std::vector<Parts> result;
  for (int run = 0; run < kRuns; ++run) {
    int direction = 0, within = 0;
    for (const auto& [width, count] : directions) {
      if (count > 0 && (width & bits(run)) != 0) {
        const int shift = width >= 2 * bits(run) ? width - bits(run) : 0;  // the largest power of two has the lowest bits
        result.push_back({run, within, width, shift, direction, count});
        within += count;
      }
      direction += count;
    }
  }
  return result;
}

PartsAsDirections partsAsDirections(const RecordLayout& layout, at::Device device) {
  std::vector<std::int64_t> directions;
  std::vector<float> factors;
  for (const RecordLayout::Parts& parts : layout.parts()) {
    for (int i = 0; i < parts.count; ++i) directions.push_back(parts.direction + i);
    factors.insert(factors.end(), static_cast<std::size_t>(parts.count), std::ldexp(1.0f, parts.shift));
  }
  return {at::tensor(directions, at::kLong).to(device), at::tensor(factors, at::kFloat).to(device)};
}

at::Tensor packLatent(const at::Tensor& latent, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers) {
  const std::vector<RecordLayout::Parts> all = layout.parts();
  if (latent.is_cpu()) {
    const at::Tensor from = latent.to(at::kFloat).contiguous(), own = steps.contiguous();
    at::Tensor records = at::zeros(withLast(latent, layout.bytes()), latent.options().dtype(at::kByte));
    const std::int64_t rank = layout.rank(), bytes = layout.bytes(), rows = rank == 0 ? 0 : from.numel() / rank;
    auto* const to = records.mutable_data_ptr<std::uint8_t>();
    for (std::int64_t row = 0; row < rows; ++row)
      packRow(from.const_data_ptr<float>() + row * rank, own.const_data_ptr<float>(), layout, all, numbers, to + row * bytes);
    return records;
  }
  std::array<std::vector<at::Tensor>, RecordLayout::kRuns> codes;
  for (const RecordLayout::Parts& parts : all) {
    const at::Tensor own = latent.narrow(-1, parts.direction, parts.count);
    if (parts.run == 0) {
      codes[0].push_back(own.to(numbers).contiguous().view(at::kByte));
    } else {
      const double half = std::ldexp(1.0, parts.width - 1);
      const at::Tensor levels = at::floor(own.to(at::kFloat) / steps.narrow(0, parts.direction, parts.count));
      const at::Tensor whole = (at::clamp(levels, -half, half - 1) + half).to(at::kInt);
      const int mask = (1 << RecordLayout::bits(parts.run)) - 1;
      codes[static_cast<std::size_t>(parts.run)].push_back(whole.bitwise_right_shift(parts.shift).bitwise_and(mask));
    }
  }
  std::vector<at::Tensor> runs;
  std::int64_t taken = 0;
  for (int run = 0; run < RecordLayout::kRuns; ++run) {
    const std::vector<at::Tensor>& own = codes[static_cast<std::size_t>(run)];
    if (own.empty()) continue;
    const at::Tensor whole = own.size() == 1 ? own.front() : at::cat(own, -1);
    const std::int64_t bytes = layout.runBytes(run);
    if (run == 0)
      runs.push_back(at::constant_pad_nd(whole, {0, bytes - whole.size(-1)}, 0));
    else
      runs.push_back(packCodes(whole, RecordLayout::bits(run), bytes));
    taken += bytes;
  }
  if (runs.empty()) {
    runs.push_back(at::empty(withLast(latent, 0), latent.options().dtype(at::kByte)));
  }
  return at::constant_pad_nd(at::cat(runs, -1), {0, layout.bytes() - taken}, 0);
}

at::Tensor unpackLatent(const at::Tensor& records, const at::Tensor& steps, const RecordLayout& layout, at::ScalarType numbers) {
  const std::vector<RecordLayout::Parts> all = layout.parts();
  at::Tensor latent = at::zeros(withLast(records, layout.rank()), records.options().dtype(at::kFloat));
  if (records.is_cpu()) {
    const at::Tensor from = records.contiguous(), own = steps.contiguous();
    const std::int64_t rank = layout.rank(), bytes = records.size(-1), rows = rank == 0 ? 0 : from.numel() / bytes;
    auto* const to = latent.mutable_data_ptr<float>();
    for (std::int64_t row = 0; row < rows; ++row)
      unpackRow(from.const_data_ptr<std::uint8_t>() + row * bytes, own.const_data_ptr<float>(), layout, all, numbers, to + row * rank);
    return latent;
  }
  std::array<at::Tensor, RecordLayout::kRuns> codes;
  for (const RecordLayout::Parts& parts : all) {
    at::Tensor own = latent.narrow(-1, parts.direction, parts.count);
    const auto run = static_cast<std::size_t>(parts.run);
    if (run == 0) {
      own.copy_(records.narrow(-1, 0, std::int64_t{parts.count} * layout.numberBytes).contiguous().view(numbers));
      continue;
    }
    const int bits = RecordLayout::bits(parts.run);
    if (!codes[run].defined()) {
      const at::Tensor bytes = records.narrow(-1, layout.runBegin(parts.run), layout.runBytes(parts.run));
      codes[run] = unpackCodes(bytes, bits, layout.counts[run]).to(at::kFloat) - middleOf(bits);
    }
    own.add_(codes[run].narrow(-1, parts.within, parts.count), std::ldexp(1.0, parts.shift));
  }
  const std::int64_t first = layout.counts[0], coded = layout.rank() - first;
  latent.narrow(-1, first, coded).mul_(steps.narrow(0, first, coded));
  return latent;
}

}  // namespace kvista
