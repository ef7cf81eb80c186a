// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "app/cli/console.h"
#include "core/compress/planner.h"

namespace kvista {

/// Method and target as options of a verb; 0 or empty: not given.
struct PlanSettings {
  std::string method = "coded";
  double share = 0, timesSmaller = 0, bytesPerToken = 0, keep = 0;
  std::string maxLoss;
  int rankStep = 0, groupSize = 0, minimumRank = 0, maximumRank = 0;
  std::string grouping, measure, allocator, metric;
  double damping = 0, eps = 0;
  bool sinkFree = false, centred = false, compensate = false, unwhitened = false, uncalibrated = false;
  int chain = 0;
  std::optional<bool> trellis, tokenNumbers;
  std::string sharing;  ///< File of a map of layers.
  std::string profile = deviceProfiles().front().name;
  std::int64_t context = 16384, batch = 1;
};
void addPlanOptions(CLI::App* verb, PlanSettings& settings);
/// Refuses more than one target; `usual` is taken where none was given.
Result<PlanRequest> requestOf(const PlanSettings& settings, const Target& usual);

/// The plan's figures for people and for programs. `baseLoss`: mean nats a token of the uncompressed model, 0: unknown.
Output describePlan(const PlannedPlan& planned, const ModelShape& shape, double baseLoss, const std::string& device);

}  // namespace kvista
