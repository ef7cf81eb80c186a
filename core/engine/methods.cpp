// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/engine/method.h"

namespace kvista {

const std::vector<EngineMethod>& engineMethods() {
  static const std::vector<EngineMethod> all = {
      {"hello", Lane::light, hello},
      {"list", Lane::light, listChoices},
      {"cancel", Lane::reader},
      {"open", Lane::light, open},
      {"examinePath", Lane::light, examinePath},
      {"forecastMemory", Lane::light, forecastMemory},
      {"calibrate", Lane::compute, calibrateModel},
      {"openStatistics", Lane::light, openStatistics},
      {"similarity", Lane::compute, similarity, similarityAtOnce},
      {"layerSpectra", Lane::compute, layerSpectra, layerSpectraAtOnce},
      {"makePlan", Lane::compute, makePlanFor},
      {"decompose", Lane::compute, decompose},
      {"planErrors", Lane::compute, planErrors},
      {"shareLayers", Lane::compute, shareLayersFor},
      {"evaluate", Lane::compute, evaluate},
      {"evaluatePolicy", Lane::compute, evaluatePolicy},
      {"tokenLosses", Lane::compute, tokenLosses},
      {"generate", Lane::compute, generate},
      {"checkPolicy", Lane::light, checkPolicyFor},
      {"retrieval", Lane::compute, retrieval},
      {"tasks", Lane::compute, tasks},
      {"agreement", Lane::compute, agreement},
      {"trainPredictor", Lane::compute, trainPredictorFor},
      {"ranks", Lane::compute, ranks},
      {"keyVariants", Lane::compute, keyVariants},
      {"experiment", Lane::compute, experiment},
      {"refine", Lane::compute, refinePlan, nullptr, true},
      {"previewExport", Lane::light, previewExport},
      {"export", Lane::compute, exportPlan},
      {"verify", Lane::compute, verify},
      {"report", Lane::compute, report},
  };
  return all;
}

const EngineMethod* findEngineMethod(std::string_view name) {
  const auto found = std::ranges::find(engineMethods(), name, &EngineMethod::name);
  return found == engineMethods().end() ? nullptr : &*found;
}

}  // namespace kvista
