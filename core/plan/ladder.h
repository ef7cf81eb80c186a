// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/plan/allocate.h"

namespace kvista {

inline constexpr std::size_t kWidthCount = 17;  // 0 to 16 bits.

/// Neighbouring directions of one unit that get the same width.
struct Block {
  std::uint32_t unit = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t nextStep = 0;  // Into Ladder::gains; up to the next block's first step.
  std::uint32_t lastStep = 0;
  std::uint8_t width = 0;
};

/// Every block's way up through the widths: the lower convex hull of its (bits, distortion) points, so that gains a bit
/// fall along the way and taking steps by falling gain never takes one before its predecessor.
struct Ladder {
  std::vector<Block> blocks;
  std::vector<double> gains;         // What a step saves, a bit.
  std::vector<std::uint8_t> widths;  // Where it leads.
};

/// The ladder of every unit that is not locked. The request must have passed checkRequest.
Ladder ladderOf(const AllocationRequest& request);

/// Widths of every direction of the request's units: those of the blocks, and of locked units their own.
std::vector<std::vector<std::uint8_t>> widthsOf(const AllocationRequest& request, const Ladder& ladder);

/// Allocation::waterline of a gain a bit. Of two widths {0, b} the gain a bit is the mean eigenvalue times what b bits
/// save, divided by b: the eigenvalue is what a person sees.
double levelOfGain(double gain, const std::vector<int>& allowedWidths);

/// Bytes as stored (kvista::storedBytes), kept up to date while directions change their widths.
class Ledger {
 public:
  /// Starts with the locked units; the blocks of the others are added.
  explicit Ledger(const std::vector<BudgetUnit>& units);
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  void add(const Block& block) {
    const Block nothing{.unit = block.unit, .count = block.count};
    bytes_ += change(nothing, block.width);
    count(nothing, block.width);
  }
  /// Bytes more that a token costs with the block at another width.
  [[nodiscard]] std::int64_t change(const Block& block, std::uint8_t width) const {
    const auto& counts = parts_[block.unit];
    std::int64_t bytes = 0;
    for (auto left = static_cast<unsigned>(block.width ^ width); left != 0; left &= left - 1) {
      const unsigned bits = left & (~left + 1);  // of a run that the block's directions enter or leave
      const std::int64_t before = counts[static_cast<std::size_t>(std::countr_zero(bits))];
      const std::int64_t after = (width & bits) != 0 ? before + block.count : before - block.count;
      bytes += runBytes(after, bits) - runBytes(before, bits);
    }
    return bytes;
  }
  void move(Block& block, std::uint8_t width) {
    bytes_ += change(block, width);
    count(block, width);
    block.width = width;
  }

 private:
  static std::int64_t runBytes(std::int64_t count, std::int64_t bits) { return (count * bits + 7) / 8; }
  void count(const Block& block, std::uint8_t width) {
    for (std::size_t run = 0; run < kRuns; ++run) {
      const unsigned bits = 1U << run;
      if ((block.width & bits) != 0) parts_[block.unit][run] -= block.count;
      if ((width & bits) != 0) parts_[block.unit][run] += block.count;
    }
  }
  static constexpr std::size_t kRuns = 5;                // Of 1, 2, 4, 8 and 16 bits: what widths are sums of.
  std::vector<std::array<std::uint32_t, kRuns>> parts_;  // One entry a unit.
  std::int64_t bytes_ = 0;
};

}  // namespace kvista
