// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/rank_edit.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "core/plan/ladder.h"

namespace kvista {

std::vector<std::uint8_t> widthsForRank(const Spectrum& spectrum, const std::vector<int>& allowedWidths, int rank) {
  const std::size_t size = spectrum.eigenvalues.size();
  const std::size_t count = std::min(static_cast<std::size_t>(std::max(rank, 0)), size);
  std::vector<std::uint8_t> widths(size);
  if (allowedWidths.size() == 2) {
    std::fill_n(widths.begin(), count, static_cast<std::uint8_t>(allowedWidths.back()));
    return widths;
  }
  AllocationRequest request;
  request.units.resize(1);
  request.units[0].spectrum = spectrum;
  request.units[0].maximumRank = static_cast<int>(size);
  request.allowedWidths = allowedWidths;
  request.rankStep = 1;
  const Ladder ladder = ladderOf(request);

  // By what their first bits gain; directions that nothing helps come last, in their order.
  const auto firstGain = [&](std::size_t direction) {
    const Block& block = ladder.blocks[direction];
    return block.nextStep < block.lastStep ? ladder.gains[block.nextStep] : 0.0;
  };
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return firstGain(a) > firstGain(b); });
  const double water = count < size ? firstGain(order[count]) : 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const Block& block = ladder.blocks[order[i]];
    auto width = static_cast<std::uint8_t>(allowedWidths[1]);
    for (std::uint32_t s = block.nextStep; s < block.lastStep && (s == block.nextStep || ladder.gains[s] > water); ++s)
      width = ladder.widths[s];
    widths[order[i]] = width;
  }
  return widths;
}

}  // namespace kvista
