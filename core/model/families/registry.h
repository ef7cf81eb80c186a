// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/model/config_reader.h"
#include "core/model/description.h"

namespace kvista {

/// A model family: how its config.json is read. `describe` fills in everything but shape.family and shape.parameters.
struct Family {
  std::string_view modelType;  ///< As `model_type` in config.json.
  Result<DecoderDescription> (*describe)(const ConfigReader& config);
};

/// The family of a model_type; null when there is none.
const Family* findFamily(std::string_view modelType);
/// The model types of all families, sorted.
std::vector<std::string_view> familyNames();

}  // namespace kvista
