// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <nlohmann/json.hpp>

#include "app/studio/document.h"

namespace kvista {

/// What every request about the document's model begins with. It names files, so that an engine that died and came back
/// needs no reminding.
inline nlohmann::json modelParams(const Document& document) { return {{"model", document.modelPath().string()}}; }

/// The same about what it was calibrated on, where it was.
inline nlohmann::json statisticsParams(const Document& document) {
  nlohmann::json params = modelParams(document);
  if (document.statistics()) params["statistics"] = document.statistics()->path;
  return params;
}

/// The same about its plan.
inline nlohmann::json planParams(const Document& document) {
  nlohmann::json params = statisticsParams(document);
  params["plan"] = toJson(document.plan());
  if (const std::filesystem::path factors = document.refinedFactors(); !factors.empty())
    params["factors"] = factors.string();
  return params;
}

}  // namespace kvista
