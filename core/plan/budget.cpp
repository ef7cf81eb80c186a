// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/amount.h"

namespace kvista {
namespace {

const ResponseCurve* curveOf(const LossModel& model, Storage storage) {
  const auto found = model.response.find(storage);
  return found == model.response.end() ? nullptr : &found->second;
}

/// Locks and the widths of locked groups are the plan's; the rest of a unit is the caller's.
void takeLocks(const CompressionPlan& plan, std::vector<BudgetUnit>& units) {
  for (std::size_t i = 0; i < units.size(); ++i) {
    units[i].locked = plan.groups[i].locked || !storesDirections(plan, plan.groups[i].slots.front().layer);
    units[i].widths = plan.groups[i].widths;
  }
}

Result<Allocation> allocate(const CompressionPlan& plan, std::vector<BudgetUnit> units, const std::vector<int>& widths,
                            const PlanningContext& context) {
  KVISTA_ASSIGN(const Allocator* allocator, findAllocator(plan.allocator));
  const std::int64_t spent = plan.tokenNumbers ? kTokenNumberBytes : 0;
  AllocationRequest request{std::move(units), widths, plan.rankStep, budgetBytes(plan.target, context.shape) - spent};
  if (plan.target.kind != Target::Kind::maxLoss) return allocator->allocate(request);
  const ResponseCurve* curve = curveOf(context.loss, plan.storage);
  const double loss = std::log1p(plan.target.value);
  return allocateForLoss(*allocator, std::move(request), curve ? curve->predictionFor(loss) : loss);
}

void addCostAndCorrection(PlannedPlan& planned, const PlanningContext& context) {
  planned.achievedBytes = bytesPerToken(planned.plan);
  planned.cost = costOf(planned.plan, context.shape, context.device, context.context, context.batch);
  if (const ResponseCurve* curve = curveOf(context.loss, planned.plan.storage); curve && planned.predictedLoss)
    planned.correctedLoss = curve->correct(*planned.predictedLoss);
}

PlannedPlan assessed(CompressionPlan plan, std::optional<double> loss, const PlanningContext& context) {
  PlannedPlan planned;
  planned.requestedBytes = budgetBytes(plan.target, context.shape);
  if (measuresLoss(plan) && context.loss.gradients) planned.predictedLoss = loss;
  planned.plan = std::move(plan);
  addCostAndCorrection(planned, context);
  return planned;
}

/// What an allocator left as it was, in words; empty where nothing is locked.
std::string lockedInWords(const CompressionPlan& plan) {
  std::int64_t bytes = 0;
  int count = 0;
  for (const Group& group : plan.groups)
    if (group.locked && storesDirections(plan, group.slots.front().layer)) {
      bytes += bytesPerToken(plan, group);
      ++count;
    }
  return count == 0 ? std::string() : fmt::format("{} kept {} bytes a token.", amount(count, "locked group"), bytes);
}

}  // namespace

std::optional<double> predictedPerplexity(const LossModel& model, const std::optional<double>& rise) {
  if (!rise || model.baseLoss <= 0) return std::nullopt;
  return std::exp(model.baseLoss + *rise);
}

const std::vector<int>& standardWidths(Storage storage) {
  static const std::vector<int> lowRank = {0, 16}, coded = {0, 1, 2, 3, 4, 6, 8}, plain = {0, 2, 3, 4, 8};
  return storage == Storage::lowRank16 ? lowRank : storage == Storage::coded ? coded : plain;
}

std::int64_t budgetBytes(const Target& target, const ModelShape& shape) {
  const auto full = static_cast<double>(shape.cacheBytesPerToken());
  switch (target.kind) {
    case Target::Kind::share:
    case Target::Kind::keptFraction:
      return static_cast<std::int64_t>(std::floor(full * target.value));
    // More than the whole cache buys nothing; the bound also keeps the conversion defined.
    case Target::Kind::bytesPerToken:
      return static_cast<std::int64_t>(std::min(target.value, full));
    case Target::Kind::maxLoss:
      break;
  }
  return static_cast<std::int64_t>(full);
}

Result<void> checkTarget(const Target& target, Storage storage, bool measuresLoss, const LossModel& loss) {
  const bool relative = target.kind == Target::Kind::share || target.kind == Target::Kind::keptFraction;
  if (!(target.value > 0) || (relative && target.value > 1))
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("A target of {} is not possible; {}.", target.value,
                    relative ? "a share or kept fraction lies above 0 and at most at 1" : "it must be above 0"));
  if (target.kind == Target::Kind::keptFraction && storage != Storage::lowRank16)
    return fail(ErrorCode::invalidArgument, "A kept fraction counts 16-bit numbers, and this plan stores codes.",
                "Give a share, or how many times smaller, instead.");
  if (target.kind == Target::Kind::maxLoss && !(measuresLoss && loss.gradients))
    return fail(
        ErrorCode::invalidArgument,
        "An allowed loss can be kept only where the loss is predicted: with gradients and the Fisher metric as it is.",
        "Calibrate without --no-gradients, leave --metric, --damping and --sink-free out, or give --share.");
  return {};
}

Result<PlannedPlan> allocateBudget(CompressionPlan plan, std::vector<BudgetUnit> units, const std::vector<int>& widths,
                                   const PlanningContext& context) {
  if (plan.storage == Storage::plainQuantised)
    return fail(ErrorCode::invalidArgument,
                "Plain quantisation gives every number the same bits; there is nothing to allocate.",
                "Choose a method with a latent.");
  if (units.size() != plan.groups.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("The plan has {} groups and there are {} spectra.", plan.groups.size(), units.size()));
  KVISTA_CHECK(checkTarget(plan.target, plan.storage, measuresLoss(plan), context.loss));
  takeLocks(plan, units);
  KVISTA_ASSIGN(Allocation allocation, allocate(plan, std::move(units), widths, context));
  PlannedPlan planned;
  planned.plan = std::move(plan);
  for (std::size_t i = 0; i < planned.plan.groups.size(); ++i)
    planned.plan.groups[i].widths = std::move(allocation.widths[i]);
  planned.requestedBytes = allocation.requestedBytes + (planned.plan.tokenNumbers ? kTokenNumberBytes : 0);
  planned.waterline = allocation.waterline;
  planned.note = allocation.note.empty() ? lockedInWords(planned.plan) : std::move(allocation.note);
  if (measuresLoss(planned.plan) && context.loss.gradients) planned.predictedLoss = allocation.predictedLoss;
  addCostAndCorrection(planned, context);
  return planned;
}

PlannedPlan assess(CompressionPlan plan, const std::vector<BudgetUnit>& units, const PlanningContext& context) {
  std::optional<double> loss;
  if (units.size() == plan.groups.size() && !units.empty()) {
    loss = 0;
    for (std::size_t i = 0; i < units.size(); ++i) *loss += predictedLoss(units[i].spectrum, plan.groups[i].widths);
  }
  return assessed(std::move(plan), loss, context);
}

PlannedPlan assessWithLoss(CompressionPlan plan, double predictedLoss, const PlanningContext& context) {
  return assessed(std::move(plan), predictedLoss, context);
}

}  // namespace kvista
