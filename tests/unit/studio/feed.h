// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "app/studio/document.h"
#include "app/studio/engine_client.h"

namespace kvista::test {

/// Asks for the spectra that a document lacks, whenever it lacks some.
inline void feed(Document& document, EngineClient& engine) {
  const auto ask = [&document, &engine] {
    if (document.staleLayers().empty()) return;
    const CompressionPlan plan = document.plan();
    engine.preview<std::vector<BudgetUnit>>("spectra", "decompose",
                                            {{"plan", toJson(plan)}, {"layers", document.staleLayers()}}, unitsFromJson,
                                            &document, [&document, plan](Result<std::vector<BudgetUnit>> units) {
                                              if (units) document.addSpectra(plan, *std::move(units));
                                            });
  };
  QObject::connect(&document, &Document::planChanged, &engine, ask);
  QObject::connect(&engine, &EngineClient::restarted, &engine, ask);
}

}  // namespace kvista::test
