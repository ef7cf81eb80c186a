// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/compensation.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/compress/plan_transform.h"

namespace kvista {
namespace {

/// Mean of each window of the held-out text under a plan, nats a predicted token.
Result<std::vector<double>> heldOutLosses(const Decoder& decoder, const at::Tensor& ids, const CompressionPlan& plan,
                                          const PlanFactors& factors, const Task& task) {
  const PlanTransform transform(plan, factors, decoder.shape(), decoder.options().device);
  std::vector<double> losses;
  for (std::int64_t window = 0; window < ids.size(0); ++window) {
    task.progress(plan.compensated ? "held-out text, compensated" : "held-out text", static_cast<std::uint64_t>(window),
                  static_cast<std::uint64_t>(ids.size(0)), "windows");
    KVISTA_ASSIGN(const at::Tensor some, decoder.tokenLosses(ids.narrow(0, window, 1).to(at::kLong), &transform, task));
    losses.push_back(some.to(at::kDouble).mean().item<double>());
  }
  return losses;
}

double meanOf(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
}

void addSentence(std::string& note, const std::string& sentence) { note += (note.empty() ? "" : " ") + sentence; }

}  // namespace

bool isBeyondChance(const std::vector<double>& gains) {
  if (gains.size() < 2) return false;
  const double mean = meanOf(gains), freedom = static_cast<double>(gains.size()) - 1;
  const double squares = std::accumulate(gains.begin(), gains.end(), 0.0,
                                         [&](double sum, double gain) { return sum + (gain - mean) * (gain - mean); });
  const double error = std::sqrt(squares / freedom / static_cast<double>(gains.size()));
  // Student's quantile from the normal one (Fisher and Cornish, 1960).
  constexpr double z = 1.6448536269514722, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  const double quantile = z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom * freedom) +
                          (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * freedom * freedom * freedom);
  return mean > quantile * error && mean > 0;
}

Result<void> compensateWhereItHelps(const Decoder& decoder, const Statistics* statistics, PlanWithSpectra& made,
                                    const Task& task, const ProcessGroup& processes) {
  if (!statistics || !statistics->heldOutIds.defined())
    return fail(ErrorCode::invalidArgument,
                statistics
                    ? "Compensation is compared on text that calibration held out, and these statistics hold none."
                    : "Compensation needs statistics of the model.",
                "Calibrate again, without --no-response, on a text of some windows.");
  PlannedPlan& planned = made.planned;
  KVISTA_ASSIGN(const PlanFactors plain, makeFactors(decoder, statistics, planned.plan, task, processes, made.bases));
  KVISTA_ASSIGN(const std::vector<double> before,
                heldOutLosses(decoder, statistics->heldOutIds, planned.plan, plain, task));
  CompressionPlan compensated = planned.plan;
  compensated.compensated = true;
  KVISTA_ASSIGN(PlanFactors factors, makeFactors(decoder, statistics, compensated, task, processes));
  KVISTA_ASSIGN(const std::vector<double> after,
                heldOutLosses(decoder, statistics->heldOutIds, compensated, factors, task));

  std::vector<double> gains(before.size());
  std::ranges::transform(before, after, gains.begin(), std::minus{});
  const at::Tensor helps = at::tensor({isBeyondChance(gains) ? 1.0 : 0.0}, at::kDouble);
  KVISTA_CHECK(processes.broadcast(helps, 0, task));  // devices may differ in the last digits, and members must not
  const std::string compared =
      fmt::format("{:.4f} nats a token on held-out text instead of {:.4f}", meanOf(after), meanOf(before));
  if (helps.item<double>() == 0) {
    addSentence(planned.note, fmt::format("Compensation was left out: it does not help here{} ({}).",
                                          meanOf(gains) > 0 ? " beyond chance" : "", compared));
    return {};
  }
  planned.plan = std::move(compensated);
  made.factors = std::move(factors);
  made.bases.clear();
  addSentence(planned.note, fmt::format("Compensated: {}.", compared));
  return {};
}

}  // namespace kvista
