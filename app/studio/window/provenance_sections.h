// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "app/studio/document.h"
#include "app/studio/engine_client.h"
#include "views/provenance_view.h"

namespace kvista {

/// Where every number shown comes from: the programs and the machine, the model, the calibration, the plan, and each
/// measurement. Empty without a model.
std::vector<ProvenanceSection> provenanceOf(const Document& document, const EngineClient& engine);

}  // namespace kvista
