// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/plan/allocate.h"
#include "core/plan/plan.h"

// One line an allocator: X(name) is the function `Allocator nameAllocator()` of its file in allocators/.
#define KVISTA_ALLOCATORS(X) \
  X(waterline)               \
  X(uniform)                 \
  X(fisherUniform)           \
  X(energy)                  \
  X(minimax)                 \
  X(erank)                   \
  X(lorc)                    \
  X(headMean)

namespace kvista {

#define KVISTA_DECLARE(name) Allocator name##Allocator();
KVISTA_ALLOCATORS(KVISTA_DECLARE)

namespace {

constexpr int kMaxRankStep = 1024;
constexpr std::int64_t kMaxBudgetBytes = std::int64_t{1} << 50;

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalidArgument, std::move(message)); }

bool isWidth(int bits) { return std::find(kWidths.begin(), kWidths.end(), bits) != kWidths.end(); }

Result<void> checkUnit(const BudgetUnit& unit, const std::string& name) {
  const auto size = static_cast<std::int64_t>(unit.spectrum.eigenvalues.size());
  for (const double eigenvalue : unit.spectrum.eigenvalues)
    if (!std::isfinite(eigenvalue)) return bad(fmt::format("{} has an eigenvalue that is not a finite number.", name));
  if (unit.minimumRank < 0 || unit.minimumRank > unit.maximumRank || unit.maximumRank > size)
    return bad(fmt::format("{} has ranks from {} to {}; they must rise and lie within 0 to {}.", name, unit.minimumRank,
                           unit.maximumRank, size));
  if (!std::isfinite(unit.fisherScore) || unit.fisherScore < 0)
    return bad(fmt::format("{} has the Fisher score {}; it must be at least 0.", name, unit.fisherScore));
  if (unit.locked && static_cast<std::int64_t>(unit.widths.size()) != size)
    return bad(fmt::format("{} is locked with {} widths for {} directions.", name, unit.widths.size(), size));
  if (unit.locked && !std::all_of(unit.widths.begin(), unit.widths.end(), isWidth))
    return bad(fmt::format("{} is locked with a width that is not one of {}.", name, fmt::join(kWidths, " ")));
  const auto& fitted = unit.spectrum;
  if (fitted.distortion.size() != fitted.eigenvalues.size() * fitted.widths.size())
    return bad(fmt::format("{} has {} fitted distortions for {} directions and {} widths.", name,
                           fitted.distortion.size(), size, fitted.widths.size()));
  if (!std::all_of(fitted.widths.begin(), fitted.widths.end(), isWidth))
    return bad(
        fmt::format("{} has fitted distortions for a width that is not one of {}.", name, fmt::join(kWidths, " ")));
  for (const float distortion : fitted.distortion)
    if (!std::isfinite(distortion) || distortion < 0)
      return bad(fmt::format("{} has the fitted distortion {}; it must be at least 0.", name, distortion));
  return {};
}

/// No allocation needs more.
std::int64_t largestBytes(const AllocationRequest& request) {
  std::int64_t bytes = 0;
  for (const BudgetUnit& unit : request.units)
    bytes +=
        storedBytes(unit.locked ? unit.widths
                                : std::vector<std::uint8_t>(static_cast<std::size_t>(unit.maximumRank),
                                                            static_cast<std::uint8_t>(request.allowedWidths.back())));
  return bytes;
}

}  // namespace

Result<void> checkRequest(const AllocationRequest& request) {
  const auto& allowed = request.allowedWidths;
  if (allowed.size() < 2 || allowed.front() != 0 || !std::all_of(allowed.begin(), allowed.end(), isWidth) ||
      std::adjacent_find(allowed.begin(), allowed.end(), std::greater_equal<>()) != allowed.end())
    return bad(fmt::format("The allowed widths are {}; they must start with 0 and rise within {}.",
                           fmt::join(allowed, " "), fmt::join(kWidths, " ")));
  if (request.rankStep < 1 || request.rankStep > kMaxRankStep)
    return bad(fmt::format("The rank step is {}; it must be 1 to {}.", request.rankStep, kMaxRankStep));
  if (request.budgetBytes < 0 || request.budgetBytes > kMaxBudgetBytes)
    return bad(
        fmt::format("The budget is {} bytes a token; it must be 0 to {}.", request.budgetBytes, kMaxBudgetBytes));
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    static constexpr std::string_view kSides[] = {"keys", "values", "keys and values"};
    const BudgetUnit& unit = request.units[i];
    if (unit.side < 0 || unit.side > 2)
      return bad(fmt::format("Group {} has the side {}, not 0, 1 or 2.", i, unit.side));
    KVISTA_CHECK(checkUnit(unit, fmt::format("Group {} (layer {}, {})", i, unit.layer, kSides[unit.side])));
  }
  return {};
}

void summarise(const AllocationRequest& request, Allocation& allocation) {
  allocation.requestedBytes = request.budgetBytes;
  allocation.achievedBytes = 0;
  allocation.predictedLoss = 0;
  for (std::size_t i = 0; i < request.units.size(); ++i) {
    allocation.achievedBytes += storedBytes(allocation.widths[i]);
    allocation.predictedLoss += predictedLoss(request.units[i].spectrum, allocation.widths[i]);
  }
  if (allocation.achievedBytes > allocation.requestedBytes)
    allocation.note = fmt::format("Locked groups and smallest ranks alone need {} bytes a token, {} were asked for.",
                                  allocation.achievedBytes, allocation.requestedBytes);
}

Result<Allocation> allocateForLoss(const Allocator& allocator, AllocationRequest request, double allowedPredictedLoss) {
  if (!std::isfinite(allowedPredictedLoss) || allowedPredictedLoss < 0)
    return bad(fmt::format("The allowed loss is {} nats a token; it must be at least 0.", allowedPredictedLoss));
  request.budgetBytes = 0;
  KVISTA_CHECK(checkRequest(request));
  const auto allocate = [&](std::int64_t bytes) {
    request.budgetBytes = bytes;
    return allocator.allocate(request);
  };

  std::int64_t enough = largestBytes(request);
  KVISTA_ASSIGN(Allocation best, allocate(enough));
  if (best.predictedLoss > allowedPredictedLoss)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("A loss of {:.4g} nats a token cannot be reached: these widths lose {:.4g} at {} bytes a token.",
                    allowedPredictedLoss, best.predictedLoss, best.achievedBytes),
        "Allow more loss, larger widths or larger ranks, or unlock groups.");
  std::int64_t tooLittle = -1;
  while (enough - tooLittle > 1) {
    const std::int64_t middle = tooLittle + (enough - tooLittle) / 2;
    KVISTA_ASSIGN(Allocation allocation, allocate(middle));
    if (allocation.predictedLoss <= allowedPredictedLoss) {
      enough = middle;
      best = std::move(allocation);
    } else {
      tooLittle = middle;
    }
  }
  return best;
}

const std::vector<Allocator>& allocators() {
#define KVISTA_ENTRY(name) name##Allocator(),
  static const std::vector<Allocator> kAllocators = {KVISTA_ALLOCATORS(KVISTA_ENTRY)};
  return kAllocators;
}

Result<const Allocator*> findAllocator(std::string_view name) {
  std::string known;
  for (const Allocator& allocator : allocators()) {
    if (allocator.name == name) return &allocator;
    known += fmt::format(" {}", allocator.name);
  }
  return fail(ErrorCode::invalidArgument, fmt::format("There is no allocator '{}'.", name),
              fmt::format("Known allocators:{}.", known));
}

}  // namespace kvista
