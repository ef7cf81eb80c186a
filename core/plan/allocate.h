// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/plan/spectrum.h"

namespace kvista {

/// One group as an allocator sees it.
struct BudgetUnit {
  Spectrum spectrum;
  int minimumRank = 0;  ///< Directions that get bits at least, in whole steps where that fits.
  int maximumRank = 0;  ///< Directions that may get bits; at most the spectrum's size.
  bool locked = false;
  std::vector<std::uint8_t> widths;  ///< Kept as they are when locked; otherwise ignored.
  double fisherScore = 1.0;          ///< Papers' Fisher score of the unit (only `fisher_uniform` reads it).
  int side = 0;                      ///< 0 keys, 1 values, 2 both: `fisher_uniform` shares out over projections.
  int layer = 0;
};

struct AllocationRequest {
  std::vector<BudgetUnit> units;
  std::vector<int> allowedWidths;  ///< {0, 16} for low rank, {0, 1, 2, 3, 4, 6, 8} for coding; rising, starting at 0.
  /// Directions get their widths in blocks of this many neighbours (the last may be cut by the unit's maximum), so that
  /// the directions of one width come in multiples of it.
  int rankStep = 8;
  std::int64_t budgetBytes = 0;  ///< Bytes a token over all units, padding counted.
};

struct Allocation {
  std::vector<std::vector<std::uint8_t>> widths;  ///< One list a unit, size of its spectrum.
  std::int64_t requestedBytes = 0;
  /// Above requested only for locks and minimums; `note` says so.
  std::int64_t achievedBytes = 0;
  double predictedLoss = 0;  ///< Nats a token when the spectra are in the Fisher metric.
  /// Every block whose gain a bit (for widths {0, 16} its mean eigenvalue) is above this got its bits; 0 where nothing
  /// was left out or where the allocator has no such line.
  double waterline = 0;
  std::string note;  ///< In words: what kept it from the request, empty if nothing did.
};

struct Allocator {
  std::string_view name;
  std::string_view summary;  ///< One line for `kvista list allocators`.
  Result<Allocation> (*allocate)(const AllocationRequest&);
  std::string_view source = {};  ///< Paper or section it comes from.
};

/// Every allocator; a new one is a file beside allocators/waterline.cpp and one line in allocators.cpp.
const std::vector<Allocator>& allocators();
Result<const Allocator*> findAllocator(std::string_view name);

/// The smallest budget, found by bisection, whose allocation is predicted to lose at most `allowedPredictedLoss` nats a
/// token; `request.budgetBytes` is ignored. Fails with the loss that can be reached when that is too much.
Result<Allocation> allocateForLoss(const Allocator& allocator, AllocationRequest request, double allowedPredictedLoss);

/// Mistakes in a request, as every allocator refuses them: sizes, bounds, widths, steps, values that are not finite.
Result<void> checkRequest(const AllocationRequest& request);
/// Fills in achieved bytes, predicted loss and, where the budget was passed, the note, from `widths`.
void summarise(const AllocationRequest& request, Allocation& allocation);

}  // namespace kvista
