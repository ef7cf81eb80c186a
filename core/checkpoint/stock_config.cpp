// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/stock_config.h"

namespace kvista {

nlohmann::json stockConfig(const Checkpoint& checkpoint) {
  nlohmann::json config = checkpoint.config;
  if (checkpoint.format != Checkpoint::Format::gguf || !config.contains("rope_parameters")) return config;
  nlohmann::json rope = std::move(config["rope_parameters"]);
  config.erase("rope_parameters");
  if (rope.contains("rope_theta")) {
    config["rope_theta"] = rope["rope_theta"];
    rope.erase("rope_theta");
  }
  const std::string type = rope.value("rope_type", "default");
  if (type == "default") return config;
  if (type == "factors") {
    rope = {{"rope_type", "longrope"},
            {"factor", 1.0},
            {"attention_factor", 1.0},
            {"original_max_position_embeddings", config.value("max_position_embeddings", 0)},
            {"short_factor", rope["factors"]},
            {"long_factor", rope["factors"]}};
  }
  config["rope_scaling"] = std::move(rope);
  return config;
}

}  // namespace kvista
