// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/basis.h"
#include "core/compress/planner.h"
#include "core/compress/value_calibration.h"

namespace kvista {

Result<PlanFactors> makeFactors(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan, const Task& task) {
  if (const auto problems = validate(plan, decoder.shape()); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  KVISTA_ASSIGN(const Method* method, findMethod(plan.method));
  PlanFactors factors(plan.groups.size());
  if (plan.storage == Storage::plainQuantised) return factors;
  if (!method->weightsOnly && !statistics)
    return fail(ErrorCode::invalidArgument, "The plan's factors come from statistics, and none were given.",
                "Give --stats FILE, made by `kvista calibrate`.");
  for (int layer = 0; layer < decoder.shape().layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    task.progress("decompose", static_cast<std::uint64_t>(layer), static_cast<std::uint64_t>(decoder.shape().layers), "layers");
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, statistics, layer, basisRequestOf(plan, *method)));
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      const Group& group = plan.groups[i];
      if (group.slots.front().layer != layer) continue;
      KVISTA_ASSIGN(const GroupBasis basis, moments.decompose(group.slots));
      factors[i] = factorsOf(basis, group);
      const bool onlyValues = group.slots.front().side == Side::value;
      if (method->valueCalibration && onlyValues && !factors[i].isIdentity()) {
        KVISTA_ASSIGN(factors[i], calibrateValues(factors[i], moments.covarianceOf(group.slots)));
      }
    }
  }
  return factors;
}

}  // namespace kvista
