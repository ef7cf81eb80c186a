// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/model/description.h"

namespace kvista {

/// The decoder as the exported model code understands it: resources/model_code/configuration_kvista.py says what the
/// fields mean, and which values are left out because they are what a missing field stands for. Nothing in it depends
/// on the family.
struct DecoderJson {
  nlohmann::json decoder;   ///< Embedding, head, ropes, and the kinds of blocks that there are.
  std::vector<int> blocks;  ///< Of each layer, its kind.
};
DecoderJson describeForModelCode(const DecoderDescription& description);

/// config.json of a model that our own code runs: sizes and special tokens under the names that transformers and
/// engines know, and `kvista` with the original's configuration, `decoder` and one entry a layer that says its block.
/// The rest is the form's.
nlohmann::json configForModelCode(const nlohmann::json& base, const DecoderDescription& description);

/// A tensor of the model that is not a key or value weight, as the model code names it and as the checkpoint does.
struct TensorRole {
  std::string name;    ///< "model.layers.0.mlp.up_proj.weight"
  std::string source;  ///< The description's name for it.
};
std::vector<TensorRole> tensorRoles(const DecoderDescription& description);

/// "model.layers.{layer}.self_attn."
std::string attentionPrefix(int layer);

}  // namespace kvista
