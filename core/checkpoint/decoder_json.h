// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/description.h"

namespace kvista {

/// The decoder as the exported model code (resources/model_code) understands it: `decoder` and, for each layer, its rope and
/// window. Nothing in it depends on the family. Errors (unsupportedModel): layers that differ in what the model code takes
/// to be the same in all.
struct DecoderJson {
  nlohmann::json decoder;
  std::vector<nlohmann::json> layers;
};
Result<DecoderJson> describeForModelCode(const DecoderDescription& description);

/// A tensor of the model that is not a key or value weight, as the model code names it and as the checkpoint does.
struct TensorRole {
  std::string name;    ///< "model.layers.0.mlp.up_proj.weight"
  std::string source;  ///< The description's name for it.
};
std::vector<TensorRole> tensorRoles(const DecoderDescription& description);

/// "model.layers.{layer}.self_attn."
std::string attentionPrefix(int layer);

}  // namespace kvista
