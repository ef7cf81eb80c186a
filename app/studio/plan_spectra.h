// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "app/studio/spectrum_cache.h"
#include "core/plan/allocate.h"
#include "core/plan/plan.h"

namespace kvista {

/// The spectra of a plan's groups, as far as they are known, and what the plan's widths lose of them.
class PlanSpectra {
 public:
  /// Follows a change of the plan; groups that it had before get their spectra back.
  void follow(const CompressionPlan& plan);
  /// Spectra of groups of `plan`; empty ones are skipped. Returns whether the plan followed got any that it lacked.
  bool add(const CompressionPlan& plan, std::vector<BudgetUnit> units);
  /// They were of other statistics.
  void forget();

  /// One a group; empty where not known.
  [[nodiscard]] const std::vector<BudgetUnit>& units() const { return units_; }
  [[nodiscard]] bool isKnown(std::size_t group) const { return !units_[group].spectrum.eigenvalues.empty(); }
  [[nodiscard]] bool isComplete() const { return unknown_ == 0; }
  /// Half of what each group's widths lose: nats a token in the Fisher metric; NaN where not known.
  [[nodiscard]] const std::vector<double>& losses() const { return losses_; }
  [[nodiscard]] double loss() const;

 private:
  bool fill(const CompressionPlan& plan);
  SpectrumCache cache_;
  CompressionPlan plan_;  // The one followed.
  std::vector<BudgetUnit> units_;
  std::vector<double> losses_;
  std::size_t unknown_ = 0;
};

}  // namespace kvista
