// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/compress/basis.h"
#include "core/compress/chain.h"
#include "core/compress/compensation.h"
#include "core/compress/exchange.h"
#include "core/compress/layer_sharing.h"
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"
#include "core/compress/plan_settings.h"
#include "core/model/device.h"
#include "core/plan/allocate.h"
#include "core/plan/head_mean.h"
#include "core/plan/plan_groups.h"

namespace kvista {
namespace {

/// As many layers read the cache of another as leave no more than the target allows.
Result<std::vector<int>> sharedForTarget(const Decoder& decoder, const Statistics& statistics, const Target& target,
                                         const Task& task) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t budget = budgetBytes(target, shape), each = shape.cacheBytesPerToken() / shape.layers;
  if (budget < each)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("The target leaves {} bytes a token; one layer with its own cache takes {}.", budget, each),
        fmt::format("Ask for at least {} bytes a token, or give a map of layers and a method that compresses them.",
                    each));
  SharingRequest request;
  request.layers = shape.layers - static_cast<int>(std::min<std::int64_t>(budget / each, shape.layers));
  if (request.layers == 0) return std::vector<int>{};
  KVISTA_ASSIGN(LayerSharing sharing, shareLayers(decoder, statistics.tokenIds, request, task));
  return std::move(sharing.sharedFrom);
}

int sideOf(const Group& group) {
  const bool keys = std::ranges::any_of(group.slots, [](const Slot& slot) { return slot.side == Side::key; });
  const bool values = std::ranges::any_of(group.slots, [](const Slot& slot) { return slot.side == Side::value; });
  return keys && values ? 2 : values ? 1 : 0;
}

/// The most bits that fit the budget, scales and zeros counted; checkBudget has seen that the fewest do. Answers why
/// there are no more, in words.
Result<std::string> planPlainQuantised(const ModelShape& shape, std::int64_t budget, const Method& method,
                                       CompressionPlan& plan) {
  plan.groups = singleSlots(shape);
  std::string note;
  for (auto bits = method.widths.rbegin(); bits != method.widths.rend() && *bits > 0; ++bits) {
    for (Group& group : plan.groups) std::ranges::fill(group.widths, static_cast<std::uint8_t>(*bits));
    const std::int64_t bytes = bytesPerToken(plan);
    if (bytes <= budget)
      return bytes < budget ? fmt::format("All numbers have the same bits, {}{}.", *bits, note) : std::string();
    note = fmt::format("; with {} the cache would take {} bytes a token", *bits, bytes);
  }
  return fail(ErrorCode::internal,
              fmt::format("No width of the method {} fits {} bytes a token.", method.name, budget));
}

/// Decompositions that are kept as long as there is room for them.
class KeptBases {
 public:
  explicit KeptBases(std::int64_t roomBytes) : roomBytes_(roomBytes) {}
  [[nodiscard]] bool isKeeping() const { return roomBytes_ > 0; }
  void keep(const GroupBasis& basis) {
    roomBytes_ -= (basis.up.numel() + basis.down.numel()) * static_cast<std::int64_t>(sizeof(float));
    if (!isKeeping()) {
      bases_.clear();
      return;
    }
    GroupBasis& kept = bases_.emplace_back(basis);
    kept.up = basis.up.to(at::kFloat);
    kept.down = basis.down.to(at::kFloat);
  }
  std::vector<GroupBasis> take() { return std::move(bases_); }

 private:
  std::int64_t roomBytes_;
  std::vector<GroupBasis> bases_;
};

/// `kept` may be null.
Result<BudgetUnit> unitOf(const Statistics* statistics, const LayerMoments& moments, const Group& group, int layer,
                          KeptBases* kept) {
  BudgetUnit unit;
  if (kept && kept->isKeeping()) {
    KVISTA_ASSIGN(GroupBasis basis, moments.decompose(group.slots));
    kept->keep(basis);
    unit.spectrum = std::move(basis.spectrum);
  } else {
    KVISTA_ASSIGN(unit.spectrum, moments.spectrum(group.slots));
  }
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
  return unit;
}

