// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/chain.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>

#include <array>
#include <limits>
#include <optional>
#include <tuple>

#include "core/compress/factors.h"
#include "core/compress/method.h"
#include "core/compress/sampled_outputs.h"

namespace kvista {
namespace {

constexpr std::array<double, 6> kRidges = {1e-4, 1e-3, 1e-2, 0.1, 1, 10};  // Of the mean energy.
constexpr std::int64_t kHeldOut = 4;                                       // Every fourth row.
constexpr int kTurns = 3;                                                  // Widths hardly change afterwards.

/// Ridge regression of `outputs` [rows, n] on `before` [rows, m], which few rows for each direction would fit too well
/// without.
struct Regression {
  at::Tensor directions, energies,
      projected;  // of before^T before, [m, m] and [m]; directions^T before^T outputs, [m, n]

  Regression(const at::Tensor& before, const at::Tensor& outputs) {
    std::tie(energies, directions) = at::linalg_eigh(at::matmul(before.t(), before));
    projected = at::matmul(directions.t(), at::matmul(before.t(), outputs));
  }
  /// Coefficients in `directions`, [m, n].
  [[nodiscard]] at::Tensor solve(double ridge) const {
    const at::Tensor kept = energies.clamp_min(0);
    return projected / (kept + kept.mean() * ridge).clamp_min(std::numeric_limits<double>::min()).unsqueeze(1);
  }
};

/// P [n, m] with outputs ~ before P^T; `outputs` [rows, n], `before` [rows, m]. Of kRidges the one that leaves least of
/// rows it has not seen, in the metric of the layer's heads.
at::Tensor predictionOf(const at::Tensor& outputs, const at::Tensor& before, const LayerMoments& moments,
                        const Group& group, const ModelShape& shape) {
  const at::Tensor x = before.to(at::kDouble), y = outputs.to(at::kDouble);
  const at::Tensor isHeldOut =
      at::arange(x.size(0), at::TensorOptions(at::kLong).device(x.device())).remainder(kHeldOut).eq(0);
  const auto rows = [](const at::Tensor& of, const at::Tensor& chosen) {
    return of.index_select(0, chosen.nonzero().squeeze(1));
  };
  const Regression seen(rows(x, isHeldOut.logical_not()), rows(y, isHeldOut.logical_not()));
  const at::Tensor heldOut = at::matmul(rows(x, isHeldOut), seen.directions), expected = rows(y, isHeldOut);
  double least = std::numeric_limits<double>::infinity(), best = kRidges.back();
  for (const double ridge : kRidges) {
    const at::Tensor rest = expected - at::matmul(heldOut, seen.solve(ridge));
    double left = 0;
    std::int64_t begin = 0;
    for (const Slot& slot : group.slots) {
      const at::Tensor own = rest.narrow(1, begin, slotWidth(slot, shape));
      const at::Tensor metric = moments.metricOf(slot), energy = at::matmul(own.t(), own);
      left += (metric.defined() ? (metric * energy).sum() : energy.trace()).item<double>();
      begin += slotWidth(slot, shape);
    }
    if (left < least) least = left, best = ridge;
  }
  const Regression all(x, y);
  return at::matmul(all.directions, all.solve(best)).t().to(at::kFloat).contiguous();
}

at::Tensor decoded(const at::Tensor& rest, const GroupFactors& factors) {
  return factors.isIdentity() ? rest : rebuiltFrom(codeAndDecode(latentOf(rest, factors), factors), factors);
}

}  // namespace

Result<std::vector<GroupBasis>> chainedBases(const Decoder& decoder, const Statistics& statistics,
                                             const CompressionPlan& plan, const Task& task) {
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  const int layers = decoder.shape().layers;
  std::vector<const Group*> groups(static_cast<std::size_t>(layers));
  std::vector<GroupBasis> bases(plan.groups.size());
  for (const Group& group : plan.groups) groups[static_cast<std::size_t>(group.slots.front().layer)] = &group;
  at::Tensor first, last;  // decoded outputs of the first layer and of the one before
  for (int layer = 0; layer < layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    task.progress("chain", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(layers), "layers");
    const Group& group = *groups[static_cast<std::size_t>(layer)];
    KVISTA_ASSIGN(const LayerMoments moments,
                  LayerMoments::of(decoder, &statistics, layer, basisRequestOf(plan, *method)));
    const at::Tensor outputs = sampledOutputs(decoder, statistics, layer, KeyPosition::beforeRope);
    GroupBasis& basis = bases[static_cast<std::size_t>(&group - plan.groups.data())];
    const std::optional<int> from = predictedFrom(plan, layer);
    if (!from) {
      KVISTA_ASSIGN(basis, moments.decompose(group.slots));
      if (storesTokenNumbers(plan, layer)) basis.spectrum = nothingLost(basis.spectrum);
      last = storesTokenNumbers(plan, layer) ? outputs : decoded(outputs, factorsOf(basis, group));
      if (layer == 0) first = last;
      continue;
    }
    const at::Tensor& before = *from == layer - 1 ? last : first;
    const at::Tensor prediction = predictionOf(outputs, before, moments, group, decoder.shape()),
                     foreseen = at::matmul(before, prediction.t());
    KVISTA_ASSIGN(basis, moments.decomposeRest(group.slots, outputs - foreseen));
    basis.prediction = prediction;
    last = decoded(outputs - foreseen, factorsOf(basis, group)) + foreseen;
  }
  return bases;
}

Result<PlannedPlan> allocateChain(const Decoder& decoder, const Statistics& statistics, CompressionPlan plan,
                                  std::vector<BudgetUnit>& units, const PlanningContext& context, const Task& task) {
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  PlannedPlan planned;
  for (int turn = 0; turn < kTurns; ++turn) {
    KVISTA_ASSIGN(std::vector<GroupBasis> bases, chainedBases(decoder, statistics, plan, task));
    for (std::size_t i = 0; i < bases.size(); ++i) units[i].spectrum = std::move(bases[i].spectrum);
    KVISTA_ASSIGN(planned, allocateBudget(plan, units, method->widths, context));
    plan = planned.plan;
  }
  return planned;
}

}  // namespace kvista
