// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/plan_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/compress/compensation.h"
#include "core/plan/allocate.h"
#include "core/plan/plan_groups.h"
#include "core/plan/plan_names.h"

namespace kvista {
namespace {

Result<void> checkRanks(const PlanRequest& request, const PlanSettings& settings) {
  if (!request.minimumRank && !request.maximumRank) return {};
  if (settings.method.storage == Storage::plainQuantised)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The method {} has no ranks that could be bounded.", settings.method.name),
                "Leave out the smallest and largest rank, or choose a method with a latent.");
  if (settings.minimumRank < 0 || settings.maximumRank < 1 || settings.minimumRank > settings.maximumRank)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Ranks from {} to {} are not possible; they must rise, the largest from 1.", settings.minimumRank,
                    request.maximumRank ? fmt::format("{}", settings.maximumRank) : "all"));
  return {};
}

Result<void> checkCompensation(const PlanRequest& request, const Method& method) {
  const std::string_view reason = whyNotCompensated(method);
  if (!request.compensate || reason.empty()) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The method {} cannot be compensated: it {}.", method.name, reason),
              "Leave out compensation, or choose a method that compresses keys before RoPE.");
}

/// Why an option is not for a method; `field`: its name in an experiment's file.
std::string unfit(std::string_view why, std::string_view option, std::string_view field) {
  return fmt::format("{}, so that {} (in an experiment {}) has no meaning", why, option, field);
}

/// An allowed loss needs methods whose own metric predicts one.
Result<void> checkAllowedLoss(const PlanRequest& request, const Method& method) {
  KVISTA_ASSIGN(const Method* preset, findMethod(request.method));
  CompressionPlan own;
  own.metric = preset->metric;
  if (request.target.kind != Target::Kind::maxLoss || request.metric || (measuresLoss(own) && !method.sharesLayers))
    return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The method {} predicts no loss, so that none can be allowed.", method.name),
              "Give a size instead: a share, how many times smaller, or bytes a token.");
}

/// What a method gives no meaning to.
Result<void> checkChoices(const PlanRequest& request, const Method& method) {
  const auto refuse = [&](std::string_view why, std::string_view option) {
    return fail(ErrorCode::invalidArgument, fmt::format("The method {} {}.", method.name, why),
                fmt::format("Leave out {}, or choose another method.", option));
  };
  const bool needsText = method.metric != Metric::identity && method.metric != Metric::output;
  const std::string_view metric = nameIn(kMetrics, method.metric);
  if (method.weightsOnly && needsText)
    return refuse(fmt::format("looks at weights alone; the metric {} needs text", metric), "--metric");
  if (method.metric == Metric::eigen && method.keyPosition != KeyPosition::afterRope)
    return refuse("compresses keys before RoPE; the metric eigen looks at queries as attention has them", "--metric");
  if (method.layersTogether > 1 && method.metric != Metric::identity)
    return refuse("has factors that layers share, whose errors all weigh alike", "--metric");
  if (const std::string_view why = whyNotUncalibrated(method); request.uncalibrated && !why.empty())
    return refuse(why, "--no-calibration");
  if (request.eps && method.allocator != "head-mean")
    return refuse(fmt::format("hands ranks out by {}, which knows no eps", method.allocator), "--eps");
  if (request.unwhitened) {
    if (const std::string_view why = whyNotUnwhitened(method); !why.empty()) return refuse(why, "--no-whitening");
    if (needsText)
      return refuse(fmt::format("weighs errors by the metric {}, which needs text", metric), "--no-whitening");
    if (request.compensate) return refuse("cannot be compensated and decompose the weights alone", "--no-whitening");
    if (request.sinkFree || request.centred)
      return refuse("takes its bases from the weights alone; there are no tokens to leave out and no mean",
                    "--no-whitening");
  }
  if (const std::string_view why = whyNotShared(method); !request.sharedFrom.empty() && !why.empty())
    return refuse(why, "--sharing");
  if (!request.sharedFrom.empty() && request.compensate)
    return refuse("needs every layer's own cache to be compensated", "--sharing");
  if (method.chain < 1 || method.chain > kMaxChain)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A chain of {} layers is not possible; it must be 1 to {}.", method.chain, kMaxChain));
  if (method.chain > 1 || method.tokenNumbers) {
    const std::string_view option = method.tokenNumbers ? "--token-numbers" : "--chain";
    const std::string_view field = method.tokenNumbers ? "tokenNumbers" : "chain";
    if (const std::string_view why = whyNotChained(method); !why.empty())
      return refuse(unfit(why, option, field), option);
    if (request.groupSize)
      return refuse("needs all heads of a layer in one latent where layers predict others", "--group-size");
    if (request.compensate || request.centred || !request.sharedFrom.empty())
      return refuse("predicts layers from others, which can be neither compensated, nor centred, nor shared", option);
  }
  if (method.trellis && method.storage != Storage::coded)
    return refuse(unfit("stores no codes", "--trellis", "trellis"), "--trellis");
  if (request.sinkFree && method.weightsOnly)
    return refuse("looks at weights alone; there are no tokens to leave out", "--sink-free");
  if (request.sinkFree && method.storage == Storage::plainQuantised)
    return refuse("has no bases that tokens could be left out of", "--sink-free");
  const std::string_view reason = whyNotCentred(method);
  return !request.centred || reason.empty() ? Result<void>()
                                            : refuse(fmt::format("cannot be centred: it {}", reason), "--centred");
}

