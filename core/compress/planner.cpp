// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/planner.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/compress/basis.h"
#include "core/compress/chain.h"
#include "core/compress/compensation.h"
#include "core/compress/exchange.h"
#include "core/compress/layer_sharing.h"
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"
#include "core/model/device.h"
#include "core/plan/allocate.h"
#include "core/plan/head_mean.h"
#include "core/plan/plan_groups.h"
#include "core/plan/plan_names.h"

namespace kvista {
namespace {

/// The method with the request's changes put in.
struct Settings {
  Method method;
  int rankStep = 8;
  int minimumRank = 0;
  int maximumRank = std::numeric_limits<int>::max();
};

Result<void> checkRanks(const PlanRequest& request, const Settings& settings) {
  if (!request.minimumRank && !request.maximumRank) return {};
  if (settings.method.storage == Storage::plainQuantised)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The method {} has no ranks that could be bounded.", settings.method.name),
                "Leave out the smallest and largest rank, or choose a method with a latent.");
  if (settings.minimumRank < 0 || settings.maximumRank < 1 || settings.minimumRank > settings.maximumRank)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Ranks from {} to {} are not possible; they must rise, the largest from 1.", settings.minimumRank,
                            request.maximumRank ? fmt::format("{}", settings.maximumRank) : "all"));
  return {};
}

Result<Settings> settingsOf(const PlanRequest& request, const ModelShape& shape) {
  KVISTA_ASSIGN(const Method* preset, findMethod(request.method));
  Settings settings{*preset};
  settings.minimumRank = request.minimumRank.value_or(settings.minimumRank);
  settings.maximumRank = request.maximumRank.value_or(settings.maximumRank);
  if (request.grouping) settings.method.grouping = *request.grouping;
  if (request.groupSize) settings.method.groupSize = *request.groupSize;
  if (request.allocator) settings.method.allocator = *request.allocator;
  if (request.chain) settings.method.chain = *request.chain;
  if (request.metric) settings.method.metric = *request.metric;
  if (request.measure) settings.method.measure = *request.measure;
  if (!(request.damping >= 0) || request.damping > kMaxDamping)
    return fail(ErrorCode::invalidArgument, fmt::format("A damping of {} is not possible; it must be 0 to {}.", request.damping, kMaxDamping));
  settings.rankStep = request.rankStep.value_or(fittingRankStep(settings.method, shape));
  if (settings.rankStep < 1)
    return fail(ErrorCode::invalidArgument, fmt::format("A rank step of {} is not possible; it must be at least 1.", settings.rankStep));
  if (settings.method.groupSize < (settings.method.sharesHeads && !request.groupSize ? 0 : 1))
    return fail(ErrorCode::invalidArgument, fmt::format("A group of {} heads is not possible.", settings.method.groupSize));
  KVISTA_CHECK(checkRanks(request, settings));
  return settings;
}

Result<void> checkCompensation(const PlanRequest& request, const Method& method) {
  const std::string_view reason = whyNotCompensated(method);
  if (!request.compensate || reason.empty()) return {};
  return fail(ErrorCode::invalidArgument, fmt::format("The method {} cannot be compensated: it {}.", method.name, reason),
              "Leave out compensation, or choose a method that compresses keys before RoPE.");
}

/// Whole heads: how many share one, and the ranks that follow. Heads that are left over would make groups of another size.
Result<void> boundHeads(const Target& target, const ModelShape& shape, Settings& settings) {
  const auto refuse = [&](const std::string& reason, const std::string& hint) { return fail(ErrorCode::invalidArgument, reason, hint); };
  if (shape.headDim != shape.valueHeadDim)
    return refuse(fmt::format("The method {} makes heads of one width; this model's keys have {} numbers a head, its values {}.",
                              settings.method.name, shape.headDim, shape.valueHeadDim), "Use the method separate.");
  int& together = settings.method.groupSize;
  if (together == 0) {
    const double share = static_cast<double>(budgetBytes(target, shape)) / static_cast<double>(shape.cacheBytesPerToken());
    for (together = 1; together < shape.kvHeads && (shape.kvHeads % together != 0 || share * together < 1 - 1e-9);) ++together;
  }
  if (together < 2 || shape.kvHeads % together != 0)
    return refuse(fmt::format("The model's {} key-value heads cannot become one for every {}.", shape.kvHeads, together),
                  shape.kvHeads > 1 ? fmt::format("Give --group-size, at least 2, that divides {}.", shape.kvHeads) : "Use the method separate.");
  const std::int64_t bytes = shape.cacheBytesPerToken() / together, budget = budgetBytes(target, shape);
  if (target.kind != Target::Kind::maxLoss && bytes > budget)
    return refuse(fmt::format("The target leaves {} of the {} bytes a token, but the method {} stores {} with one head for every {}.", budget,
                              shape.cacheBytesPerToken(), settings.method.name, bytes, together),
                  fmt::format("Give --bytes-per-token {} or more{}.", bytes, together < shape.kvHeads ? ", or a larger --group-size" : ""));
  settings.minimumRank = settings.maximumRank = shape.headDim;
  return {};
}

