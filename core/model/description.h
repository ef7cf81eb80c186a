// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_views.h"
#include "core/model/rope.h"
#include "core/plan/shape.h"

namespace kvista {

struct Checkpoint;
class TensorStore;

/// y = x W^T + b: where the weight [out, in] and the bias [out] lie in the checkpoint.
struct LinearDescription {
  std::string weight = {};  ///< Name of a tensor or of a view.
  std::string bias = {};    ///< Likewise; empty: no bias.
  std::int64_t in = 0;
  std::int64_t out = 0;

  bool operator==(const LinearDescription&) const = default;
};

enum class NormKind {
  rootMeanSquare,  ///< x / sqrt(mean(x^2) + epsilon) * weight.
  layer,           ///< (x - mean) / sqrt(variance + epsilon) * weight + bias, the variance over n.
};

/// A norm over the last `width` numbers.
struct NormDescription {
  std::string weight;  ///< [width], or [heads, width]; empty: ones.
  std::string bias;    ///< As weight; empty: none.
  std::int64_t width = 0;
  double epsilon = 0;
  NormKind kind = NormKind::rootMeanSquare;
  double weightOffset = 0;  ///< Added to the weight: 1 in Gemma, whose files hold what to add to 1.
  std::int64_t heads = 0;   ///< Above 0: a row of weights for each head.

  bool operator==(const NormDescription&) const = default;
};

enum class Activation { silu, gelu, geluTanh, relu, reluSquared };

/// GPT-OSS's: with g and u, its gate(x) at most `limit` and its up(x) within +-limit, the MLP is down(g sigmoid(slope
/// g) (u + 1)).
struct ClampedGate {
  double slope = 0, limit = 0;

  bool operator==(const ClampedGate&) const = default;
};

/// down(activation(gate(x)) * up(x)), or down(activation(up(x))) without a gate.
struct MlpDescription {
  std::optional<LinearDescription> gate;
  LinearDescription up, down;

  bool operator==(const MlpDescription&) const = default;
};

/// Which experts a token goes to: softmax over all of router(x) or the sigmoid of each, the `perToken` largest, their
/// weights divided by their sum if `renormalises`, times `scale`.
struct RouterDescription {
  LinearDescription linear = {};
  int perToken = 1;
  bool renormalises = true;
  double scale = 1;
  int groups = 1;  ///< DeepSeek: only experts of the `chosenGroups` groups with the largest weights are chosen from.
  int chosenGroups = 1;
  int groupBest = 1;       ///< How many of a group's largest weights, summed, say how large the group's are.
  bool isSigmoid = false;  ///< DeepSeek-V3, as is what follows.
  /// [experts]: added to the weights while experts are chosen, and only then; empty: none.
  std::string correction = {};

  bool operator==(const RouterDescription&) const = default;
};

/// The second half of a block: one MLP, or a mixture of experts.
struct FeedForwardDescription {
  Activation activation = Activation::silu;
  std::optional<ClampedGate> clampedGate = {};  ///< In place of the activation.
  std::vector<MlpDescription> experts = {};     ///< One, where there is no router.
  std::optional<RouterDescription> router = {};
  std::optional<MlpDescription> shared = {};         ///< Added for every token,
  std::optional<LinearDescription> sharedGate = {};  ///< times the sigmoid of this one number, where it is there.

  bool operator==(const FeedForwardDescription&) const = default;
};

/// Attention with linear biases (ALiBi, Press et al. 2022): slope * place of the key, added to the scores.
struct LinearBiases {
  std::vector<double> slopes;        ///< One per query head.
  bool isBeforeScale = false;        ///< Added before the scores are scaled (Falcon), not after (Bloom).
  bool isRoundedToBfloat16 = false;  ///< As transformers computes Falcon's.

  bool operator==(const LinearBiases&) const = default;
};

/// Multi-head latent attention (DeepSeek-V2, section 2.1): a token's cache is one latent c and one rotated key for all
/// heads. Here c counts as the layer's only value head (raw: before its norm) and the rotated key as its only key head.
/// With [k_h | v_h] = expansion(norm(c)) head h attends with keys [k_h | rotated key] and values v_h, and with queries
/// [q_h | rotated q_h].
struct LatentAttentionDescription {
  NormDescription latentNorm;
  LinearDescription expansion;  ///< Rows: of each head keyWidth, then valueWidth.
  int keyWidth = 0;             ///< Of a head's key that does not rotate.
  int valueWidth = 0;
  std::optional<LinearDescription> queryReduction = {};  ///< query(norm(queryReduction(x))).
  std::optional<NormDescription> queryReductionNorm = {};

  bool operator==(const LatentAttentionDescription&) const = default;
};

/// Queries at place p are multiplied by 1 + rate ln(1 + floor(p / every)).
struct QueryGrowth {
  double rate = 0;
  std::int64_t every = 1;