/// Bytes a token of what a layout locks.
std::int64_t lockedBytes(std::string_view grouping, const ModelShape& shape) {
  constexpr std::int64_t kBytesPerNumber = 2;
  const int numbers = grouping == "values" ? shape.keyWidth() : grouping == "common-key" ? shape.headDim : 0;
  return kBytesPerNumber * shape.layers * numbers;
}

/// Fewer bytes than the method's smallest piece (a block of directions at the smallest width, or every number of plain
/// quantisation) would leave a cache that holds nothing.
Result<void> checkBudget(const PlanSettings& settings, const CompressionPlan& draft, const ModelShape& shape) {
  if (draft.target.kind == Target::Kind::maxLoss) return {};
  const bool plain = draft.storage == Storage::plainQuantised;
  const auto width = static_cast<std::uint8_t>(settings.method.widths[1]);
  CompressionPlan smallest = draft;
  for (Group& group : smallest.groups) {
    const std::size_t all = group.widths.size();
    std::fill_n(group.widths.begin(), plain ? all : std::min(all, static_cast<std::size_t>(settings.rankStep)), width);
    if (!plain) break;
  }
  const std::int64_t least = bytesPerToken(smallest) + lockedBytes(draft.grouping, shape),
                     budget = budgetBytes(draft.target, shape);
  const std::int64_t full = shape.cacheBytesPerToken();
  if (budget >= least) return {};
  const double share = std::ceil(static_cast<double>(least) / static_cast<double>(full) * 1e5) / 1e5;
  return fail(ErrorCode::invalidArgument,
              fmt::format("The target leaves {} of the {} bytes a token, but the method {} stores {} at least.", budget,
                          full, settings.method.name, least),
              fmt::format("Ask for at least {} bytes a token, a share of {}{}.", least, share,
                          plain ? ", or a method with a latent" : ""));
}

}  // namespace