/// As many layers read the cache of another as leave no more than the target allows.
Result<std::vector<int>> sharedForTarget(const Decoder& decoder, const Statistics& statistics, const Target& target, const Task& task) {
  const ModelShape& shape = decoder.shape();
  const std::int64_t budget = budgetBytes(target, shape), each = shape.cacheBytesPerToken() / shape.layers;
  if (budget < each)
    return fail(ErrorCode::invalidArgument, fmt::format("The target leaves {} bytes a token; one layer with its own cache takes {}.", budget, each),
                fmt::format("Give --bytes-per-token {} or more, or give a map of layers and a method that compresses them.", each));
  SharingRequest request;
  request.layers = shape.layers - static_cast<int>(std::min<std::int64_t>(budget / each, shape.layers));
  if (request.layers == 0) return std::vector<int>{};
  KVISTA_ASSIGN(LayerSharing sharing, shareLayers(decoder, statistics.tokenIds, request, task));
  return std::move(sharing.sharedFrom);
}

/// What a method gives no meaning to.
Result<void> checkChoices(const PlanRequest& request, const Method& method) {
  const auto refuse = [&](std::string_view why, std::string_view option) {
    return fail(ErrorCode::invalidArgument, fmt::format("The method {} {}.", method.name, why), fmt::format("Leave out {}, or choose another method.", option));
  };
  const bool needsText = method.metric != Metric::identity && method.metric != Metric::output;
  if (method.weightsOnly && needsText) return refuse(fmt::format("looks at weights alone; the metric {} needs text", nameIn(kMetrics, method.metric)), "--metric");
  if (method.metric == Metric::eigen && method.keyPosition != KeyPosition::afterRope)
    return refuse("compresses keys before RoPE; the metric eigen looks at queries as attention has them", "--metric");
  if (method.layersTogether > 1 && method.metric != Metric::identity) return refuse("has factors that layers share, whose errors all weigh alike", "--metric");
  if (const std::string_view why = whyNotUncalibrated(method); request.uncalibrated && !why.empty()) return refuse(why, "--no-calibration");
  if (request.eps && method.allocator != "head-mean") return refuse(fmt::format("hands ranks out by {}, which knows no eps", method.allocator), "--eps");
  if (request.unwhitened) {
    if (const std::string_view why = whyNotUnwhitened(method); !why.empty()) return refuse(why, "--no-whitening");
    if (needsText) return refuse(fmt::format("weighs errors by the metric {}, which needs text", nameIn(kMetrics, method.metric)), "--no-whitening");
    if (request.compensate) return refuse("cannot be compensated and decompose the weights alone", "--no-whitening");
    if (request.sinkFree || request.centred) return refuse("takes its bases from the weights alone; there are no tokens to leave out and no mean", "--no-whitening");
  }
  if (const std::string_view why = whyNotShared(method); !request.sharedFrom.empty() && !why.empty()) return refuse(why, "--sharing");
  if (!request.sharedFrom.empty() && request.compensate) return refuse("needs every layer's own cache to be compensated", "--sharing");
  if (method.chain < 1 || method.chain > kMaxChain)
    return fail(ErrorCode::invalidArgument, fmt::format("A chain of {} layers is not possible; it must be 1 to {}.", method.chain, kMaxChain));
  if (method.chain > 1) {
    if (const std::string_view why = whyNotChained(method); !why.empty()) return refuse(why, "--chain");
    if (request.groupSize) return refuse("needs all heads of a layer in one latent where layers are chained", "--group-size");
    if (request.compensate || request.centred || !request.sharedFrom.empty())
      return refuse("chains layers, which can be neither compensated, nor centred, nor shared", "--chain");
  }
  if (request.sinkFree && method.weightsOnly) return refuse("looks at weights alone; there are no tokens to leave out", "--sink-free");
  if (request.sinkFree && method.storage == Storage::plainQuantised) return refuse("has no bases that tokens could be left out of", "--sink-free");
  const std::string_view reason = whyNotCentred(method);
  return !request.centred || reason.empty() ? Result<void>() : refuse(fmt::format("cannot be centred: it {}", reason), "--centred");
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

/// Bytes a token of what a layout locks.
std::int64_t lockedBytes(std::string_view grouping, const ModelShape& shape) {
  constexpr std::int64_t kBytesPerNumber = 2;
  const int numbers = grouping == "values" ? shape.keyWidth() : grouping == "common-key" ? shape.headDim : 0;
  return kBytesPerNumber * shape.layers * numbers;
}

/// Fewer bytes than the method's smallest piece (a block of directions at the smallest width, or every number of plain
/// quantisation) would leave a cache that holds nothing.
Result<void> checkBudget(const Settings& settings, const CompressionPlan& draft, const ModelShape& shape) {
  if (draft.target.kind == Target::Kind::maxLoss) return {};
  const bool plain = draft.storage == Storage::plainQuantised;
  const auto width = static_cast<std::uint8_t>(settings.method.widths[1]);
  CompressionPlan smallest = draft;
  for (Group& group : smallest.groups) {
    std::fill_n(group.widths.begin(), plain ? group.widths.size() : std::min(group.widths.size(), static_cast<std::size_t>(settings.rankStep)),
                width);
    if (!plain) break;
  }
  const std::int64_t least = bytesPerToken(smallest) + lockedBytes(draft.grouping, shape), full = shape.cacheBytesPerToken(), budget = budgetBytes(draft.target, shape);
  if (budget >= least) return {};
  const double share = std::ceil(static_cast<double>(least) / static_cast<double>(full) * 1e5) / 1e5;
  return fail(ErrorCode::invalidArgument,
              fmt::format("The target leaves {} of the {} bytes a token, but the method {} stores {} at least.", budget, full,
                          settings.method.name, least),
              fmt::format("Give --bytes-per-token {} (--share {}) or more{}.", least, share, plain ? ", or a method with a latent" : ""));
}

/// The most bits that fit the budget, scales and zeros counted; checkBudget has seen that the fewest do.
Result<void> planPlainQuantised(const ModelShape& shape, std::int64_t budget, const Method& method, CompressionPlan& plan) {
  plan.groups = singleSlots(shape);
  for (auto bits = method.widths.rbegin(); bits != method.widths.rend() && *bits > 0; ++bits) {
    for (Group& group : plan.groups) std::ranges::fill(group.widths, static_cast<std::uint8_t>(*bits));
    if (bytesPerToken(plan) <= budget) return {};
  }
  return fail(ErrorCode::internal, fmt::format("No width of the method {} fits {} bytes a token.", method.name, budget));
}

/// Decompositions that are kept as long as there is room for them.
class KeptBases {
 public:
  explicit KeptBases(std::int64_t roomBytes) : roomBytes_(roomBytes) {}
  [[nodiscard]] bool isKeeping() const { return roomBytes_ > 0; }
  void keep(const GroupBasis& basis) {
    roomBytes_ -= 2 * basis.up.numel() * static_cast<std::int64_t>(sizeof(float));
    if (!isKeeping()) {
      bases_.clear();
      return;
    }
    bases_.push_back({basis.up.to(at::kFloat), basis.down.to(at::kFloat), basis.spectrum, basis.steps, basis.shift, basis.offset});
  }
  std::vector<GroupBasis> take() { return std::move(bases_); }

 private:
  std::int64_t roomBytes_;
  std::vector<GroupBasis> bases_;
};

/// `kept` may be null.
Result<BudgetUnit> unitOf(const Statistics* statistics, const LayerMoments& moments, const Group& group, int layer, KeptBases* kept) {
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
              fmt::format("The method {} compresses keys after RoPE, where each key head needs a latent of its own; a group has {} heads.",
                          plan.method, group.slots.size()),
              "Use --grouping head, or a method that compresses keys before RoPE.");
}

