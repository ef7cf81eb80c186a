// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

#include "core/compress/basis.h"
#include "core/compress/chain.h"
#include "core/compress/exchange.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/compress/prefix_streams.h"
#include "core/compress/value_calibration.h"

namespace kvista {
namespace {

/// Decomposes the groups of one layer; where its moments behind compressed layers are given, compensated if the plan
/// is, else with values that are calibrated offline.
Result<void> decomposeLayer(const LayerMoments& moments, const PrefixMoments* prefix, const CompressionPlan& plan,
                            int layer, PlanFactors& factors) {
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    if (group.slots.front().layer != layer || group.isUncompressed()) continue;
    KVISTA_ASSIGN(const GroupBasis basis, prefix&& plan.compensated ? moments.compensate(group.slots, *prefix)
                                                                    : moments.decompose(group.slots));
    factors[i] = factorsOf(basis, group);
    for (const auto& [name, tensor] : kFactorTensors)  // a GPU need not hold those of all layers
      if ((factors[i].*tensor).defined()) factors[i].*tensor = (factors[i].*tensor).cpu();
    const bool onlyValues = group.slots.front().side == Side::value;
    if (prefix && !plan.compensated && !plan.uncalibrated && onlyValues) {
      KVISTA_ASSIGN(factors[i], calibrateValues(factors[i], moments.ofSlots(prefix->crossed, group.slots),
                                                moments.ofSlots(prefix->compressed, group.slots)));
    }
  }
  return {};
}

/// What a plan says of one layer alone.
struct OneLayer {
  CompressionPlan plan;
  PlanFactors factors;
};

OneLayer layerOf(const CompressionPlan& plan, const PlanFactors& factors, int layer) {
  OneLayer one;
  one.plan.storage = plan.storage;
  one.plan.keyPosition = plan.keyPosition;
  one.plan.exactTokens = plan.exactTokens;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    if (plan.groups[i].slots.front().layer != layer) continue;
    one.plan.groups.push_back(plan.groups[i]);
    one.factors.push_back(factors[i]);
  }
  return one;
}

}  // namespace

Result<void> checkCentred(const CompressionPlan& plan, const Method& method) {
  const std::string_view reason = whyNotCentred(method);
  if (!plan.centred || reason.empty()) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The plan is centred, but its method {} {}.", method.name, reason), "Make the plan again.");
}

Result<PlanFactors> factorsOfStatistics(const Decoder& decoder, const Statistics* statistics,
                                        const CompressionPlan& plan, const Task& task, const ProcessGroup& processes) {
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  PlanFactors factors(plan.groups.size());
  const Share own = processes.shareOf(decoder.shape().layers);
  for (int layer = static_cast<int>(own.begin); layer < own.end(); ++layer) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_CHECK(processes.check());
    task.progress("decompose" + processes.label(), static_cast<std::uint64_t>(layer - own.begin),
                  static_cast<std::uint64_t>(own.count), "layers");
    KVISTA_ASSIGN(const LayerMoments moments,
                  LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, *method)));
    KVISTA_CHECK(decomposeLayer(moments, nullptr, plan, layer, factors));
  }
  KVISTA_CHECK(exchangeFactors(plan, decoder.shape(), factors, processes, task));
  return factors;
}

Result<PlanFactors> makeFactors(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                                const Task& task, const ProcessGroup& processes, const std::vector<GroupBasis>& bases) {
  if (const auto problems = validate(plan, decoder.shape()); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  if (plan.storage == Storage::plainQuantised) return PlanFactors(plan.groups.size());
  KVISTA_CHECK(checkCentred(plan, *method));
  if ((!method->weightsOnly || plan.compensated) && !statistics)
    return fail(ErrorCode::invalidArgument, "The plan's factors come from statistics, and none were given.",
                "Give --stats FILE, made by `kvista calibrate`.");
  if (predictsLayers(plan)) {
    KVISTA_ASSIGN(const std::vector<GroupBasis> chained, chainedBases(decoder, *statistics, plan, task));
    PlanFactors factors;
    for (std::size_t i = 0; i < chained.size(); ++i) factors.push_back(factorsOf(chained[i], plan.groups[i]));
    return factors;
  }
  const bool sequential = method->sequential || plan.compensated;
  if (!sequential && !bases.empty() && bases.size() == plan.groups.size()) {
    PlanFactors factors;
    for (std::size_t i = 0; i < bases.size(); ++i) {
      KVISTA_CHECK(task.checkStop());
      factors.push_back(factorsOf(bases[i], plan.groups[i]));
    }
    return factors;
  }
  if (!sequential) return factorsOfStatistics(decoder, statistics, plan, task, processes);

  PlanFactors factors(plan.groups.size());
  const int layers = decoder.shape().layers;
  const BasisRequest request = basisRequestOf(plan, *method);
  KVISTA_ASSIGN(PrefixStreams streams, PrefixStreams::begin(decoder, statistics->tokenIds, task));
  for (int layer = 0; layer < layers; ++layer) {
    task.progress(plan.compensated ? "compensate" : "decompose in sequence", static_cast<std::uint64_t>(layer),
                  static_cast<std::uint64_t>(layers), "layers");
    KVISTA_ASSIGN(const PrefixMoments prefix, streams.moments(request.withoutSinks, task));
    KVISTA_ASSIGN(LayerMoments moments, LayerMoments::of(decoder, statistics, layer, request));
    if (!plan.compensated && !request.weightsOnly) moments.replaceCovariance(prefix.compressed);
    KVISTA_CHECK(decomposeLayer(moments, &prefix, plan, layer, factors));
    if (layer + 1 == layers) break;
    const OneLayer one = layerOf(plan, factors, layer);
    KVISTA_CHECK(
        streams.advance(PlanTransform(one.plan, one.factors, decoder.shape(), decoder.options().device), task));
  }
  return factors;
}

Result<PlanFactors> makeFactors(const Decoder& decoder, const Statistics* statistics, const PlanWithSpectra& made,
                                const Task& task, const ProcessGroup& processes) {
  if (!made.factors.empty()) return made.factors;
  return makeFactors(decoder, statistics, made.planned.plan, task, processes, made.bases);
}

}  // namespace kvista