Result<void> checkKeyGroup(const CompressionPlan& plan, const Group& group) {
  if (plan.keyPosition != KeyPosition::afterRope || sideOf(group) == 1 || group.slots.size() == 1) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The method {} compresses keys after RoPE, where each key head needs a latent of its own; a "
                          "group has {} heads.",
                          plan.method, group.slots.size()),
              "Use --grouping head, or a method that compresses keys before RoPE.");
}

/// Puts the request's ranks into a unit; a group narrower than the largest rank keeps all it has.
Result<void> boundRanks(const PlanSettings& settings, BudgetUnit& unit) {
  const auto width = static_cast<int>(unit.spectrum.eigenvalues.size());
  if (!unit.locked && settings.minimumRank > width)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A smallest rank of {} is more than the {} directions of a group in layer {}.",
                            settings.minimumRank, width, unit.layer),
                "Give a smaller one, or larger groups.");
  unit.maximumRank = std::min(settings.maximumRank, width);
  unit.minimumRank = unit.locked ? 0 : settings.minimumRank;
  return {};
}

/// Refuses smallest ranks that alone take more than the budget, each number at the least bits that keep it.
Result<void> checkRanksFit(const PlanSettings& settings, const std::vector<BudgetUnit>& units, std::int64_t budget) {
  if (settings.minimumRank == 0) return {};
  const int fewestBits = settings.method.widths[1];
  std::int64_t bytes = 0;
  std::int64_t groups = 0;
  for (const BudgetUnit& unit : units) {
    const int steps = (unit.minimumRank + settings.rankStep - 1) / settings.rankStep;
    const int rank = std::min(steps * settings.rankStep, unit.maximumRank);
    bytes += unit.locked ? storedBytes(unit.widths) : (std::int64_t{rank} * fewestBits + 7) / 8;
    groups += unit.locked ? 0 : 1;
  }
  if (bytes <= budget) return {};
  return fail(
      ErrorCode::invalidArgument,
      fmt::format(
          "A rank of at least {} in each of {} groups takes {} bytes a token with all that is locked; {} were given.",
          settings.minimumRank, groups, bytes, budget),
      "Give a smaller rank or a larger cache.");
}

/// What a group loses that gets the target's share of its own bytes.
double lossAtShare(const LayerMoments& moments, const std::vector<Slot>& slots, const PlanSettings& settings,
                   double share) {
  BudgetUnit unit;
  const auto failed = [] { return std::numeric_limits<double>::quiet_NaN(); };
  auto eigenvalues = moments.eigenvalues(slots);
  if (!eigenvalues) return failed();
  constexpr double kBytesPerNumber = 2;
  const double bytes = kBytesPerNumber * static_cast<double>(eigenvalues->size()) * share;
  unit.spectrum.eigenvalues = *std::move(eigenvalues);
  if (!boundRanks(settings, unit)) return failed();
  const auto allocator = findAllocator("waterline");
  if (!allocator) return failed();
  const auto allocation =
      (*allocator)
          ->allocate({{std::move(unit)}, settings.method.widths, settings.rankStep, static_cast<std::int64_t>(bytes)});
  return allocation ? allocation->predictedLoss : failed();
}