/// Puts the request's ranks into a unit; a group narrower than the largest rank keeps all it has.
Result<void> boundRanks(const Settings& settings, BudgetUnit& unit) {
  const auto width = static_cast<int>(unit.spectrum.eigenvalues.size());
  if (!unit.locked && settings.minimumRank > width)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A smallest rank of {} is more than the {} directions of a group in layer {}.", settings.minimumRank, width,
                            unit.layer),
                "Give a smaller one, or larger groups.");
  unit.maximumRank = std::min(settings.maximumRank, width);
  unit.minimumRank = unit.locked ? 0 : settings.minimumRank;
  return {};
}

/// Refuses smallest ranks that alone take more than the budget, each number at the least bits that keep it.
Result<void> checkRanksFit(const Settings& settings, const std::vector<BudgetUnit>& units, std::int64_t budget) {
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
  return fail(ErrorCode::invalidArgument,
              fmt::format("A rank of at least {} in each of {} groups takes {} bytes a token with all that is locked; {} were given.",
                          settings.minimumRank, groups, bytes, budget),
              "Give a smaller rank or a larger cache.");
}

/// What a group loses that gets the target's share of its own bytes.
double lossAtShare(const LayerMoments& moments, const std::vector<Slot>& slots, const Settings& settings, double share) {
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
      (*allocator)->allocate({{std::move(unit)}, settings.method.widths, settings.rankStep, static_cast<std::int64_t>(bytes)});
  return allocation ? allocation->predictedLoss : failed();
}

