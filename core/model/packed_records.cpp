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
#include <span>
#include <utility>
#include <vector>

#include "core/model/parallel.h"
#include "core/model/trellis.h"

namespace kvista {
namespace {

std::int64_t paddedTo(std::int64_t bytes, std::int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

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
    case at::kFloat:
      return body(float{});
    case at::kBFloat16:
      return body(c10::BFloat16{});
    case at::kHalf:
      return body(c10::Half{});
    default:
      TORCH_CHECK(false, "records have no numbers of type ", type);
  }
}

/// packLatent and unpackLatent on a CPU, a row at a time, where an operator for every run of every group would take
/// longer than the work.
class RowCoder {
 public:
  RowCoder(const RecordLayout& layout, const at::Tensor& steps, at::ScalarType numbers)
      : layout_(layout),
        directions_(layout.directions()),
        parts_(layout.parts()),
        steps_(steps.contiguous()),
        type_(numbers),
        codes_(static_cast<std::size_t>(layout.rank())),
        scaled_(codes_.size()) {}

  /// `record`: zeros.
  void pack(const float* latent, std::uint8_t* record) {
    withNumber(type_, [&](auto number) {
      for (int i = 0; i < layout_.counts[0]; ++i) {
        number = static_cast<decltype(number)>(latent[i]);
        std::memcpy(record + static_cast<std::size_t>(i) * sizeof number, &number, sizeof number);
      }
    });
    const float* const steps = steps_.const_data_ptr<float>();
    for (const RecordLayout::Directions& own : directions_) {
      if (own.width == 16) continue;
      const auto begin = static_cast<std::size_t>(own.begin), count = static_cast<std::size_t>(own.count);
      for (std::size_t i = begin; i < begin + count; ++i) scaled_[i] = latent[i] / steps[i];
      if (layout_.goesThroughTrellis(own.width)) {
        trellisCodes(std::span(scaled_).subspan(begin, count), own.width, std::span(codes_).subspan(begin, count));
        continue;
      }
      const float half = std::ldexp(1.0f, own.width - 1);
      for (std::size_t i = begin; i < begin + count; ++i) {
        const float whole = std::floor(scaled_[i]);
        // Not a number: 0.
        codes_[i] = static_cast<std::uint8_t>((whole > -half ? std::min(whole, half - 1) : -half) + half);
      }
    }
    for (const RecordLayout::Parts& parts : parts_) {
      if (parts.run == 0) continue;
      const int bits = RecordLayout::bits(parts.run);
      std::uint8_t* const run = record + layout_.runBegin(parts.run);
      for (int i = 0; i < parts.count; ++i) {
        const int begin = (parts.within + i) * bits;
        const int part = codes_[static_cast<std::size_t>(parts.direction + i)] >> parts.shift & ((1 << bits) - 1);
        run[begin / 8] |= static_cast<std::uint8_t>(part << begin % 8);
      }
    }
  }

  void unpack(const std::uint8_t* record, float* latent) {
    withNumber(type_, [&](auto number) {
      for (int i = 0; i < layout_.counts[0]; ++i) {
        std::memcpy(&number, record + static_cast<std::size_t>(i) * sizeof number, sizeof number);
        latent[i] = static_cast<float>(number);
      }
    });
    std::ranges::fill(codes_, std::uint8_t{0});
    for (const RecordLayout::Parts& parts : parts_) {
      if (parts.run == 0) continue;
      const int bits = RecordLayout::bits(parts.run);
      const std::uint8_t* const run = record + layout_.runBegin(parts.run);
      for (int i = 0; i < parts.count; ++i) {
        const int begin = (parts.within + i) * bits, part = run[begin / 8] >> begin % 8 & ((1 << bits) - 1);
        codes_[static_cast<std::size_t>(parts.direction + i)] |= static_cast<std::uint8_t>(part << parts.shift);
      }
    }
    for (const RecordLayout::Directions& own : directions_) {
      if (own.width == 16) continue;
      const auto begin = static_cast<std::size_t>(own.begin), count = static_cast<std::size_t>(own.count);
      if (layout_.goesThroughTrellis(own.width)) {
        trellisLevels(std::span(codes_).subspan(begin, count), own.width, {latent + begin, count});
      } else {
        for (std::size_t i = begin; i < begin + count; ++i)
          latent[i] = static_cast<float>(codes_[i]) - middleOf(own.width);
      }
    }
    const float* const steps = steps_.const_data_ptr<float>();
    for (int i = layout_.counts[0]; i < layout_.rank(); ++i) latent[i] *= steps[i];
  }

 private:
  const RecordLayout& layout_;
  std::vector<RecordLayout::Directions> directions_;
  std::vector<RecordLayout::Parts> parts_;
  at::Tensor steps_;
  at::ScalarType type_;
  std::vector<std::uint8_t> codes_;
  std::vector<float> scaled_;
};

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
    for (int run = 0; run < kRuns; ++run)
      layout.counts[static_cast<std::size_t>(run)] += (width & bits(run)) != 0 ? 1 : 0;
    layout.sixes += width == 6 ? 1 : 0;
    layout.threes += width == 3 ? 1 : 0;
  }
  return layout;
}