Result<LaidOut> layOutModel(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                            const PlanSettings& settings, std::string_view grouping, int groupSize,
                            const CompressionPlan* manual, KeptBases& kept, const Task& task,
                            const ProcessGroup& processes) {
  const ModelShape& shape = decoder.shape();
  const Method& method = settings.method;
  LaidOut result;
  const Share own = processes.shareOf(shape.layers);
  for (int layer = static_cast<int>(own.begin); layer < own.end(); ++layer) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_CHECK(processes.check());
    task.progress("plan" + processes.label(), static_cast<std::uint64_t>(layer - own.begin),
                  static_cast<std::uint64_t>(own.count), "layers");
    KVISTA_ASSIGN(const LayerMoments moments,
                  LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, method)));
    std::vector<Group> groups;
    if (manual) {
      std::ranges::copy_if(manual->groups, std::back_inserter(groups),
                           [&](const Group& group) { return group.slots.front().layer == layer; });
    } else {
      const auto keySimilarity = [&]() -> Result<at::Tensor> {
        if (method.measure.empty()) return headSimilarity(moments.covariance(), shape, Side::key);
        KVISTA_ASSIGN(const Measure* measure, findMeasure(method.measure));
        if (!statistics)
          return fail(ErrorCode::invalidArgument,
                      fmt::format("The measure {} needs statistics of the model.", measure->name),
                      "Give --stats FILE, made by `kvista calibrate`.");
        return measure->similarity({decoder, *statistics, layer, Side::key});
      };
      const double share =
          static_cast<double>(budgetBytes(plan.target, shape)) / static_cast<double>(shape.cacheBytesPerToken());
      const auto truncatedLoss = [&](const std::vector<Slot>& slots) {
        return task.checkStop() ? lossAtShare(moments, slots, settings, share)
                                : std::numeric_limits<double>::quiet_NaN();
      };
      auto laidOut = layOut({shape, layer, grouping, groupSize, keySimilarity, truncatedLoss});
      KVISTA_CHECK(task.checkStop());  // before the loss that it could not learn any more
      KVISTA_ASSIGN(groups, std::move(laidOut));
    }
    for (Group& group : groups) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_CHECK(checkKeyGroup(plan, group));
      // Numbers of tokens have locked it, and may be no more.
      if (manual && storesTokenNumbers(*manual, layer)) group.locked = false;
      if (!storesDirections(plan, layer)) {
        group.locked = true;
        std::ranges::fill(group.widths, std::uint8_t{0});
      }
      KVISTA_ASSIGN(BudgetUnit unit, unitOf(statistics, moments, group, layer, &kept));
      if (storesTokenNumbers(plan, layer)) unit.spectrum = nothingLost(unit.spectrum);
      KVISTA_CHECK(boundRanks(settings, unit));
      result.groups.push_back(std::move(group));
      result.units.push_back(std::move(unit));
    }
  }
  KVISTA_CHECK(exchangeGroups(result, processes, task));
  return result;
}

}  // namespace

LossModel lossModelOf(const Statistics* statistics) {
  if (!statistics) return {};
  return {.baseLoss = statistics->baseLoss(), .gradients = statistics->gradients, .response = statistics->response};
}

Result<std::vector<BudgetUnit>> decomposeGroups(const Decoder& decoder, const Statistics* statistics,
                                                const CompressionPlan& plan, const std::vector<int>& layers,
                                                const Task& task) {
  if (const auto problems = validate(plan, decoder.shape()); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  KVISTA_CHECK(checkCentred(plan, *method));
  KVISTA_CHECK(checkStatistics(decoder, statistics, *method));
  std::vector<GroupBasis> chained;
  if (predictsLayers(plan)) {
    KVISTA_ASSIGN(chained, chainedBases(decoder, *statistics, plan, task));
  }
  std::vector<BudgetUnit> units(plan.groups.size());
  for (int layer = 0; layer < decoder.shape().layers; ++layer) {
    if (!layers.empty() && std::ranges::find(layers, layer) == layers.end()) continue;
    KVISTA_CHECK(task.checkStop());
    task.progress("decompose", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(decoder.shape().layers),
                  "layers");
    KVISTA_ASSIGN(const LayerMoments moments,
                  LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, *method)));
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      if (plan.groups[i].slots.front().layer != layer) continue;
      KVISTA_CHECK(task.checkStop());
      KVISTA_CHECK(checkKeyGroup(plan, plan.groups[i]));
      KVISTA_ASSIGN(units[i], unitOf(statistics, moments, plan.groups[i], layer, nullptr));
      if (!chained.empty()) units[i].spectrum = std::move(chained[i].spectrum);
    }
  }
  return units;
}

