// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstddef>

#include "core/plan/allocate.h"
#include "core/plan/ladder.h"

namespace kvista {

namespace {

/// Sixteen buckets an octave, by rising gain: the leading bits of a positive double rise with it.
std::size_t bucketOf(double gain) { return std::bit_cast<std::uint64_t>(gain) >> 48; }

/// Where the line will lie, found without sorting. Buckets from `safe` up fit whatever the padding; those from `reach`
/// up hold more bits than there are.
struct Zone {
  std::size_t safe;
  std::size_t reach;
};

Zone findZone(const Ladder& ladder, const AllocationRequest& request, std::int64_t freeBytes) {
  std::vector<std::int64_t> bits(std::size_t{1} << 15);
  for (const Block& block : ladder.blocks) {
    int width = block.width;
    for (std::uint32_t s = block.nextStep; s < block.lastStep; width = ladder.widths[s++])
      bits[bucketOf(ladder.gains[s])] += std::int64_t{ladder.widths[s] - width} * block.count;
  }
  const auto descend = [&](std::int64_t room) {
    std::size_t bucket = bits.size();
    while (bucket > 0 && room >= bits[bucket - 1]) room -= bits[--bucket];
    return bucket;
  };
  constexpr std::int64_t kPaddingBits = 7;
  unsigned runs = 0;  // A bit for each that may have codes.
  for (const int width : request.allowedWidths) runs |= static_cast<unsigned>(width);
  const std::int64_t padded = std::popcount(runs % 8);
  const std::int64_t padding = kPaddingBits * padded * static_cast<std::int64_t>(request.units.size());
  const std::size_t reach = descend(freeBytes * 8);
  return {descend(freeBytes * 8 - padding), reach > 0 ? reach - 1 : 0};
}

/// Takes steps from `lowestBucket` up by falling gain. A block whose next step does not fit is closed.
/// Returns the largest gain that did not fit.
double takeByGain(Ladder& ladder, Ledger& ledger, std::int64_t budgetBytes, std::size_t lowestBucket) {
  const auto gainOf = [&](std::uint32_t block) { return ladder.gains[ladder.blocks[block].nextStep]; };
  const auto later = [&](std::uint32_t a, std::uint32_t b) {
    return gainOf(a) != gainOf(b) ? gainOf(a) < gainOf(b) : a > b;
  };
  const auto isOpen = [&](const Block& block) {
    return block.nextStep < block.lastStep && bucketOf(ladder.gains[block.nextStep]) >= lowestBucket;
  };
  double refused = 0;
  const auto fits = [&](Block& block) {
    const std::int64_t left = budgetBytes - ledger.bytes();
    if (left >= 0 && ledger.change(block, ladder.widths[block.nextStep]) <= left) return true;
    refused = std::max(refused, ladder.gains[block.nextStep]);
    block.lastStep = block.nextStep;
    return false;
  };
  std::vector<std::uint32_t> heap;
  for (std::uint32_t b = 0; b < ladder.blocks.size(); ++b)
    if (isOpen(ladder.blocks[b]) && fits(ladder.blocks[b])) heap.push_back(b);
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Block& block = ladder.blocks[heap.back()];
    if (fits(block)) {
      ledger.move(block, ladder.widths[block.nextStep++]);
      if (isOpen(block)) {
        std::push_heap(heap.begin(), heap.end(), later);
        continue;
      }
    }
    heap.pop_back();
  }
  return refused;
}

/// Reverse water-filling (methods.md sections 8 and 10). Steps of all blocks of all units are taken by falling gain a
/// bit until the bytes are spent, then whatever smaller ones still fit. For widths {0, 16} and blocks of equal size
/// this is the optimum. Ends: every round of every loop takes a step or closes a block, and there are finitely many.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  Ladder ladder = ladderOf(request);
  Ledger ledger(request.units);
  for (const Block& block : ladder.blocks) ledger.add(block);

  // Sorting all steps would take most of the time: what is far above the line needs no order.
  const Zone zone = findZone(ladder, request, request.budgetBytes - ledger.bytes());
  for (Block& block : ladder.blocks) {
    std::uint32_t step = block.nextStep;
    while (step < block.lastStep && bucketOf(ladder.gains[step]) >= zone.safe) ++step;
    if (step == block.nextStep) continue;
    ledger.move(block, ladder.widths[step - 1]);
    block.nextStep = step;
  }
  double line = takeByGain(ladder, ledger, request.budgetBytes, zone.reach);
  line = std::max(line, takeByGain(ladder, ledger, request.budgetBytes, 0));

  Allocation allocation;
  allocation.widths = widthsOf(request, ladder);
  allocation.waterline = levelOfGain(line, request.allowedWidths);
  summarise(request, allocation);
  if (line == 0 && allocation.achievedBytes < allocation.requestedBytes)
    allocation.note = "Every direction that carries anything has the most bits that help it.";
  return allocation;
}

}  // namespace

Allocator waterlineAllocator() {
  return {"waterline", "One threshold over all directions of all layers: bits go where they save most loss.", allocate,
          "help page Methods, section 8"};
}

}  // namespace kvista
