// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "core/plan/budget.h"
#include "core/plan/layer_spectra.h"
#include "core/plan/waterline_table.h"

namespace kvista {

/// Spectra as real models have them, for looking at views: every layer one group of keys and values.
class MadeUpModel {
 public:
  MadeUpModel(int layers, int directions, Storage storage);

  void setLevel(double level);
  /// The level at which the cache is this many times smaller.
  [[nodiscard]] double levelFor(double timesSmaller) const;
  [[nodiscard]] double timesSmaller() const;
  [[nodiscard]] const std::vector<LayerSpectra>& spectra() const { return spectra_; }
  [[nodiscard]] const std::vector<BudgetUnit>& units() const { return request_.units; }
  [[nodiscard]] const WaterlineTable& table() const { return table_; }
  [[nodiscard]] const CompressionPlan& plan() const { return plan_; }
  [[nodiscard]] const PlanningContext& context() const { return context_; }
  [[nodiscard]] double level() const { return level_; }

 private:
  AllocationRequest request_;
  CompressionPlan plan_;
  PlanningContext context_;
  WaterlineTable table_;
  LayerOrder order_;
  std::vector<LayerSpectra> spectra_;
  std::vector<std::vector<std::uint8_t>> widths_;
  double level_ = 0;
};

}  // namespace kvista
