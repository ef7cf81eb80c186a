// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/rope.h"
#include "core/plan/shape.h"

namespace kvista {

struct Checkpoint;

/// y = x W^T + b: where the weight [out, in] and the bias [out] lie in the checkpoint.
struct LinearDescription {
  std::string weight;  ///< Tensor name.
  std::string bias;    ///< Tensor name; empty: no bias.
  std::int64_t in = 0;
  std::int64_t out = 0;
};

/// Root-mean-square norm over the last `width` numbers: x / sqrt(mean(x^2) + epsilon) * weight.
struct NormDescription {
  std::string weight;  ///< Tensor name, [width].
  std::int64_t width = 0;
  double epsilon = 0;
};

/// The nonlinearity of a gated MLP: down(activation(gate(x)) * up(x)).
enum class Activation { silu, gelu, geluTanh, relu };

struct AttentionDescription {
  LinearDescription query, key, value, output;
  std::optional<NormDescription> queryNorm, keyNorm;  ///< Over each head's numbers, before RoPE.
  std::optional<std::int64_t> slidingWindow;          ///< Keys a query sees, itself included; absent: all before it.
};

struct MlpDescription {
  LinearDescription gate, up, down;
  Activation activation = Activation::silu;
};

/// One decoder block: x += attention(norm(x)); x += mlp(norm(x)).
struct LayerDescription {
  NormDescription attentionNorm;
  AttentionDescription attention;
  NormDescription mlpNorm;
  MlpDescription mlp;
};

/// Everything the decoder engine needs to know about a model, and nothing about its family: families differ only in
/// how they fill this in. A plain value.
struct DecoderDescription {
  ModelShape shape;
  std::string embedding;  ///< Tensor name, [vocabulary, hiddenSize].
  std::vector<LayerDescription> layers;
  NormDescription finalNorm;
  LinearDescription head;  ///< A tied head names the embedding as its weight.
  RopeDescription rope;
  double attentionScale = 1;          ///< Scores are query . key times this.
  std::int64_t maximumPositions = 0;  ///< Tokens the model was made for; longer input is computed all the same.
  std::vector<std::string> warnings;  ///< What a user should know though the model can be used.
};

/// A tensor that a description uses.
struct RequiredTensor {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// Every tensor the description uses, each once, in the order of use.
std::vector<RequiredTensor> requiredTensors(const DecoderDescription& description);

/// Reads the configuration by its family, without looking at any tensor. `source` names it in messages ("config.json of
/// /models/x").
Result<DecoderDescription> describeConfig(const nlohmann::json& config, const std::string& source);

/// Reads the configuration by its family and checks that every tensor it needs is there with the right shape and a
/// floating-point type. Headers only: no weight is read. Errors: unsupportedModel (what is not supported is named, with
/// what is), corruptFile (field or tensor, with the numbers).
Result<DecoderDescription> describe(const Checkpoint& checkpoint);

}  // namespace kvista
