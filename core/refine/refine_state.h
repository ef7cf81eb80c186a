// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/distributed/process_group.h"
#include "core/refine/refine.h"
#include "core/refine/trainable_factors.h"

namespace kvista {

/// Where a run of `refine` stands.
struct RefineState {
  int steps = 0, bestStep = 0, looksSinceBest = 0;
  double before = 0, after = 0;  ///< Held-out divergence of the factors given and of `best`.
  double seconds = 0;
  std::vector<RefinePoint> curve;
  PlanFactors best;
};

/// Written atomically.
Result<void> save(const RefineState& state, TrainableFactors& trained, const std::filesystem::path& file,
                  const std::string& key);
/// All of `processes` go on from where the first stands, and from its factors; `best` and `curve` remain its own.
Result<void> share(RefineState& state, TrainableFactors& trained, const ProcessGroup& processes, const Task& task);
/// Takes up a run that was cut off. A file of another run, or a damaged one, is no reason to fail: the run starts anew.
void restore(RefineState& state, TrainableFactors& trained, const std::filesystem::path& file, const std::string& key);

}  // namespace kvista