std::vector<RecordLayout::Directions> RecordLayout::directions() const {
  const std::array<std::pair<int, int>, 7> counted = {{{16, counts[0]},
                                                       {8, counts[1]},
                                                       {6, sixes},
                                                       {4, counts[2] - sixes},
                                                       {3, threes},
                                                       {2, counts[3] - sixes - threes},
                                                       {1, counts[4] - threes}}};
  std::vector<Directions> result;
  int begin = 0;
  for (const auto& [width, count] : counted) {
    if (count > 0) result.push_back({width, begin, count});
    begin += count;
  }
  return result;
}

bool RecordLayout::goesThroughTrellis(int width) const { return trellis && width <= kTrellisBits; }

std::vector<RecordLayout::Parts> RecordLayout::parts() const {
  std::vector<Parts> result;
  for (int run = 0; run < kRuns; ++run) {
    int within = 0;
    for (const Directions& own : directions()) {
      if ((own.width & bits(run)) == 0) continue;
      // The largest power of two has the lowest bits.
      const int shift = own.width >= 2 * bits(run) ? own.width - bits(run) : 0;
      result.push_back({run, within, own.width, shift, own.begin, own.count});
      within += own.count;
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

at::Tensor packLatent(const at::Tensor& latent, const at::Tensor& steps, const RecordLayout& layout,
                      at::ScalarType numbers) {
  if (latent.is_cpu()) {
    const at::Tensor from = latent.to(at::kFloat).contiguous();
    at::Tensor records = at::zeros(withLast(latent, layout.bytes()), latent.options().dtype(at::kByte));
    const std::int64_t rank = layout.rank(), bytes = layout.bytes(), rows = rank == 0 ? 0 : from.numel() / rank;
    auto* const to = records.mutable_data_ptr<std::uint8_t>();
    parallelFor(rows, 64, [&](std::int64_t begin, std::int64_t end) {
      RowCoder coder(layout, steps, numbers);
      for (std::int64_t row = begin; row < end; ++row)
        coder.pack(from.const_data_ptr<float>() + row * rank, to + row * bytes);
    });
    return records;
  }
  std::array<std::vector<at::Tensor>, RecordLayout::kRuns> codes;
  for (const RecordLayout::Directions& directions : layout.directions()) {
    const at::Tensor own = latent.narrow(-1, directions.begin, directions.count);
    if (directions.width == 16) {
      codes[0].push_back(own.to(numbers).contiguous().view(at::kByte));
      continue;
    }
    const at::Tensor scaled = own.to(at::kFloat) / steps.narrow(0, directions.begin, directions.count);
    const double half = std::ldexp(1.0, directions.width - 1);
    const at::Tensor whole = layout.goesThroughTrellis(directions.width)
                                 ? trellisCodes(scaled, directions.width).to(at::kInt)
                                 : (at::clamp(at::floor(scaled), -half, half - 1) + half).to(at::kInt);
    for (const RecordLayout::Parts& parts : layout.parts()) {
      if (parts.direction != directions.begin) continue;
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

at::Tensor unpackLatent(const at::Tensor& records, const at::Tensor& steps, const RecordLayout& layout,
                        at::ScalarType numbers) {
  at::Tensor latent = at::empty(withLast(records, layout.rank()), records.options().dtype(at::kFloat));
  if (records.is_cpu()) {
    const at::Tensor from = records.contiguous();
    const std::int64_t rank = layout.rank(), bytes = records.size(-1), rows = rank == 0 ? 0 : from.numel() / bytes;
    auto* const to = latent.mutable_data_ptr<float>();
    parallelFor(rows, 64, [&](std::int64_t begin, std::int64_t end) {
      RowCoder coder(layout, steps, numbers);
      for (std::int64_t row = begin; row < end; ++row)
        coder.unpack(from.const_data_ptr<std::uint8_t>() + row * bytes, to + row * rank);
    });
    return latent;
  }
  std::array<at::Tensor, RecordLayout::kRuns> runs;
  for (int run = 1; run < RecordLayout::kRuns; ++run) {
    const auto i = static_cast<std::size_t>(run);
    if (layout.counts[i] > 0)
      runs[i] = unpackCodes(records.narrow(-1, layout.runBegin(run), layout.runBytes(run)), RecordLayout::bits(run),
                            layout.counts[i]);
  }
  for (const RecordLayout::Directions& directions : layout.directions()) {
    at::Tensor own = latent.narrow(-1, directions.begin, directions.count);
    if (directions.width == 16) {
      own.copy_(records.narrow(-1, 0, std::int64_t{directions.count} * layout.numberBytes).contiguous().view(numbers));
      continue;
    }
    at::Tensor codes;
    for (const RecordLayout::Parts& parts : layout.parts()) {
      if (parts.direction != directions.begin) continue;
      const at::Tensor part = runs[static_cast<std::size_t>(parts.run)]
                                  .narrow(-1, parts.within, parts.count)
                                  .bitwise_left_shift(parts.shift);
      codes = codes.defined() ? codes + part : part;
    }
    const at::Tensor levels = layout.goesThroughTrellis(directions.width)
                                  ? trellisLevels(codes, directions.width)
                                  : codes.to(at::kFloat) - middleOf(directions.width);
    own.copy_(levels * steps.narrow(0, directions.begin, directions.count));
  }
  return latent;
}

}  // namespace kvista
