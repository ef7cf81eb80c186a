// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// makePlan, decompose, planErrors, shareLayers: what a plan is made from and what it loses, before anything is
// measured.
#include "core/compress/layer_sharing.h"
#include "core/compress/planner.h"
#include "core/engine/analysis.h"
#include "core/engine/memory_forecast.h"
#include "core/engine/methods/inputs.h"
#include "core/model/device.h"

namespace kvista {
namespace {

/// Refuses decompositions that have no room where they are computed, which is where the model is.
Result<void> checkRoom(const Call& call, const CompressionPlan& plan, const ModelShape& shape) {
  KVISTA_ASSIGN(const c10::Device device, openDevice(call.workspace.settings().device));
  return checkMemory(planBytes(plan, shape), device, "The decompositions");
}

}  // namespace

Result<nlohmann::json> makePlanFor(Call& call) {
  Fields fields(call.params, "the parameters of makePlan");
  const auto wish = fields.record<PlanWish>("wish");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_CHECK(checkRoom(call, widestPlan(inputs.model->description.shape), inputs.model->description.shape));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const PlanWithSpectra made, makePlan(*decoder, inputs.statistics.get(), requestOf(wish), call.task));
  return nlohmann::json{{"planned", toJson(made.planned)}, {"units", unitsToJson(made.units)}};
}

Result<nlohmann::json> decompose(Call& call) {
  Fields fields(call.params, "the parameters of decompose");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  KVISTA_ASSIGN(const std::vector<int> layers, layersOf(fields, inputs.model->description.shape));
  KVISTA_CHECK(checkRoom(call, plan, inputs.model->description.shape));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const std::vector<BudgetUnit> units,
                decomposeGroups(*decoder, inputs.statistics.get(), plan, layers, call.task));
  return unitsToJson(units);
}

Result<nlohmann::json> planErrors(Call& call) {
  Fields fields(call.params, "the parameters of planErrors");
  KVISTA_ASSIGN(Inputs inputs, openInputsWithStatistics(call, fields));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const auto transform, transformOf(call, inputs));
  KVISTA_ASSIGN(const PlanErrorsRecord errors, planErrorsOf(*decoder, *inputs.statistics, plan, *transform, call.task));
  return toJson(errors);
}

Result<nlohmann::json> shareLayersFor(Call& call) {
  Fields fields(call.params, "the parameters of shareLayers");
  SharingRecord record;
  SharingRequest request;
  const bool isGiven = fields.has("sharedFrom");
  if (isGiven) record.sharedFrom = fields.counts("sharedFrom", 0, 65535);
  if (fields.has("count")) request.layers = fields.count("count", 0, 65535);
  if (fields.has("least")) request.threshold = fields.number("least", -1, 1);
  KVISTA_ASSIGN(const Inputs inputs, openInputsWithStatistics(call, fields));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  const at::Tensor& ids = inputs.statistics->tokenIds;
  if (isGiven) {
    KVISTA_ASSIGN(record.cosine, cosineWithSharing(*decoder, ids, record.sharedFrom, call.task));
    return toJson(record);
  }
  KVISTA_ASSIGN(LayerSharing found, shareLayers(*decoder, ids, request, call.task));
  return toJson(SharingRecord{std::move(found.sharedFrom), found.cosine, found.refused, std::move(found.distances)});
}

}  // namespace kvista
