// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <limits>

#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

namespace {

constexpr std::size_t kWidthCount = 17;  // 0 to 16 bits.

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

struct Point {
  int bits = 0;
  double distortion = 0;
};

/// A lower convex hull, point by point by rising bits; points that lie on or above it are dropped.
class Hull {
 public:
  void clear() { size_ = 0; }
  void add(Point point) {
    if (size_ > 0 && point.distortion >= points_[size_ - 1].distortion) return;
    while (size_ > 1 && !turnsLeft(points_[size_ - 2], points_[size_ - 1], point)) --size_;
    points_[size_++] = point;
  }
  /// Appends its steps, the first point being where a block of `count` directions starts.
  void appendSteps(std::uint32_t count, Ladder& ladder) const {
    double previous = std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i < size_; ++i) {
      const double saved = points_[i - 1].distortion - points_[i].distortion;
      // Rounding must not turn the order of two nearly equal steps around.
      const double gain = std::min(saved / ((points_[i].bits - points_[i - 1].bits) * count), previous);
      if (!(gain > 0)) return;
      ladder.gains.push_back(gain);
      ladder.widths.push_back(static_cast<std::uint8_t>(points_[i].bits));
      previous = gain;
    }
  }

 private:
  static bool turnsLeft(const Point& a, const Point& b, const Point& c) {
    return (a.distortion - b.distortion) * (c.bits - a.bits) > (a.distortion - c.distortion) * (b.bits - a.bits);
  }
  std::array<Point, kWidthCount> points_;
  std::size_t size_ = 0;
};

void appendUnit(const AllocationRequest& request, std::size_t index, Ladder& ladder) {
  const BudgetUnit& unit = request.units[index];
  const Spectrum& spectrum = unit.spectrum;
  const auto& allowed = request.allowedWidths;
  const auto step = static_cast<std::size_t>(request.rankStep);
  const auto maximum = static_cast<std::size_t>(unit.maximumRank);
  const auto minimum = static_cast<std::size_t>(unit.minimumRank);

  // Where the fitted distortions of each allowed width are, or else the Gaussian one.
  constexpr std::ptrdiff_t kNotFitted = -1;
  std::array<std::ptrdiff_t, kWidthCount> column{};
  std::array<double, kWidthCount> gaussian{};
  for (std::size_t w = 0; w < allowed.size(); ++w) {
    const auto found = std::find(spectrum.widths.begin(), spectrum.widths.end(), allowed[w]);
    column[w] = found == spectrum.widths.end() ? kNotFitted : found - spectrum.widths.begin();
    gaussian[w] = gaussianDistortion(allowed[w]);
  }

  Hull hull;
  for (std::size_t first = 0; first < maximum; first += step) {
    const std::size_t count = std::min(step, maximum - first);
    const std::size_t base = first < minimum ? 1 : 0;  // A direction of the smallest rank starts with some bits.
    double energy = 0;
    for (std::size_t i = first; i < first + count; ++i) energy += std::max(spectrum.eigenvalues[i], 0.0);
    hull.clear();
    for (std::size_t w = base; w < allowed.size(); ++w) {
      double distortion = energy * gaussian[w];
      if (column[w] != kNotFitted) {
        const float* fitted = spectrum.distortion.data() + column[w];
        distortion = 0;
        for (std::size_t i = first; i < first + count; ++i)
          distortion += std::max(spectrum.eigenvalues[i], 0.0) * fitted[i * spectrum.widths.size()];
      }
      hull.add({allowed[w], distortion});
    }
    Block block;
    block.unit = static_cast<std::uint32_t>(index);
    block.first = static_cast<std::uint32_t>(first);
    block.count = static_cast<std::uint32_t>(count);
    block.nextStep = static_cast<std::uint32_t>(ladder.gains.size());
    block.width = static_cast<std::uint8_t>(allowed[base]);
    hull.appendSteps(block.count, ladder);
    block.lastStep = static_cast<std::uint32_t>(ladder.gains.size());
    ladder.blocks.push_back(block);
  }
}

/// Every unit that is not locked.
Ladder ladderOf(const AllocationRequest& request) {
  Ladder ladder;
  std::size_t blocks = 0;
  for (const BudgetUnit& unit : request.units)
    if (!unit.locked) blocks += static_cast<std::size_t>((unit.maximumRank + request.rankStep - 1) / request.rankStep);
  const std::size_t steps = blocks * (request.allowedWidths.size() - 1);
  ladder.blocks.reserve(blocks);
  ladder.gains.reserve(steps);
  ladder.widths.reserve(steps);
  for (std::size_t i = 0; i < request.units.size(); ++i)
    if (!request.units[i].locked) appendUnit(request, i, ladder);
  return ladder;
}

/// Bytes as stored, kept up to date while directions change their widths.
class Ledger {
 public:
  explicit Ledger(const AllocationRequest& request) : directions_(request.units.size()) {
    for (const BudgetUnit& unit : request.units)
      if (unit.locked) bytes_ += storedBytes(unit.widths);
  }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  void add(const Block& block) {
    auto& count = directions_[block.unit][block.width];
    bytes_ -= runBytes(count, block.width);
    count += block.count;
    bytes_ += runBytes(count, block.width);
  }
  /// Bytes more that a token costs with the block at another width.
  [[nodiscard]] std::int64_t change(const Block& block, std::uint8_t width) const {
    const auto& counts = directions_[block.unit];
    return runBytes(counts[block.width] - block.count, block.width) - runBytes(counts[block.width], block.width) +
           runBytes(counts[width] + block.count, width) - runBytes(counts[width], width);
  }
  void move(Block& block, std::uint8_t width) {
    bytes_ += change(block, width);
    directions_[block.unit][block.width] -= block.count;
    directions_[block.unit][width] += block.count;
    block.width = width;
  }

 private:
  static std::int64_t runBytes(std::int64_t count, std::uint8_t width) { return (count * width + 7) / 8; }
  std::vector<std::array<std::uint32_t, kWidthCount>> directions_;
  std::int64_t bytes_ = 0;
};

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
  const auto padded = std::count_if(request.allowedWidths.begin(), request.allowedWidths.end(),
                                    [](int width) { return width % 8 != 0; });
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
  Ledger ledger(request);
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
  for (const BudgetUnit& unit : request.units)
    allocation.widths.push_back(unit.locked ? unit.widths
                                            : std::vector<std::uint8_t>(unit.spectrum.eigenvalues.size()));
  for (const Block& block : ladder.blocks)
    std::fill_n(allocation.widths[block.unit].begin() + block.first, block.count, block.width);
  // Of two widths {0, b} the gain a bit is the mean eigenvalue times what b bits save, divided by b.
  const bool ranksOnly = request.allowedWidths.size() == 2;
  const int widest = request.allowedWidths.back();
  allocation.waterline = ranksOnly ? line * widest / (1 - gaussianDistortion(widest)) : line;
  summarise(request, allocation);
  if (line == 0 && allocation.achievedBytes < allocation.requestedBytes)
    allocation.note = "Every direction that carries anything has the most bits that help it.";
  return allocation;
}

}  // namespace

Allocator waterlineAllocator() {
  return {"waterline", "One threshold over all directions of all layers: bits go where they save most loss.", allocate};
}

}  // namespace kvista
