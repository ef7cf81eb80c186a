// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "core/plan/allocate.h"

namespace kvista::test {

inline Allocation allocate(std::string_view name, const AllocationRequest& request) {
  const auto result = findAllocator(name).value()->allocate(request);
  EXPECT_TRUE(result) << result.error().message;
  return result.value_or(Allocation{});
}

inline BudgetUnit unitOf(std::vector<double> eigenvalues) {
  BudgetUnit unit;
  unit.maximumRank = static_cast<int>(eigenvalues.size());
  unit.spectrum.eigenvalues = std::move(eigenvalues);
  return unit;
}

/// Falling eigenvalues over several orders of magnitude.
inline BudgetUnit randomUnit(std::mt19937& random, int size) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<double> eigenvalues;
  double value = std::exp(4 * uniform(random));
  for (int i = 0; i < size; ++i) eigenvalues.push_back(value *= 0.3 + 0.7 * uniform(random));
  return unitOf(std::move(eigenvalues));
}

/// Fitted distortions that are neither convex in the width nor alike over directions.
inline void fitAtRandom(std::mt19937& random, BudgetUnit& unit, const std::vector<int>& widths) {
  std::uniform_real_distribution<float> uniform(0.5F, 2.5F);
  unit.spectrum.widths = widths;
  for (std::size_t i = 0; i < unit.spectrum.eigenvalues.size(); ++i)
    for (const int width : widths)
      unit.spectrum.distortion.push_back(
          width == 0 ? 1.0F : std::min(1.0F, static_cast<float>(gaussianDistortion(width)) * uniform(random)));
}

}  // namespace kvista::test
