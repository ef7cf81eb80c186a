// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/measure_response.h"

#include <fmt/format.h>

#include <array>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/evaluate/perplexity.h"

namespace kvista {
namespace {

struct Probe {
  const char* method;
  double share;
};
/// Where second order begins to err, on either side of it (methods.md sections 2 and 10).
constexpr std::array<Probe, 6> kProbes = {
    {{"coded", 1.0 / 8}, {"coded", 1.0 / 12}, {"coded", 1.0 / 20}, {"joint", 0.5}, {"joint", 0.35}, {"joint", 0.2}}};

/// Below this rise, nats a token, a held-out slice measures noise; and a measurement that differs more than this from
/// its prediction says that the slice is too short, not that the prediction is wrong.
constexpr double kSmallestRise = 1e-4;
constexpr double kLargestRatio = 5;

bool isBelievable(const ResponsePoint& point) {
  return point.predicted >= kSmallestRise && point.measured > point.predicted / kLargestRatio &&
         point.measured < point.predicted * kLargestRatio;
}

}  // namespace

Result<void> measureResponse(const Decoder& decoder, Statistics& statistics, const at::Tensor& heldOut,
                             const Task& task, const ProcessGroup& processes) {
  KVISTA_ASSIGN(const Perplexity base, measurePerplexity(decoder, heldOut, nullptr, "held-out text", task, processes));
  std::map<Storage, std::vector<ResponsePoint>> points;
  for (const Probe& probe : kProbes) {
    PlanRequest request;
    request.method = probe.method;
    request.target = {Target::Kind::share, probe.share};
    request.keepBases = true;
    KVISTA_ASSIGN(const PlanWithSpectra made, makePlan(decoder, &statistics, request, task, processes));
    const PlannedPlan& planned = made.planned;
    KVISTA_ASSIGN(const PlanFactors factors, makeFactors(decoder, &statistics, made, task, processes));
    const PlanTransform transform(planned.plan, factors, decoder.shape(), decoder.options().device);
    KVISTA_ASSIGN(const Perplexity measured,
                  measurePerplexity(decoder, heldOut, &transform,
                                    fmt::format("{} at {:.3g}", probe.method, probe.share), task, processes));
    std::vector<ResponsePoint>& list = points[planned.plan.storage];
    const ResponsePoint point{*planned.predictedLoss, measured.meanLoss - base.meanLoss};
    if (isBelievable(point)) list.push_back(point);
  }
  statistics.heldOutLoss = base.meanLoss;
  statistics.response.clear();
  for (auto& [storage, list] : points) statistics.response.emplace(storage, ResponseCurve(std::move(list)));
  return {};
}

}  // namespace kvista