  bool operator==(const QueryGrowth&) const = default;
};

struct AttentionDescription {
  LinearDescription query, key, value, output;
  /// Over each head's numbers, or over those of all heads; before RoPE, or after it.
  std::optional<NormDescription> queryNorm, keyNorm;
  bool normsAfterRope = false;
  std::optional<std::int64_t> slidingWindow;  ///< Keys a query sees, itself included; absent: all before it.
  std::optional<int> rope;                    ///< Which of the model's ropes; absent: nothing rotates.
  double scale = 1;                           ///< Scores are query . key times this.
  double scoreCap = 0;                        ///< c: scores become c tanh(score / c); 0: none.
  double clip = 0;                            ///< Queries, keys and values are clamped to +-clip; 0: not.
  std::optional<LinearBiases> linearBiases;
  std::optional<QueryGrowth> queryGrowth;
  /// [queryHeads]: a score of each head that takes part in its softmax, and has no value; empty: none.
  std::string sinks;
  std::optional<LatentAttentionDescription> latent;

  bool operator==(const AttentionDescription&) const = default;
};

/// How a block's two halves A (attention) and F (feed-forward) stand on the residual stream, N being their norms.
enum class Arrangement {
  sequential,  ///< x += A(N1 x); x += F(N2 x).
  parallel,    ///< x += A(N1 x) + F(N2 x); where there is no N2, F(N1 x).
  normedSums,  ///< x = N1(x + A x); x = N2(x + F x).
};

/// One decoder block.
struct LayerDescription {
  Arrangement arrangement = Arrangement::sequential;
  std::optional<NormDescription> attentionNorm;  ///< N1.
  AttentionDescription attention;
  std::optional<NormDescription> attentionOutputNorm;  ///< Of what A answers, before it is added.
  std::optional<NormDescription> feedForwardNorm;      ///< N2.
  FeedForwardDescription feedForward;
  std::optional<NormDescription> feedForwardOutputNorm;
  double residualMultiplier = 1;  ///< Of what both halves add.

  bool operator==(const LayerDescription&) const = default;
};

/// From token ids to the residual stream: projection(embedding * multiplier) + positions, normed.
struct EmbeddingDescription {
  std::string weight;  ///< [vocabulary, width].
  std::int64_t width = 0;
  double multiplier = 1;
  std::optional<LinearDescription> projection;
  std::string positions;            ///< [maximumPositions + positionOffset, hiddenSize]; empty: none.
  std::int64_t positionOffset = 0;  ///< Row of position 0.
  std::optional<NormDescription> norm;
};

/// From the residual stream to logits: cap tanh(multiplier * linear(projection(norm(x))) / cap).
struct HeadDescription {
  std::optional<NormDescription> norm;
  std::optional<LinearDescription> projection;
  LinearDescription linear;  ///< A tied head names the embedding as its weight.
  double multiplier = 1;
  double cap = 0;  ///< 0: none.
};

/// Everything the decoder engine needs to know about a model, and nothing about its family: families differ only in
/// how they fill this in. A plain value.
struct DecoderDescription {
  ModelShape shape;
  EmbeddingDescription embedding;
  std::vector<LayerDescription> layers;
  HeadDescription head;
  std::vector<RopeDescription> ropes;  ///< Those that layers name.
  /// Tokens the model was made for; longer input is computed all the same, except by learned positions.
  std::int64_t maximumPositions = 0;
  std::map<std::string, TensorView> views;  ///< Names that layers use besides those of the checkpoint's tensors.
  std::vector<std::string> warnings;        ///< What a user should know though the model can be used.
};

/// A tensor that a description uses.
struct RequiredTensor {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// Every tensor the description uses, each once, in the order of use; views by their own names and shapes.
std::vector<RequiredTensor> requiredTensors(const DecoderDescription& description);

/// The same, with what views show in their place: what must lie in the checkpoint.
std::vector<RequiredTensor> storedTensors(const DecoderDescription& description);

/// Reads the configuration by its family, without looking at any tensor: names are those that transformers' classes
/// write. Of a multimodal configuration its text part. `source` names it in messages ("config.json of /models/x").
Result<DecoderDescription> describeConfig(const nlohmann::json& config, const std::string& source);

/// Not every checkpoint has the decoder where its class would put it: GPT-2's files lack "transformer.", multimodal
/// ones keep it below "language_model." and the like. Where the embedding stands, so does the rest, and names become
/// those of `store`; where that is not to be told, they remain. An export `latent` holds by itself what is a part of a
/// tensor elsewhere: there the view of it goes.
void findTensors(DecoderDescription& description, const TensorStore& store);

/// Reads the configuration by its family, finds the decoder's tensors, which may stand below another prefix than usual,
/// and checks that every one is there with the right shape and a floating-point type. Headers only: no weight is read.
/// Errors: unsupportedModel (what is not supported is named, with what is), corruptFile (field or tensor, with the
/// numbers).
Result<DecoderDescription> describe(const Checkpoint& checkpoint);

}  // namespace kvista
