// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/planner.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/compress/basis.h"
#include "core/compress/layouts.h"
#include "core/plan/allocate.h"
#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

/// The method with the request's changes put in.
struct Settings {
  Method method;
  int rankStep = 8;
};

Result<Settings> settingsOf(const PlanRequest& request) {
  KVISTA_ASSIGN(const Method* preset, findMethod(request.method));
  Settings settings{*preset, request.rankStep.value_or(preset->rankStep)};
  if (request.grouping) settings.method.grouping = *request.grouping;
  if (request.groupSize) settings.method.groupSize = *request.groupSize;
  if (request.allocator) settings.method.allocator = *request.allocator;
  if (request.metric) settings.method.metric = *request.metric;
  if (settings.rankStep < 1)
    return fail(ErrorCode::invalidArgument, fmt::format("A rank step of {} is not possible; it must be at least 1.", settings.rankStep));
  if (settings.method.groupSize < 1)
    return fail(ErrorCode::invalidArgument, fmt::format("A group of {} heads is not possible.", settings.method.groupSize));
  return settings;
}

Result<void> checkStatistics(const Decoder& decoder, const Statistics* statistics, const Method& method) {
  if (method.weightsOnly) return {};
  if (!statistics)
    return fail(ErrorCode::invalidArgument, fmt::format("The method {} needs statistics of the model.", method.name),
                "Give --stats FILE, made by `kvista calibrate`.");
  ModelShape known = statistics->shape;
  known.parameters = decoder.shape().parameters;  // counted differently where a head is tied
  if (known != decoder.shape())
    return fail(ErrorCode::invalidArgument,
                fmt::format("The statistics are of a {} model with {} layers and {} KV heads of {}; this one is {} with {} and {} of {}.",
                            known.family, known.layers, known.kvHeads, known.headDim, decoder.shape().family, decoder.shape().layers,
                            decoder.shape().kvHeads, decoder.shape().headDim),
                "Calibrate this model.");
  return {};
}

int sideOf(const Group& group) {
  const bool keys = std::ranges::any_of(group.slots, [](const Slot& slot) { return slot.side == Side::key; });
  const bool values = std::ranges::any_of(group.slots, [](const Slot& slot) { return slot.side == Side::value; });
  return keys && values ? 2 : values ? 1 : 0;
}

std::int64_t budgetOf(const Target& target, const ModelShape& shape) {
  const auto full = static_cast<double>(shape.cacheBytesPerToken());
  switch (target.kind) {
    case Target::Kind::share:
    case Target::Kind::keptFraction: return static_cast<std::int64_t>(std::floor(full * target.value));
    case Target::Kind::bytesPerToken: return static_cast<std::int64_t>(target.value);
    case Target::Kind::maxLoss: return static_cast<std::int64_t>(full);
  }
  return static_cast<std::int64_t>(full);
}

Result<void> checkTarget(const Target& target, const Method& method, const Statistics* statistics) {
  const bool relative = target.kind == Target::Kind::share || target.kind == Target::Kind::keptFraction;
  if (!(target.value > 0) || (relative && target.value > 1))
    return fail(ErrorCode::invalidArgument,
                fmt::format("A target of {} is not possible; {}.", target.value,
                            relative ? "a share or kept fraction lies above 0 and at most at 1" : "it must be above 0"));
  if (target.kind == Target::Kind::keptFraction && method.storage != Storage::lowRank16)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A kept fraction counts 16-bit numbers, which the method {} does not store.", method.name),
                "Give --share or --times-smaller instead.");
  if (target.kind == Target::Kind::maxLoss && (!statistics || !statistics->gradients || method.metric != Metric::fisher))
    return fail(ErrorCode::invalidArgument, "An allowed loss can be kept only where the loss is predicted: with gradients and the Fisher metric.",
                "Calibrate without --no-gradients, choose a method with the Fisher metric, or give --share.");
  return {};
}

const ResponseCurve* curveOf(const Statistics* statistics, Storage storage) {
  if (!statistics) return nullptr;
  const auto found = statistics->response.find(storage);
  return found == statistics->response.end() ? nullptr : &found->second;
}

/// The most bits that fit the budget, scales and zeros counted.
Result<void> planPlainQuantised(const ModelShape& shape, std::int64_t budget, const Method& method, CompressionPlan& plan) {
  plan.groups = singleSlots(shape);
  for (auto bits = method.widths.rbegin(); bits != method.widths.rend() && *bits > 0; ++bits) {
    for (Group& group : plan.groups) std::ranges::fill(group.widths, static_cast<std::uint8_t>(*bits));
    if (bytesPerToken(plan) <= budget) return {};
  }
  return fail(ErrorCode::invalidArgument,
              fmt::format("Plain quantisation needs at least {} bytes a token for 2 bits with scales; {} were given.", bytesPerToken(plan),
                          budget),
              "Give a larger share, or a method with a latent.");
}

/// Groups of every layer with their spectra, as the allocators want them.
struct LaidOut {
  std::vector<Group> groups;
  std::vector<BudgetUnit> units;
};

