// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// makePlan, decompose, planErrors: what a plan is made from and what it loses, before anything is measured.
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
  auto wish = fields.record<PlanWish>("wish");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  PlanRequest request;
  request.method = wish.method;
  request.target = wish.target;
  request.rankStep = wish.rankStep;
  request.grouping = wish.grouping;
  request.groupSize = wish.groupSize;
  request.allocator = wish.allocator;
  request.metric = wish.metric;
  request.measure = wish.measure;
  request.damping = wish.damping;
  request.sinkFree = wish.sinkFree;
  request.centred = wish.centred;
  request.compensate = wish.compensate;
  request.unwhitened = wish.unwhitened;
  request.uncalibrated = wish.uncalibrated;
  request.sharedFrom = wish.sharedFrom;
  request.device = wish.device;
  request.context = wish.context;
  request.batch = wish.batch;
  request.manual = std::move(wish.keep);
  KVISTA_CHECK(checkRoom(call, widestPlan(inputs.model->description.shape), inputs.model->description.shape));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const PlanWithSpectra made, makePlan(*decoder, inputs.statistics.get(), request, call.task));
  return nlohmann::json{{"planned", toJson(made.planned)}, {"units", unitsToJson(made.units)}};
}

Result<nlohmann::json> decompose(Call& call) {
  Fields fields(call.params, "the parameters of decompose");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
  KVISTA_ASSIGN(const std::vector<int> layers, layersOf(fields, inputs.model->description.shape));
  KVISTA_CHECK(checkRoom(call, plan, inputs.model->description.shape));
  KVISTA_ASSIGN(const auto decoder, call.workspace.decoder(*inputs.model, call.task));
  KVISTA_ASSIGN(const std::vector<BudgetUnit> units, decomposeGroups(*decoder, inputs.statistics.get(), plan, layers, call.task));
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

}  // namespace kvista
