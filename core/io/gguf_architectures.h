// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "core/base/error.h"
#include "core/io/gguf_keys.h"

namespace kvista {

/// What llama.cpp's converter did to a tensor, and is undone when it is read.
enum class GgufChange {
  none,
  queryHalves,   ///< Rows of each query head: its two halves are interleaved.
  keyHalves,     ///< The same of key heads.
  byProjection,  ///< Rows of queries, keys and values, which Hugging Face has group by group of heads, stand together.
  transposed,    ///< Hugging Face has it as [in, out].
  plusOne,       ///< 1 was added to every number.
  divided,  ///< Queries, keys and values, which Hugging Face has apart as q, k and v in place of "{}", are one matrix.
  apart,    ///< Latent attention's expansion was divided into keys (transposed) and values.
};

/// A tensor of the model, or of a layer ("blk.N." before it, ".weight" or ".bias" after it). "{}" in Hugging Face's
/// name is an index: the tensor holds one of that name after the other along its first axis.
struct GgufName {
  std::string_view gguf;
  std::string_view huggingFace;
  GgufChange change = GgufChange::none;
  bool canHaveBias = true;
};

/// The sizes that all architectures give.
struct GgufSizes {
  std::int64_t layers = 0, hidden = 0, heads = 0, kvHeads = 0, headDim = 0;
};

enum class GgufRope {
  none,
  whole,     ///< All of a head rotates.
  partial,   ///< Its first rope.dimension_count numbers do.
  separate,  ///< Numbers of their own do, of which every head has rope.dimension_count.
};

/// One architecture in Hugging Face's terms.
struct GgufArchitecture {
  std::string_view name;       ///< general.architecture
  std::string_view modelType;  ///< As in config.json; this and the class unless `describe` says otherwise.
  std::string_view className;
  std::string_view marker = {};  ///< Only where the first layer has this tensor.
  std::string_view layerPrefix = "model.layers.";
  std::span<const GgufName> modelNames = {};
  std::array<std::span<const GgufName>, 3> layerNames = {};
  bool hasLayerNorm = false;                     ///< attention.layer_norm_epsilon, not layer_norm_rms_epsilon.
  std::string_view epsilonKey = "rms_norm_eps";  ///< In config.json.
  std::string_view intermediateKey = "intermediate_size";  ///< In config.json.
  GgufRope rope = GgufRope::whole;
  std::array<std::string_view, 6> keys = {};  ///< Those that `describe` reads of keys that change what is computed.
  /// Adds to config.json what is this architecture's own.
  Result<void> (*describe)(const GgufKeys& keys, const GgufSizes& sizes, nlohmann::json& config) = nullptr;
};

/// All of them; of several with one name the first whose marker is there is meant.
std::span<const GgufArchitecture> ggufArchitectures();

/// Of `rope_parameters` what GGUF says. `count`: numbers of a head that rotate.
Result<nlohmann::json> ggufRope(const GgufKeys& keys, std::int64_t count);

// What architectures have of their own.
namespace gguf {
using Describe = Result<void>(const GgufKeys&, const GgufSizes&, nlohmann::json&);
Describe llama, mixtral, qwen2, qwen3, qwen3Experts, granite, gemma, gemma2, gemma3, phi2, phi3, starcoder, starcoder2,
    gptneox, falcon, stablelm, olmo, commandR, glm, deepseek2;
}  // namespace gguf

}  // namespace kvista
