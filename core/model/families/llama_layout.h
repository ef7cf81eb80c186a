// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/error.h"
#include "core/model/config_reader.h"
#include "core/model/description.h"

namespace kvista::families {

/// What the Llama-like families give differently: values for absent keys and hard-wired choices.
struct LlamaVariant {
  std::optional<std::int64_t> kvHeads;  ///< num_key_value_heads when absent; nothing: as many as query heads.
  std::optional<std::int64_t> headDim = {};  ///< head_dim when absent; nothing: hidden_size / num_attention_heads.
  std::int64_t maximumPositions = 2048;
  bool queryKeyValueBias = false;
  bool outputBias = false;
  bool mlpBias = false;
  bool headNorms = false;  ///< RMS norms over each head of q and k.
};

/// The block that Llama made common: RMS norm, separate q, k, v, o, rotary heads, gated MLP, under Llama's tensor
/// names.
Result<DecoderDescription> describeLlamaLayout(const ConfigReader& config, const LlamaVariant& variant);

/// Qwen's sliding windows: only with use_sliding_window, then by layer_types or from layer max_window_layers on.
Result<void> readQwenWindows(const ConfigReader& config, DecoderDescription& description);

/// Bounds of the numbers that configurations give: far above every model, far below what could overflow a product.
inline constexpr std::int64_t kMaximumLayers = 10'000;
inline constexpr std::int64_t kMaximumWidth = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaximumVocabulary = std::int64_t{1} << 26;
inline constexpr std::int64_t kMaximumPositions = std::int64_t{1} << 40;

}  // namespace kvista::families
