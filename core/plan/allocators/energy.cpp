// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/plan/allocate.h"
#include "core/plan/common_level.h"

namespace kvista {

namespace {

/// Every unit loses at most the part eps^2 of its energy, the sum of its eigenvalues; eps is the smallest that the
/// budget allows. With widths {0, 16} a unit has the smallest rank whose tail is that small.
Result<Allocation> allocate(const AllocationRequest& request) {
  KVISTA_CHECK(checkRequest(request));
  std::vector<double> energies;
  for (const BudgetUnit& unit : request.units) {
    double energy = 0;
    for (const double eigenvalue : unit.spectrum.eigenvalues) energy += std::max(eigenvalue, 0.0);
    energies.push_back(energy > 0 ? energy : 1.0);
  }
  return allocateToCommonLevel(request, energies);
}

}  // namespace

Allocator energyAllocator() {
  return {"energy", "Every group loses the same part of its energy at most, the smallest that the budget allows.",
          allocate, "KQ-SVD, rank rule; Eigen Attention"};
}

}  // namespace kvista
