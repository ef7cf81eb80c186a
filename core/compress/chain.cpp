// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/chain.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/matmul.h>

#include "core/compress/factors.h"
#include "core/compress/method.h"
#include "core/compress/sampled_outputs.h"

namespace kvista {
namespace {

constexpr double kRidge = 1e-3;  // Of the mean energy: directions that are next to empty predict nothing.
constexpr int kTurns = 3;        // Widths hardly change afterwards.

/// P [n, m] with outputs ~ before P^T; `outputs` [rows, n], `before` [rows, m].
at::Tensor regression(const at::Tensor& outputs, const at::Tensor& before) {
  const at::Tensor wide = before.to(at::kDouble);
  at::Tensor energy = at::matmul(wide.t(), wide);
  energy = energy + energy.diagonal().mean() * kRidge * at::eye(energy.size(0), energy.options());
  return at::linalg_solve(energy, at::matmul(wide.t(), outputs.to(at::kDouble))).t().to(at::kFloat).contiguous();
}

at::Tensor decoded(const at::Tensor& rest, const GroupFactors& factors) {
  return factors.isIdentity() ? rest : rebuiltFrom(codeAndDecode(latentOf(rest, factors), factors), factors);
}

}  // namespace

Result<std::vector<GroupBasis>> chainedBases(const Decoder& decoder, const Statistics& statistics, const CompressionPlan& plan, const Task& task) {
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  const int layers = decoder.shape().layers;
  std::vector<const Group*> groups(static_cast<std::size_t>(layers));
  std::vector<GroupBasis> bases(plan.groups.size());
  for (const Group& group : plan.groups) groups[static_cast<std::size_t>(group.slots.front().layer)] = &group;
  at::Tensor before;
  for (int layer = 0; layer < layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    task.progress("chain", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(layers), "layers");
    const Group& group = *groups[static_cast<std::size_t>(layer)];
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, &statistics, layer, basisRequestOf(plan, *method)));
    const at::Tensor outputs = sampledOutputs(decoder, statistics, layer, KeyPosition::beforeRope);
    GroupBasis& basis = bases[static_cast<std::size_t>(&group - plan.groups.data())];
    if (!isPredicted(plan, layer)) {
      KVISTA_ASSIGN(basis, moments.decompose(group.slots));
      before = decoded(outputs, factorsOf(basis, group));
      continue;
    }
    const at::Tensor prediction = regression(outputs, before), foreseen = at::matmul(before, prediction.t());
    KVISTA_ASSIGN(basis, moments.decomposeRest(group.slots, outputs - foreseen));
    basis.prediction = prediction;
    before = decoded(outputs - foreseen, factorsOf(basis, group)) + foreseen;
  }
  return bases;
}

Result<PlannedPlan> allocateChain(const Decoder& decoder, const Statistics& statistics, CompressionPlan plan, std::vector<BudgetUnit>& units,
                                  const PlanningContext& context, const Task& task) {
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