Result<PlanSettings> settingsOf(const PlanRequest& request, const ModelShape& shape) {
  KVISTA_ASSIGN(const Method* preset, findMethod(request.method));
  PlanSettings settings{*preset};
  settings.minimumRank = request.minimumRank.value_or(settings.minimumRank);
  settings.maximumRank = request.maximumRank.value_or(settings.maximumRank);
  if (request.grouping) settings.method.grouping = *request.grouping;
  if (request.groupSize) settings.method.groupSize = *request.groupSize;
  if (request.allocator) settings.method.allocator = *request.allocator;
  if (request.chain) settings.method.chain = *request.chain;
  if (request.trellis) settings.method.trellis = *request.trellis;
  if (request.tokenNumbers) settings.method.tokenNumbers = *request.tokenNumbers;
  if (request.metric) settings.method.metric = *request.metric;
  if (request.measure) settings.method.measure = *request.measure;
  if (!(request.damping >= 0) || request.damping > kMaxDamping)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A damping of {} is not possible; it must be 0 to {}.", request.damping, kMaxDamping));
  settings.rankStep = request.rankStep.value_or(fittingRankStep(settings.method, shape));
  if (settings.rankStep < 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A rank step of {} is not possible; it must be at least 1.", settings.rankStep));
  if (settings.method.groupSize < (settings.method.sharesHeads && !request.groupSize ? 0 : 1))
    return fail(ErrorCode::invalidArgument,
                fmt::format("A group of {} heads is not possible.", settings.method.groupSize));
  KVISTA_CHECK(checkRanks(request, settings));
  return settings;
}

Result<void> boundHeads(const Target& target, const ModelShape& shape, PlanSettings& settings) {
  const auto refuse = [&](const std::string& reason, const std::string& hint) {
    return fail(ErrorCode::invalidArgument, reason, hint);
  };
  if (shape.headDim != shape.valueHeadDim)
    return refuse(
        fmt::format("The method {} makes heads of one width; this model's keys have {} numbers a head, its values {}.",
                    settings.method.name, shape.headDim, shape.valueHeadDim),
        "Use the method separate.");
  int& together = settings.method.groupSize;
  if (together == 0) {
    const double share =
        static_cast<double>(budgetBytes(target, shape)) / static_cast<double>(shape.cacheBytesPerToken());
    for (together = 1; together < shape.kvHeads && (shape.kvHeads % together != 0 || share * together < 1 - 1e-9);)
      ++together;
  }
  if (together < 2 || shape.kvHeads % together != 0)
    return refuse(
        shape.kvHeads == 1
            ? std::string("The model has one key-value head a layer, which cannot become fewer.")
            : fmt::format("The model's {} key-value heads cannot become one for every {}.", shape.kvHeads, together),
        shape.kvHeads > 1 ? fmt::format("Give a group size, at least 2, that divides {}.", shape.kvHeads)
                          : "Use the method separate.");
  const std::int64_t bytes = shape.cacheBytesPerToken() / together, budget = budgetBytes(target, shape);
  if (target.kind != Target::Kind::maxLoss && bytes > budget)
    return refuse(
        fmt::format(
            "The target leaves {} of the {} bytes a token, but the method {} stores {} with one head for every {}.",
            budget, shape.cacheBytesPerToken(), settings.method.name, bytes, together),
        fmt::format("Ask for at least {} bytes a token{}.", bytes,
                    together < shape.kvHeads ? ", or for larger groups" : ""));
  settings.minimumRank = settings.maximumRank = shape.headDim;
  return {};
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
                fmt::format("The statistics are of a {} model with {} layers and {} KV heads of {}; this one is {} "
                            "with {} and {} of {}.",
                            known.family, known.layers, known.kvHeads, known.headDim, decoder.shape().family,
                            decoder.shape().layers, decoder.shape().kvHeads, decoder.shape().headDim),
                "Calibrate this model.");
  return {};
}

Result<CompressionPlan> draftPlan(const PlanRequest& request, const ModelShape& shape) {
  KVISTA_ASSIGN(const PlanSettings settings, settingsOf(request, shape));
  const Method& method = settings.method;
  LossModel best;
  best.gradients = true;  // of the best calibration
  KVISTA_CHECK(findAllocator(method.allocator));
  KVISTA_CHECK(findDeviceProfile(request.device));
  KVISTA_CHECK(checkCompensation(request, method));
  KVISTA_CHECK(checkChoices(request, method));
  KVISTA_CHECK(checkAllowedLoss(request, method));
  if (method.grouping == "swap-loss" && request.target.kind == Target::Kind::maxLoss)
    return fail(ErrorCode::invalidArgument,
                "The grouping swap-loss weighs groups at their rank, which an allowed loss leaves open.",
                "Give a share, or how many times smaller, or group with swap.");
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
  plan.trellis = method.trellis;
  plan.tokenNumbers = method.tokenNumbers;
  plan.target = request.target;
  KVISTA_CHECK(checkTarget(request.target, method.storage, measuresLoss(plan), best));
  plan.groups = singleSlots(shape);
  for (Group& group : plan.groups) std::ranges::fill(group.widths, std::uint8_t{0});
  KVISTA_CHECK(checkBudget(settings, plan, shape));
  return plan;
}

}  // namespace kvista