Result<PlanWithSpectra> makePlan(const Decoder& decoder, const Statistics* statistics, const PlanRequest& request,
                                 const Task& task, const ProcessGroup& processes) {
  const ModelShape& shape = decoder.shape();
  KVISTA_ASSIGN(PlanSettings settings, settingsOf(request, shape));
  const Method& method = settings.method;
  if (method.sharesHeads && method.grouping != "common-key") KVISTA_CHECK(boundHeads(request.target, shape, settings));
  KVISTA_CHECK(checkStatistics(decoder, statistics, method));
  KVISTA_ASSIGN(CompressionPlan plan, draftPlan(request, shape));
  KVISTA_ASSIGN(const DeviceProfile* device, findDeviceProfile(request.device));
  const PlanningContext context{shape, lossModelOf(statistics), *device, request.context, request.batch};
  KVISTA_CHECK(checkTarget(request.target, method.storage, measuresLoss(plan), context.loss));

  if (request.manual)
    if (const auto problems = validate(*request.manual, shape); !problems.empty())
      return fail(ErrorCode::invalidArgument, "The groups to keep do not fit the model: " + problems.front());

  if (method.sharesLayers && plan.sharedFrom.empty()) {
    KVISTA_ASSIGN(plan.sharedFrom, sharedForTarget(decoder, *statistics, request.target, task));
  }
  if (!plan.sharedFrom.empty())
    if (const auto problems = validate(plan, shape); !problems.empty())
      return fail(ErrorCode::invalidArgument, "The map of layers does not fit the model: " + problems.front());

  PlanWithSpectra result;
  if (method.storage == Storage::plainQuantised) {
    KVISTA_ASSIGN(std::string note, planPlainQuantised(shape, budgetBytes(request.target, shape), method, plan));
    result.planned = assess(std::move(plan), {}, context);
    result.planned.note = std::move(note);
  } else {
    const bool automatic = method.grouping == "auto" && !request.manual;
    for (int groupSize = automatic ? shape.kvHeads : method.groupSize;; groupSize = (groupSize + 1) / 2) {
      const at::Device where = decoder.options().device;
      const bool keeps = request.keepBases && !method.sequential && processes.isAlone();
      KeptBases kept(keeps ? availableMemory(where).value_or(0) / 4 : 0);
      const bool whole = method.grouping == "joint" && !request.groupSize;
      KVISTA_ASSIGN(LaidOut laidOut, layOutModel(decoder, statistics, plan, settings,
                                                 automatic ? "joint" : method.grouping, whole ? 0 : groupSize,
                                                 request.manual ? &*request.manual : nullptr, kept, task, processes));
      result.bases = kept.take();
      plan.groups = std::move(laidOut.groups);
      if (request.eps) {
        KVISTA_ASSIGN(const std::int64_t bytes,
                      bytesForEps({laidOut.units, method.widths, settings.rankStep}, *request.eps));
        plan.target = {Target::Kind::bytesPerToken, static_cast<double>(bytes)};
      }
      KVISTA_CHECK(checkRanksFit(settings, laidOut.units, budgetBytes(plan.target, shape)));
      KVISTA_ASSIGN(result.planned, allocateBudget(plan, laidOut.units, method.widths, context));
      result.units = std::move(laidOut.units);
      if (predictsLayers(plan)) {
        result.bases.clear();
        KVISTA_ASSIGN(result.planned,
                      allocateChain(decoder, *statistics, std::move(result.planned.plan), result.units, context, task));
      }
      if (!automatic || groupSize == 1 ||
          affordable(result.planned.plan, shape, *device, request.context, request.batch))
        break;
    }
  }
  PlannedPlan& planned = result.planned;
  if (const auto problems = validate(planned.plan, shape); !problems.empty())
    return fail(ErrorCode::internal,
                fmt::format("The plan made by {} is not sound: {}", method.name, problems.front()));

  const bool predictable = statistics && statistics->gradients && planned.plan.storage != Storage::plainQuantised &&
                           planned.plan.sharedFrom.empty() && !predictsLayers(planned.plan);
  // The spectra of common heads are in a metric of the pairs' means, not in the loss's own.
  if (method.sharesHeads) planned.predictedLoss = planned.correctedLoss = std::nullopt;
  if (!planned.predictedLoss && predictable) {
    KVISTA_ASSIGN(const PlanFactors factors, factorsOfStatistics(decoder, statistics, planned.plan, task, processes));
    KVISTA_ASSIGN(planned.predictedLoss, predictLoss(decoder, *statistics, planned.plan, factors, task));
    const auto curve = context.loss.response.find(planned.plan.storage);
    if (curve != context.loss.response.end() && planned.predictedLoss)
      planned.correctedLoss = curve->second.correct(*planned.predictedLoss);
  }
  if (request.compensate) KVISTA_CHECK(compensateWhereItHelps(decoder, statistics, result, task, processes));
  return result;
}

}  // namespace kvista