Result<LaidOut> layOutModel(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan, const Method& method,
                            std::string_view grouping, int groupSize, const std::vector<Group>* manual, const Task& task) {
  const ModelShape& shape = decoder.shape();
  LaidOut result;
  for (int layer = 0; layer < shape.layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    task.progress("plan", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(shape.layers), "layers");
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, method)));
    std::vector<Group> groups;
    if (manual) {
      std::ranges::copy_if(*manual, std::back_inserter(groups), [&](const Group& group) { return group.slots.front().layer == layer; });
    } else {
      KVISTA_ASSIGN(groups, layOut({shape, layer, grouping, groupSize, moments.covariance()}));
    }
    for (Group& group : groups) {
      KVISTA_CHECK(task.checkStop());
      if (plan.keyPosition == KeyPosition::afterRope && sideOf(group) != 1 && group.slots.size() > 1)
        return fail(ErrorCode::invalidArgument,
                    fmt::format("The method {} compresses keys after RoPE, where each key head needs a latent of its own; a group has {} heads.",
                                method.name, group.slots.size()),
                    "Use --grouping head, or a method that compresses keys before RoPE.");
      BudgetUnit unit;
      KVISTA_ASSIGN(GroupBasis basis, moments.decompose(group.slots));
      unit.spectrum = std::move(basis.spectrum);
      unit.maximumRank = static_cast<int>(group.widths.size());
      unit.locked = group.locked;
      unit.widths = group.widths;
      unit.side = sideOf(group);
      unit.layer = layer;
      if (statistics && statistics->gradients) {
        const LayerStatistics& sums = statistics->layers[static_cast<std::size_t>(layer)];
        unit.fisherScore = unit.side == 0   ? sums.keyFisherScore
                           : unit.side == 1 ? sums.valueFisherScore
                                            : sums.keyFisherScore + sums.valueFisherScore;
      }
      result.groups.push_back(std::move(group));
      result.units.push_back(std::move(unit));
    }
  }
  return result;
}

Result<Allocation> allocate(const Method& method, int rankStep, const Target& target, const Statistics* statistics,
                            const ModelShape& shape, const std::vector<BudgetUnit>& units) {
  KVISTA_ASSIGN(const Allocator* allocator, findAllocator(method.allocator));
  AllocationRequest request{units, method.widths, rankStep, budgetOf(target, shape)};
  if (target.kind == Target::Kind::maxLoss) {
    const ResponseCurve* curve = curveOf(statistics, method.storage);
    const double loss = std::log1p(target.value);
    return allocateForLoss(*allocator, std::move(request), curve ? curve->predictionFor(loss) : loss);
  }
  return allocator->allocate(request);
}

}  // namespace

Result<PlannedPlan> makePlan(const Decoder& decoder, const Statistics* statistics, const PlanRequest& request, const Task& task) {
  KVISTA_ASSIGN(const Settings settings, settingsOf(request));
  const Method& method = settings.method;
  const ModelShape& shape = decoder.shape();
  KVISTA_CHECK(checkStatistics(decoder, statistics, method));
  KVISTA_CHECK(checkTarget(request.target, method, statistics));
  KVISTA_ASSIGN(const DeviceProfile* device, findDeviceProfile(request.device));

  if (request.manual)
    if (const auto problems = validate(*request.manual, shape); !problems.empty())
      return fail(ErrorCode::invalidArgument, "The groups to keep do not fit the model: " + problems.front());

  PlannedPlan result;
  CompressionPlan& plan = result.plan;
  plan.method = method.name;
  plan.grouping = method.grouping;
  plan.allocator = method.allocator;
  plan.metric = method.metric;
  plan.keyPosition = method.keyPosition;
  plan.storage = method.storage;
  plan.rankStep = settings.rankStep;
  plan.exactTokens = method.exactTokens;
  plan.target = request.target;
  if (method.storage == Storage::plainQuantised) {
    result.requestedBytes = budgetOf(request.target, shape);
    KVISTA_CHECK(planPlainQuantised(shape, result.requestedBytes, method, plan));
  } else {
    const bool automatic = method.grouping == "auto" && !request.manual;
    for (int groupSize = automatic ? shape.kvHeads : method.groupSize;; groupSize = (groupSize + 1) / 2) {
      const bool whole = method.grouping == "joint" && !request.groupSize;
      KVISTA_ASSIGN(LaidOut laidOut,
                    layOutModel(decoder, statistics, plan, method, automatic ? "joint" : method.grouping, whole ? 0 : groupSize,
                                request.manual ? &request.manual->groups : nullptr, task));
      KVISTA_ASSIGN(Allocation allocation,
                    allocate(method, settings.rankStep, request.target, statistics, shape, laidOut.units));
      plan.groups = std::move(laidOut.groups);
      for (std::size_t i = 0; i < plan.groups.size(); ++i) plan.groups[i].widths = std::move(allocation.widths[i]);
      result.requestedBytes = allocation.requestedBytes;
      result.waterline = allocation.waterline;
      result.note = allocation.note;
      if (method.metric == Metric::fisher) result.predictedLoss = allocation.predictedLoss;
      if (!automatic || groupSize == 1 || affordable(plan, shape, *device, request.context, request.batch)) break;
    }
  }
  if (const auto problems = validate(plan, shape); !problems.empty())
    return fail(ErrorCode::internal, fmt::format("The plan made by {} is not sound: {}", method.name, problems.front()));

  result.achievedBytes = bytesPerToken(plan);
  result.cost = costOf(plan, shape, *device, request.context, request.batch);
  const bool predictable = statistics && statistics->gradients && plan.storage != Storage::plainQuantised;
  if (!result.predictedLoss && predictable) {
    KVISTA_ASSIGN(const PlanFactors factors, makeFactors(decoder, statistics, plan, task));
    KVISTA_ASSIGN(result.predictedLoss, predictLoss(decoder, *statistics, plan, factors, task));
  }
  if (const ResponseCurve* curve = curveOf(statistics, plan.storage); curve && result.predictedLoss)
    result.correctedLoss = curve->correct(*result.predictedLoss);
  return result;
}

}  // namespace kvista
