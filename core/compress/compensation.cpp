// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/compensation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mean.h>
#include <fmt/format.h>

#include "core/compress/plan_transform.h"

namespace kvista {
namespace {

/// Of every predicted token of the held-out text under a plan, float64 on the CPU.
Result<at::Tensor> heldOutLosses(const Decoder& decoder, const at::Tensor& ids, const CompressionPlan& plan, const PlanFactors& factors,
                                 const Task& task) {
  const PlanTransform transform(plan, factors, decoder.shape(), decoder.options().device);
  std::vector<at::Tensor> losses;
  for (std::int64_t window = 0; window < ids.size(0); ++window) {
    task.progress(plan.compensated ? "held-out text, compensated" : "held-out text", static_cast<std::uint64_t>(window),
                  static_cast<std::uint64_t>(ids.size(0)), "windows");
    KVISTA_ASSIGN(const at::Tensor some, decoder.tokenLosses(ids.narrow(0, window, 1).to(at::kLong), &transform, task));
    losses.push_back(some.to(at::kDouble).flatten().cpu());
  }
  return at::cat(losses);
}

void addSentence(std::string& note, const std::string& sentence) { note += (note.empty() ? "" : " ") + sentence; }

}  // namespace

Result<void> compensateWhereItHelps(const Decoder& decoder, const Statistics* statistics, PlanWithSpectra& made, const Task& task,
                                    const ProcessGroup& processes) {
  if (!statistics || !statistics->heldOutIds.defined())
    return fail(ErrorCode::invalidArgument,
                statistics ? "Compensation is compared on text that calibration held out, and these statistics hold none."
                           : "Compensation needs statistics of the model.",
                "Calibrate again, without --no-response, on a text of some windows.");
  PlannedPlan& planned = made.planned;
  KVISTA_ASSIGN(const PlanFactors plain, makeFactors(decoder, statistics, planned.plan, task, processes, made.bases));
  KVISTA_ASSIGN(const at::Tensor before, heldOutLosses(decoder, statistics->heldOutIds, planned.plan, plain, task));
  CompressionPlan compensated = planned.plan;
  compensated.compensated = true;
  KVISTA_ASSIGN(PlanFactors factors, makeFactors(decoder, statistics, compensated, task, processes));
  KVISTA_ASSIGN(const at::Tensor after, heldOutLosses(decoder, statistics->heldOutIds, compensated, factors, task));

  const at::Tensor gain = before - after;
  const at::Tensor excess = (gain.mean() - ((gain - gain.mean()).square().mean() / static_cast<double>(gain.numel())).sqrt()).reshape({1});
  KVISTA_CHECK(processes.broadcast(excess, 0, task));  // devices may differ in the last digits, and members must not
  const std::string compared = fmt::format("{:.4f} nats a token on held-out text instead of {:.4f}", after.mean().item<double>(),
                                           before.mean().item<double>());
  if (!(excess.item<double>() > 0)) {
    addSentence(planned.note, fmt::format("Compensation was left out: it does not help here ({}).", compared));
    return {};
  }
  planned.plan = std::move(compensated);
  made.factors = std::move(factors);
  made.bases.clear();
  addSentence(planned.note, fmt::format("Compensated: {}.", compared));
  return {};
}

}  // namespace kvista