Result<LaidOut> layOutModel(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan, const Settings& settings,
                            std::string_view grouping, int groupSize, const std::vector<Group>* manual, KeptBases& kept, const Task& task,
                            const ProcessGroup& processes) {
  const ModelShape& shape = decoder.shape();
  const Method& method = settings.method;
  LaidOut result;
  const Share own = processes.shareOf(shape.layers);
  for (int layer = static_cast<int>(own.begin); layer < own.end(); ++layer) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_CHECK(processes.check());
    task.progress("plan" + processes.label(), static_cast<std::uint64_t>(layer - own.begin), static_cast<std::uint64_t>(own.count), "layers");
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, method)));
    std::vector<Group> groups;
    if (manual) {
      std::ranges::copy_if(*manual, std::back_inserter(groups), [&](const Group& group) { return group.slots.front().layer == layer; });
    } else {
      const auto keySimilarity = [&]() -> Result<at::Tensor> {
        if (method.measure.empty()) return headSimilarity(moments.covariance(), shape, Side::key);
        KVISTA_ASSIGN(const Measure* measure, findMeasure(method.measure));
        if (!statistics)
          return fail(ErrorCode::invalidArgument, fmt::format("The measure {} needs statistics of the model.", measure->name),
                      "Give --stats FILE, made by `kvista calibrate`.");
        return measure->similarity({decoder, *statistics, layer, Side::key});
      };
      const double share =
          static_cast<double>(budgetBytes(plan.target, shape)) / static_cast<double>(shape.cacheBytesPerToken());
      const auto truncatedLoss = [&](const std::vector<Slot>& slots) {
        return task.checkStop() ? lossAtShare(moments, slots, settings, share) : std::numeric_limits<double>::quiet_NaN();
      };
      auto laidOut = layOut({shape, layer, grouping, groupSize, keySimilarity, truncatedLoss});
      KVISTA_CHECK(task.checkStop());  // before the loss that it could not learn any more
      KVISTA_ASSIGN(groups, std::move(laidOut));
    }
    for (Group& group : groups) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_CHECK(checkKeyGroup(plan, group));
      if (readsAnotherLayer(plan, layer)) {  // nothing of its own is stored
        group.locked = true;
        std::ranges::fill(group.widths, std::uint8_t{0});
      }
      KVISTA_ASSIGN(BudgetUnit unit, unitOf(statistics, moments, group, layer, &kept));
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

Result<std::vector<BudgetUnit>> decomposeGroups(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                                                const std::vector<int>& layers, const Task& task) {
  if (const auto problems = validate(plan, decoder.shape()); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  KVISTA_CHECK(checkCentred(plan, *method));
  KVISTA_CHECK(checkStatistics(decoder, statistics, *method));
  std::vector<GroupBasis> chained;
  if (plan.chain > 1) {
    KVISTA_ASSIGN(chained, chainedBases(decoder, *statistics, plan, task));
  }
  std::vector<BudgetUnit> units(plan.groups.size());
  for (int layer = 0; layer < decoder.shape().layers; ++layer) {
    if (!layers.empty() && std::ranges::find(layers, layer) == layers.end()) continue;
    KVISTA_CHECK(task.checkStop());
    task.progress("decompose", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(decoder.shape().layers), "layers");
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, *method)));
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

