// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/plan/plan.h"

namespace kvista {

/// Why layers of a method's plans cannot be chained (CompressionPlan::chain) that store so and group heads so, as in
/// "stores no codes"; empty where they can.
inline std::string_view whyNotChained(Storage storage, std::string_view grouping) {
  if (storage != Storage::coded) return "stores no codes";
  return grouping == "joint" ? "" : "may split a layer's heads, which one latent must hold";
}

}  // namespace kvista
