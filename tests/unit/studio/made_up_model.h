// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/plan/allocate.h"
#include "core/plan/plan_groups.h"
#include "core/protocol/records.h"

namespace kvista::test {

inline ModelRecord madeUpModel(int layers = 3, int heads = 4, int width = 8) {
  ModelRecord model;
  model.path = "/models/made-up";
  model.hash = "00112233445566aa";
  model.shape = {"llama", layers, 2 * heads, heads, width, width, heads * width, 100, 1'000'000};
  return model;
}

/// Models to compare with, told apart by the names of their files: deeper, with more heads, or of the same form.
inline ModelRecord madeUpModelAt(const std::string& path) {
  const bool deeper = path.find("deeper") != std::string::npos, wider = path.find("wider") != std::string::npos;
  ModelRecord model = madeUpModel(deeper ? 5 : 3, wider ? 6 : 4);
  if (deeper || wider) model.hash = deeper ? "deeper" : "wider";
  model.path = path;
  return model;
}

inline StatisticsRecord madeUpStatistics() {
  StatisticsRecord statistics;
  statistics.path = "/models/made-up.kvstats";
  statistics.modelHash = madeUpModel().hash;
  statistics.tokensHash = "bb";
  statistics.tokens = 1000;
  statistics.loss.baseLoss = 3;
  statistics.loss.gradients = true;
  return statistics;
}

/// How alike the heads are said to be: the less, the further apart, and a little less in later layers and deeper
/// models. Keys and values of every layer.
inline std::vector<SimilarityRecord> madeUpSimilarities(const ModelShape& shape) {
  std::vector<SimilarityRecord> records;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (const Side side : {Side::key, Side::value}) {
      SimilarityRecord record{layer, side, {shape.kvHeads, shape.kvHeads, {}}};
      for (int row = 0; row < shape.kvHeads; ++row)
        for (int column = 0; column < shape.kvHeads; ++column)
          record.matrix.values.push_back(
              std::exp(-(0.14F + 0.02F * static_cast<float>(shape.layers) + 0.01F * static_cast<float>(layer)) *
                       static_cast<float>(std::abs(row - column))));
      records.push_back(std::move(record));
    }
  return records;
}

/// Spectra that depend on a group's heads alone, whatever their order: falling, and different for each set of heads.
inline std::vector<BudgetUnit> madeUpSpectra(const CompressionPlan& plan) {
  std::vector<BudgetUnit> units;
  for (const Group& group : plan.groups) {
    double scale = 0;
    for (const Slot& slot : group.slots)
      scale += 1 + 2.5 * slot.head + 0.11 * slot.layer + (slot.side == Side::value ? 0.05 : 0);
    BudgetUnit unit;
    for (std::size_t i = 0; i < group.widths.size(); ++i)
      unit.spectrum.eigenvalues.push_back(
          0.01 * scale * std::exp(-0.8 * static_cast<double>(i) / static_cast<double>(group.slots.size())));
    unit.maximumRank = static_cast<int>(group.widths.size());
    unit.side = group.slots.front().side == Side::key ? 0 : 1;
    unit.layer = group.slots.front().layer;
    units.push_back(std::move(unit));
  }
  return units;
}

inline std::string bytesOf(const CompressionPlan& plan) { return toJson(plan).dump(); }

}  // namespace kvista::test