Result<CompressionPlan> draftPlan(const PlanRequest& request, const ModelShape& shape) {
  KVISTA_ASSIGN(const Settings settings, settingsOf(request, shape));
  const Method& method = settings.method;
  LossModel best;
  best.gradients = true;  // of the best calibration
  KVISTA_CHECK(findAllocator(method.allocator));
  KVISTA_CHECK(findDeviceProfile(request.device));
  KVISTA_CHECK(checkCompensation(request, method));
  KVISTA_CHECK(checkChoices(request, method));
  if (method.grouping == "swap-loss" && request.target.kind == Target::Kind::maxLoss)
    return fail(ErrorCode::invalidArgument,
                "The grouping swap-loss weighs groups at their rank, which an allowed loss leaves open.",
                "Give --share or --times-smaller, or group with swap.");
  CompressionPlan plan;
  plan.method = method.name;
  plan.grouping = request.manual ? request.manual->grouping : std::string(method.grouping);
  plan.allocator = method.allocator;
  plan.metric = method.metric;
  plan.damping = request.damping;
  plan.keyPosition = method.keyPosition;
  plan.storage = method.storage;
  plan.rankStep = settings.rankStep;
  plan.exactTokens = method.exactTokens;
  plan.centred = request.centred;
  plan.sinkFree = request.sinkFree && plan.exactTokens < kSinkTokens;
  plan.unwhitened = request.unwhitened;
  plan.uncalibrated = request.uncalibrated;
  plan.sharedFrom = request.sharedFrom.empty() && request.manual ? request.manual->sharedFrom : request.sharedFrom;
  plan.chain = std::min(method.chain, shape.layers);
  plan.target = request.target;
  KVISTA_CHECK(checkTarget(request.target, method.storage, measuresLoss(plan), best));
  plan.groups = singleSlots(shape);
  for (Group& group : plan.groups) std::ranges::fill(group.widths, std::uint8_t{0});
  KVISTA_CHECK(checkBudget(settings, plan, shape));
  return plan;
}

Result<PlanWithSpectra> makePlan(const Decoder& decoder, const Statistics* statistics, const PlanRequest& request, const Task& task,
                                 const ProcessGroup& processes) {
  const ModelShape& shape = decoder.shape();
  KVISTA_ASSIGN(Settings settings, settingsOf(request, shape));
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
    KVISTA_CHECK(planPlainQuantised(shape, budgetBytes(request.target, shape), method, plan));
    result.planned = assess(std::move(plan), {}, context);
  } else {
    const bool automatic = method.grouping == "auto" && !request.manual;
    for (int groupSize = automatic ? shape.kvHeads : method.groupSize;; groupSize = (groupSize + 1) / 2) {
      const at::Device where = decoder.options().device;
      const bool keeps = request.keepBases && !method.sequential && processes.isAlone();
      KeptBases kept(keeps ? availableMemory(where).value_or(0) / 4 : 0);
      const bool whole = method.grouping == "joint" && !request.groupSize;
      KVISTA_ASSIGN(LaidOut laidOut,
                    layOutModel(decoder, statistics, plan, settings, automatic ? "joint" : method.grouping, whole ? 0 : groupSize,
                                request.manual ? &request.manual->groups : nullptr, kept, task, processes));
      result.bases = kept.take();
      plan.groups = std::move(laidOut.groups);
      if (request.eps) {
        KVISTA_ASSIGN(const std::int64_t bytes, bytesForEps({laidOut.units, method.widths, settings.rankStep}, *request.eps));
        plan.target = {Target::Kind::bytesPerToken, static_cast<double>(bytes)};
      }
      KVISTA_CHECK(checkRanksFit(settings, laidOut.units, budgetBytes(plan.target, shape)));
      KVISTA_ASSIGN(result.planned, allocateBudget(plan, laidOut.units, method.widths, context));
      result.units = std::move(laidOut.units);
      if (plan.chain > 1) {
        result.bases.clear();
        KVISTA_ASSIGN(result.planned, allocateChain(decoder, *statistics, std::move(result.planned.plan), result.units, context, task));
      }
      if (!automatic || groupSize == 1 || affordable(result.planned.plan, shape, *device, request.context, request.batch)) break;
    }
  }
  PlannedPlan& planned = result.planned;
  if (const auto problems = validate(planned.plan, shape); !problems.empty())
    return fail(ErrorCode::internal, fmt::format("The plan made by {} is not sound: {}", method.name, problems.front()));

  const bool predictable =
      statistics && statistics->gradients && planned.plan.storage != Storage::plainQuantised && planned.plan.sharedFrom.empty() &&
      planned.plan.chain == 1;
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
