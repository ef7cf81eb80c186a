// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/factors.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// Training of a plan's factors alone (methods.md section 12). The defaults are those that its figures were made with.
struct RefineRequest {
  int steps = 300;
  /// Ends after this long and lowers the rate by the time gone instead of the steps done; absent: `steps` decides.
  std::optional<double> minutes;
  int windowsPerStep = 4;
  double rate = 3e-4;  ///< AdamW's, after `warmUpSteps`; falls along a cosine to `finalRate` of it.
  int warmUpSteps = 20;
  double finalRate = 0.05;
  double largestGradient = 1.0;  ///< Gradients of a larger norm over all factors together are scaled down to it.
  std::uint64_t seed = 0;        ///< Of the order of the windows, and of the ranks drawn.
  /// Each step computes with the first directions of every group only, as many as are drawn for it: the factors then
  /// serve smaller ranks too (after MatryoshkaKV).
  bool nested = false;
  /// State of an unfinished run, written every `saveEverySeconds`; a run of the same `key` goes on from it. Empty:
  /// none.
  std::filesystem::path partialFile;
  int saveEverySeconds = 30;
  std::string key;  ///< Names model, plan and texts for partialFile.
  /// Who stops the run gets the best so far, once there is something better than the factors given, instead of
  /// `cancelled`.
  bool keepsBestWhenStopped = false;
  bool operator==(const RefineRequest&) const = default;
};

/// One point of the loss curve: mean KL(original || compressed) a token, nats.
struct RefinePoint {
  int step = 0;                   ///< Steps done.
  double training = 0;            ///< Of this step's windows, before the step.
  std::optional<double> heldOut;  ///< Of the held-out windows, where they were looked at.
  bool operator==(const RefinePoint&) const = default;
};

struct RefineResult {
  PlanFactors factors;  ///< The best on the held-out windows, on the CPU; those given where nothing was better.
  std::vector<RefinePoint> curve;
  double heldOutBefore = 0, heldOutAfter = 0;
  int steps = 0;      ///< Done.
  int bestStep = 0;   ///< Where `factors` are from; 0: those given.
  std::string ended;  ///< Why it ended, in words.
  double seconds = 0;
};

/// How many of so many windows, of `window` tokens, are held out: enough to tell better from worse, few of those there
/// are.
std::int64_t heldOutWindows(std::int64_t windows, std::int64_t window);

/// Trains `factors` of `plan` so that the compressed model's next-token distributions come close to the original's,
/// over `windows`, int64 [windows, tokens]; `heldOut` alike, seen by no step, decides what is kept and when to end.
/// Ranks, widths, groups and bytes stay. The same request gives the same numbers on the same device. `watch` (may be
/// empty) sees every point of the curve as it comes. A loss that is no longer finite ends the run with the best so far.
/// The `processes` of a group share the windows of each step and the held-out ones, and average their gradients; the
/// first keeps the partial file and the time. Errors: invalidArgument (a plan without factors), outOfMemory, device, io
/// (the partial file), cancelled.
Result<RefineResult> refine(const Decoder& decoder, const CompressionPlan& plan, const PlanFactors& factors,
                            const at::Tensor& windows, const at::Tensor& heldOut, const RefineRequest& request,
                            const std::function<void(const RefinePoint&)>& watch, const Task& task,
                            const ProcessGroup& processes = {});

}  // namespace kvista
