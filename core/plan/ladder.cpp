// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/ladder.h"

#include <algorithm>
#include <limits>

#include "core/plan/plan.h"

namespace kvista {

namespace {

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

}  // namespace

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

std::vector<std::vector<std::uint8_t>> widthsOf(const AllocationRequest& request, const Ladder& ladder) {
  std::vector<std::vector<std::uint8_t>> widths;
  for (const BudgetUnit& unit : request.units)
    widths.push_back(unit.locked ? unit.widths : std::vector<std::uint8_t>(unit.spectrum.eigenvalues.size()));
  for (const Block& block : ladder.blocks)
    std::fill_n(widths[block.unit].begin() + block.first, block.count, block.width);
  return widths;
}

double levelOfGain(double gain, const std::vector<int>& allowedWidths) {
  if (allowedWidths.size() != 2) return gain;
  const int width = allowedWidths.back();
  return gain * width / (1 - gaussianDistortion(width));
}

Ledger::Ledger(const std::vector<BudgetUnit>& units) : parts_(units.size()) {
  for (const BudgetUnit& unit : units)
    if (unit.locked) bytes_ += storedBytes(unit.widths);
}

}  // namespace kvista
