// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// forecastMemory: what a work would take, before anybody starts it.
#include <algorithm>

#include "core/engine/memory_forecast.h"
#include "core/engine/methods/inputs.h"
#include "core/model/device.h"
#include "core/refine/refine.h"

namespace kvista {
namespace {

enum class Work { calibrate, plan, measure, refine, exportPlan };
constexpr std::array kWorks = {Named{"calibrate", Work::calibrate}, Named{"makePlan", Work::plan},
                               Named{"evaluate", Work::measure}, Named{"refine", Work::refine},
                               Named{"export", Work::exportPlan}};

/// Weights that are there take nothing more; while they are being loaded they count as still to come.
std::int64_t weightsToCome(WorkModel& model, c10::Device device, const EngineSettings& settings) {
  const std::unique_lock lock(model.mutex, std::try_to_lock);
  return lock && model.decoder
             ? 0
             : weightBytes(model.checkpoint, model.description, device, settings.dtype, settings.streamLayers);
}

}  // namespace

Result<nlohmann::json> forecastMemory(Call& call) {
  Fields fields(call.params, "the parameters of forecastMemory");
  const Work work = fields.choice("method", kWorks);
  const bool gradients = !fields.has("gradients") || fields.boolean("gradients");
  const int windowsPerStep =
      fields.has("windowsPerStep") ? fields.count("windowsPerStep", 1, 4096) : RefineRequest{}.windowsPerStep;
  TextSelection text;
  if (fields.has("text")) text = fields.record<TextSelection>("text");
  KVISTA_ASSIGN(const Inputs inputs, openInputs(call, fields));
  WorkModel& model = *inputs.model;
  const ModelShape& shape = model.description.shape;
  const EngineSettings& settings = call.workspace.settings();
  KVISTA_ASSIGN(const c10::Device device, openDevice(settings.device));

  std::int64_t computing = weightsToCome(model, device, settings), hosting = 0;
  const std::int64_t window = recipeOf(text, model.description).window;
  switch (work) {
    case Work::calibrate:
      computing += calibrationBytes(shape, gradients, tokensPerPass(window, device));
      break;
    case Work::plan:
      computing += planBytes(widestPlan(shape), shape);
      break;
    case Work::refine: {
      KVISTA_ASSIGN(const CompressionPlan plan, planOf(inputs));
      computing += refiningBytes(plan, shape, windowsPerStep * window, device);
      hosting += planBytes(plan, shape);
      break;
    }
    case Work::measure:
      computing += activationBytes(shape, tokensPerPass(window, device));
      [[fallthrough]];
    case Work::exportPlan:
      if (inputs.plan) hosting += planBytes(*inputs.plan, shape);
      break;
  }
  std::vector<MemoryForecast> forecast;
  const auto add = [&](c10::Device place, std::int64_t bytes) {
    forecast.push_back({describeDevice(place), bytes, availableMemory(place)});
  };
  if (device.is_cpu()) {
    add(device, computing + hosting);
  } else {
    add(device, computing);
    if (hosting > 0) add(c10::kCPU, hosting);
  }
  return listOf(forecast);
}

}  // namespace kvista
