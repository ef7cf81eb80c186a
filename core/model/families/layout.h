// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/model/config_reader.h"
#include "core/model/description.h"

namespace kvista::families {

/// Bounds of the numbers that configurations give: far above every model, far below what could overflow a product.
inline constexpr std::int64_t kMaximumLayers = 10'000;
inline constexpr std::int64_t kMaximumWidth = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaximumVocabulary = std::int64_t{1} << 26;
inline constexpr std::int64_t kMaximumPositions = std::int64_t{1} << 40;
inline constexpr std::int64_t kMaximumParts = std::int64_t{1} << 18;  ///< Heads or experts of all layers together.

/// The norms of a family.
struct NormConventions {
  NormKind kind = NormKind::rootMeanSquare;
  std::string_view epsilonKey = "rms_norm_eps";  ///< Empty: always `epsilon`.
  double epsilon = 1e-6;                         ///< Where the key is absent.
  bool hasWeight = true;
  bool hasBias = false;
  double weightOffset = 0;
};

/// LayerNorm with weight and bias, as families after GPT-2 have it.
constexpr NormConventions layerNorm(std::string_view epsilonKey, double epsilon = 1e-5) {
  return {.kind = NormKind::layer, .epsilonKey = epsilonKey, .epsilon = epsilon, .hasBias = true};
}

/// The sizes of the model that a family is named after: a text part inside a multimodal model's configuration leaves
/// out what is the same.
struct ClassSizes {
  std::int64_t layers = 0, hidden = 0, heads = 0, intermediate = 0, vocabulary = 0;
};

/// Where a family's configuration says what, and what holds where it says nothing.
struct Conventions {
  ClassSizes sizes = {};
  std::string_view kvHeadsKey = "num_key_value_heads";  ///< Empty: always `kvHeads`.
  std::optional<std::int64_t> kvHeads = {};             ///< Nothing: as many as query heads.
  std::string_view headDimKey = "head_dim";
  std::optional<std::int64_t> headDim = {};  ///< Nothing: hidden size / query heads.
  std::string_view intermediateKey = "intermediate_size";
  bool isFourfold = false;  ///< The MLP is four times as wide as the residual stream, where the key is absent or empty.
  std::int64_t maximumPositions = 2048;
  std::string_view activationKey = "hidden_act";
  std::string_view activation = "silu";
  bool isTied = false;
  NormConventions norm = {};
  std::optional<RopeConventions> rope = RopeConventions{};
};

inline constexpr Conventions kGlmConventions = {
    .kvHeads = 2,
    .headDim = 128,
    .maximumPositions = 131072,
    .norm = {.epsilon = 1.5625e-7},
    .rope = RopeConventions{.fraction = 0.5, .fractionKey = "partial_rotary_factor", .isInterleaved = true}};

LinearDescription linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias);

/// In which order the rows of one matrix make queries, keys and values.
enum class FusedOrder {
  byProjection,  ///< All queries, all keys, all values.
  byGroup,       ///< For each key head its queries, then its key, then its value.
};

/// What the projections of attention are called, and which have biases.
struct AttentionParts {
  std::string_view query = "q_proj", key = "k_proj", value = "v_proj", output = "o_proj";
  bool bias = false;  ///< Of queries, keys and values.
  bool outputBias = false;
};

/// Experts: how a family's configuration gives their number, the number a token goes to, and an expert's width.
struct MixtureConventions {
  std::string_view expertsKey;
  std::int64_t experts = 0;  ///< This and the two below: where the key is absent; 0: it must be there.
  std::string_view perTokenKey = "num_experts_per_tok";
  std::int64_t perToken = 0;
  std::string_view widthKey = "moe_intermediate_size";
  std::int64_t width = 0;
};
struct Mixture {
  int experts = 0;
  int perToken = 0;
  std::int64_t width = 0;
};

/// A description in the making: sizes and conventions read, and parts that fit them to be put together by name. "Name"
/// is a tensor's without ".weight" or ".bias".
struct Layout {
  DecoderDescription description;
  NormConventions norms;  ///< With the epsilon that was read.
  Activation activation = Activation::silu;
  std::int64_t intermediate = 0;
  bool isTied = false;

  [[nodiscard]] std::int64_t hidden() const { return description.shape.hiddenSize; }
  [[nodiscard]] std::int64_t queryWidth() const {
    return std::int64_t{description.shape.queryHeads} * description.shape.headDim;
  }

  /// Calls fill("model.layers.0.", layer, 0) and so on for every layer.
  template <class Fill>
  void eachLayer(std::string_view prefix, Fill&& fill) {
    for (int index = 0; index < description.shape.layers; ++index)
      fill(fmt::format("{}{}.", prefix, index), description.layers[static_cast<std::size_t>(index)], index);
  }

  [[nodiscard]] NormDescription norm(const std::string& name, std::int64_t width) const;
  [[nodiscard]] NormDescription norm(const std::string& name) const { return norm(name, hidden()); }
  /// Of Conv1D, which stores a matrix as [in, out].
  LinearDescription transposed(const std::string& name, std::int64_t in, std::int64_t out);
  /// `view.block` times `view.blocks` rows of a matrix, and of its bias, under the name "matrix.weight[part]".
  LinearDescription rows(const std::string& name, std::string_view part, TensorView view, std::int64_t in, bool bias);

