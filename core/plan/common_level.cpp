// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/common_level.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <queue>

#include "core/plan/ladder.h"

namespace kvista {

namespace {

/// One step of one block's ladder.
struct Step {
  std::uint32_t block = 0;
  std::uint32_t step = 0;
};

/// One unit on its way down.
struct Descent {
  std::vector<Step> steps;  // By falling gain a bit, every block's in its own order.
  std::size_t next = 0;
  double loss = 0;
};

std::vector<Descent> descentsOf(const AllocationRequest& request, const Ladder& ladder) {
  std::vector<Descent> descents(request.units.size());
  std::vector<std::vector<std::uint8_t>> widths;
  for (const BudgetUnit& unit : request.units) widths.emplace_back(unit.spectrum.eigenvalues.size());
  for (std::uint32_t b = 0; b < ladder.blocks.size(); ++b) {
    const Block& block = ladder.blocks[b];
    std::fill_n(widths[block.unit].begin() + block.first, block.count, block.width);
    for (std::uint32_t s = block.nextStep; s < block.lastStep; ++s) descents[block.unit].steps.push_back({b, s});
  }
  for (std::size_t u = 0; u < descents.size(); ++u) {
    descents[u].loss = predictedLoss(request.units[u].spectrum, widths[u]);
    std::stable_sort(descents[u].steps.begin(), descents[u].steps.end(),
                     [&](const Step& a, const Step& b) { return ladder.gains[a.step] > ladder.gains[b.step]; });
  }
  return descents;
}

}  // namespace

Result<Allocation> allocateToCommonLevel(const AllocationRequest& request, const std::vector<double>& scales) {
  Ladder ladder = ladderOf(request);
  Ledger ledger(request.units);
  for (const Block& block : ladder.blocks) ledger.add(block);
  std::vector<Descent> descents = descentsOf(request, ladder);

  const auto later = [&](std::size_t a, std::size_t b) {
    const double x = descents[a].loss / scales[a], y = descents[b].loss / scales[b];
    return x != y ? x < y : a > b;
  };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> worst(later);
  for (std::size_t u = 0; u < descents.size(); ++u)
    if (!descents[u].steps.empty()) worst.push(u);
  // Ends: every round goes past a step, of which there are finitely many.
  while (!worst.empty()) {
    const std::size_t unit = worst.top();
    worst.pop();
    Descent& descent = descents[unit];
    const Step step = descent.steps[descent.next++];
    Block& block = ladder.blocks[step.block];
    const std::uint8_t width = ladder.widths[step.step];
    // A step that lies behind one that did not fit is not taken.
    if (block.nextStep == step.step && ledger.change(block, width) <= request.budgetBytes - ledger.bytes()) {
      descent.loss -= ladder.gains[step.step] * (width - block.width) * block.count / 2;
      ledger.move(block, width);
      ++block.nextStep;
    }
    if (descent.next < descent.steps.size()) worst.push(unit);
  }

  Allocation allocation;
  allocation.widths = widthsOf(request, ladder);
  summarise(request, allocation);
  return allocation;
}

}  // namespace kvista