  /// Rows of matrix number `matrix` of a stack, under the name "tensor[matrix part]"; `view` with the stack's shape,
  /// `first` counting from that matrix's first row.
  LinearDescription ofStack(const std::string& tensor, std::string_view part, int matrix, TensorView view,
                            std::int64_t in);

  /// Attention of scale 1 / sqrt(head's width), with the model's first rope where it has one.
  [[nodiscard]] AttentionDescription attention(const std::string& prefix, const AttentionParts& parts = {}) const;
  /// The same with the rows of queries, keys and values in one matrix; biases as for all of `attention`'s.
  AttentionDescription fusedAttention(const std::string& fused, const std::string& output, FusedOrder order, bool bias,
                                      bool isTransposed = false);

  /// down(activation(gate(x)) * up(x)), named by `prefix` and "gate_proj", "up_proj" and "down_proj".
  [[nodiscard]] MlpDescription gatedMlp(const std::string& prefix, std::int64_t width, bool bias) const;
  /// The same with the rows of gate and up in one matrix "gate_up_proj".
  MlpDescription fusedGatedMlp(const std::string& prefix);
  /// down(activation(up(x))).
  [[nodiscard]] MlpDescription plainMlp(const std::string& up, const std::string& down, bool bias) const;
  [[nodiscard]] FeedForwardDescription feedForward(MlpDescription mlp) const {
    return {.activation = activation, .experts = {std::move(mlp)}};
  }

  /// Experts as `expert(0)` and so on give them, with a router of this name that chooses as `choice` says.
  template <class Expert>
  [[nodiscard]] FeedForwardDescription mixture(const std::string& router, const Mixture& mixture, Expert&& expert,
                                               RouterDescription choice = {}) const {
    FeedForwardDescription result{.activation = activation};
    choice.linear = linear(router, hidden(), mixture.experts, false);
    choice.perToken = mixture.perToken;
    result.router = std::move(choice);
    for (int index = 0; index < mixture.experts; ++index) result.experts.push_back(expert(index));
    return result;
  }

  /// Norms over each head of queries and keys, "q_norm" and "k_norm".
  void normHeads(const std::string& prefix, LayerDescription& layer) const;
  /// Each half's answer is normed and not what it reads, "post_attention_layernorm" and "post_feedforward_layernorm".
  void normAnswers(const std::string& prefix, LayerDescription& layer) const;
  /// Norms over all heads of queries, and of keys, together, "q_norm" and "k_norm".
  void normAllHeads(const std::string& prefix, LayerDescription& layer) const;
  /// Llama's decoder under Llama's names: x += A(N1 x); x += F(N2 x), projections apart, a gated MLP.
  void fillAsLlama(const AttentionParts& parts = {}, bool mlpBias = false);
  /// Token embedding and head, which are one matrix where the configuration ties them.
  void embed(const std::string& embedding, const std::string& head, bool headBias = false);
};

/// Reads and checks everything that `Conventions` speak of. Layers are there, and empty; what a tied head means,
/// `embed` does.
Result<Layout> readLayout(const ConfigReader& config, const Conventions& conventions);

Result<Activation> readActivation(const ConfigReader& config, std::string_view key, std::string_view absent);

/// Llama's decoder with Llama's conventions, the biases by `attention_bias` and `mlp_bias`.
Result<Layout> readLlama(const ConfigReader& config);

/// GPT-J's decoder, and Granite's.
Result<Layout> readGptJ(const ConfigReader& config);
Result<Layout> readGranite(const ConfigReader& config);

/// `sliding_window`: an absent key means `absent`, null that there is none.
Result<std::optional<std::int64_t>> readWindow(const ConfigReader& config, std::optional<std::int64_t> absent);

/// The same where windows have a switch of their own, `use_sliding_window`, which is off unless it is given.
Result<std::optional<std::int64_t>> readSwitchedWindow(const ConfigReader& config, std::optional<std::int64_t> absent);

/// Gives the window, where there is one, to the layers that `layer_types` calls sliding_attention; without that list to
/// those for which `absent(layer)` holds.
Result<void> readSlidingLayers(const ConfigReader& config, std::optional<std::int64_t> window,
                               const std::function<bool(int)>& absent, Layout& layout);

/// Which layers Qwen's mixtures make of experts: every decoder_sparse_step-th one that mlp_only_layers does not name.
Result<std::vector<bool>> readSparseLayers(const ConfigReader& config, const Layout& layout);

Result<Mixture> readMixture(const ConfigReader& config, const MixtureConventions& conventions, const Layout& layout);

/// Gemma 2's and 3's layers under their names: Gemma's, with norms of what each half answers, and scores scaled by
/// query_pre_attn_scalar. A cap whose key is absent is the family's, 0 being none.
struct CapConventions {
  double scores = 0, logits = 0;
};
Result<void> fillAsGemma2(const ConfigReader& config, const CapConventions& caps, Layout& layout);

/// The slopes of ALiBi for any number of heads (Press et al. 2022): powers of 2^(-8/n) for n heads where n is a power
/// of two; else those of the next smaller one, then every second of the next larger one.
std::vector<double> linearBiasSlopes(int heads);

}  // namespace kvista::families
