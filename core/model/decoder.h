// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/description.h"
#include "core/model/head.h"
#include "core/model/operators.h"
#include "core/model/weights.h"
#include "core/plan/shape.h"

namespace kvista {

struct Checkpoint;
struct PassContext;

/// Where and in which arithmetic a decoder runs.
struct ComputeOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< kFloat or kBFloat16.
  /// How much the backward pass may keep instead of computing it twice; it needs the layers' inputs and one layer's
  /// activations in any case. Not given: 1 GiB, or on a GPU that holds all layers half of what they leave free.
  std::optional<std::int64_t> activationBudgetBytes;
  /// Keep no more than two layers' matrices on the device and read the others from the file as a pass comes to them. A
  /// GPU that the weights do not fit on does so without being asked. Such a pass takes all its windows through one
  /// layer before the next; what they hand on waits on the device where it fits into `activationBudgetBytes`, else in
  /// main memory.
  bool streamLayers = false;
  /// Tokens that go through a layer at a time, in whole windows; 0: what keeps the device busy.
  std::int64_t tokensPerStep = 0;
};

/// What one layer puts into its cache, seen from outside. All are [batch, tokens, heads * width], head-major, raw:
/// the projections' outputs with bias, before per-head norms, clipping and RoPE.
struct KeyValues {
  at::Tensor keys;
  at::Tensor values;
  /// [batch, tokens, hiddenSize]: what they were projected from, where a transform or a store is given them.
  at::Tensor input = {};
};

class Decoder;

/// What a growing sequence leaves behind in a form of its own, in place of what attention sees.
class SequenceStore {
 public:
  virtual ~SequenceStore() = default;
  /// Tokens behind those that are there: outputs of `layer`'s projections without their bias, [1, n, width], and the
  /// keys as attention would see them, [1, kvHeads, n, headDim].
  virtual void append(int layer, const KeyValues& raw, const at::Tensor& rotatedKeys) = 0;
  /// Attention of the last token to all of them: `query` [1, queryHeads, 1, headDim] after RoPE, answers [1, 1,
  /// queryHeads * valueHeadDim]. Undefined where `rebuilt` has to be attended to.
  virtual at::Tensor attend(int layer, const at::Tensor& query) const = 0;
  /// Every token's outputs as they are read back. rotatedKeys is undefined where keys are kept before RoPE, raw.keys is
  /// without meaning where it is not.
  struct Tokens {
    KeyValues raw;
    at::Tensor rotatedKeys;
  };
  [[nodiscard]] virtual Tokens rebuilt(int layer) const = 0;
  /// Bytes of all layers, a 16-bit direction counted as 2 though float32 arithmetic keeps it in 4.
  [[nodiscard]] virtual std::int64_t bytes() const = 0;
};

/// Stands between the projections and the attention, so that a compressed cache can be simulated. Both are given every
/// token of a window at once and answer tensors of the same shape. Must be differentiable-safe: no in-place changes.
class CacheTransform {
 public:
  virtual ~CacheTransform() = default;
  /// A pass through all layers begins: what one that was stopped has left behind is void.
  virtual void beginPass() const {}
  /// Outputs of `layer`'s projections without their bias, before norm and RoPE.
  virtual KeyValues beforeRope(int layer, KeyValues raw) const {
    (void)layer;
    return raw;
  }
  /// Keys of `layer` as attention sees them, [batch, kvHeads, tokens, headDim].
  virtual at::Tensor afterRope(int layer, at::Tensor keys) const {
    (void)layer;
    return keys;
  }
  /// Whether what becomes of a token depends on its own numbers alone, once it stands behind the first
  /// `leadingTokens()` of the sequence. Otherwise (blocks that share a scale) a growing cache is transformed anew for
  /// each token.
  [[nodiscard]] virtual bool isTokenwise() const { return false; }
  [[nodiscard]] virtual std::int64_t leadingTokens() const { return 0; }
  /// What keeps a sequence that `decoder` reads as this would have it stored; null where nothing does, and the cache
  /// holds what attention sees.
  [[nodiscard]] virtual std::unique_ptr<SequenceStore> makeStore(const Decoder& decoder) const {
    (void)decoder;
    return nullptr;
  }
};

/// What a pass over one layer saw, handed to a visitor. Tensors are only valid during the call. Gradients are undefined
/// tensors when the pass has none; they are d(sum of the windows' token losses) / d(raw keys or values). Keys and
/// values are what the projections gave; rotatedKeys what attention used, after a transform if there is one.
struct LayerRecord {
  int layer = 0;
  std::int64_t firstWindow = 0;  ///< Where in the pass's windows this record's begin.
  at::Tensor attentionInput;     ///< [b, n, hiddenSize]: what q, k and v are projected from (after the layer's norm).
  at::Tensor keys, values;       ///< Raw, [b, n, width].
  at::Tensor rotatedKeys;        ///< [b, kvHeads, n, headDim]: after norm and RoPE.
  at::Tensor rotatedQueries;     ///< [b, queryHeads, n, d]; d is headDim but with latent attention.
  at::Tensor attentionOutput;    ///< [b, n, queryHeads * dv]: before the output projection; dv likewise valueHeadDim.
  at::Tensor gradientKeys, gradientValues;  ///< As keys, values.
  at::Tensor gradientRotatedKeys;           ///< As rotatedKeys.
};
using LayerVisitor = std::function<Result<void>(const LayerRecord&)>;

/// What a sequence that grows token by token has left behind, a layer each: as attention sees it, and the raw outputs
/// without bias where a transform needs to see all of them again.
struct DecoderCache {
  struct Layer {
    at::Tensor rotatedKeys;  ///< [1, kvHeads, tokens, headDim]
    at::Tensor values;       ///< [1, tokens, width]
    KeyValues raw;           ///< [1, tokens, width]
  };
  std::vector<Layer> layers;
  std::int64_t tokens = 0;
  std::unique_ptr<SequenceStore> store;  ///< If there is one, it takes the layers' place.
  std::vector<RotaryTable> ropes;        ///< Then: of every token's rotation when it came.
};

struct LiveCache;
struct LiveLayer;

struct ForwardResult {
  at::Tensor hiddenLast;  ///< [b, n, hiddenSize]: input of the language-model head.
  at::Tensor logits;      ///< [b, n, vocabulary], only if asked for.
};

/// The model as far as its embedding goes: see EmbeddingDescription. `ids` [b, n] int64, the first of each window
/// standing at `firstPosition`; [b, n, hiddenSize].
at::Tensor embedTokens(const DecoderDescription& description, const DecoderWeights& weights, const at::Tensor& ids,
                       std::int64_t firstPosition);
/// From the last layer's output [b, n, hiddenSize] to the head's input [b, n, width]: see HeadDescription.
/// Differentiable.
at::Tensor headInput(const DecoderDescription& description, const DecoderWeights& weights, const at::Tensor& hidden);

/// A decoder-only language model driven by its family's description. Immutable after loading; passes may run from
/// several threads. Weights are views of the mapped file where the dtype allows it.
class Decoder {
 public:
  /// Reads every weight the description names, checks shapes and finiteness (NaN or infinity in a weight is an error of
  /// code numerical, naming tensor and index), and moves them to the device.
  static Result<std::shared_ptr<const Decoder>> load(const Checkpoint& checkpoint, const ComputeOptions& options,
                                                     const Task& task);

  [[nodiscard]] const DecoderDescription& description() const { return description_; }
  [[nodiscard]] const ModelShape& shape() const { return description_.shape; }
  [[nodiscard]] const ComputeOptions& options() const { return options_; }
  /// The same decoder, sharing all weights, with another size of steps.
  [[nodiscard]] Decoder withTokensPerStep(std::int64_t tokens) const;
  [[nodiscard]] std::int64_t tokensPerStep() const;
  /// Windows of `window` tokens to give to one pass: a step's, or with streamed layers as many as what they hand on
  /// from layer to layer fits into half of the main memory that is free now.
  [[nodiscard]] std::int64_t windowsPerPass(std::int64_t window, bool backward) const;
  /// Weight [out, in] and bias (may be undefined) of K or V of a layer as logical slices, whatever the file's layout.
  [[nodiscard]] at::Tensor keyWeight(int layer) const;
  [[nodiscard]] at::Tensor keyBias(int layer) const;
  /// See AttentionDescription; undefined where the layer has none.
  [[nodiscard]] at::Tensor attentionSinks(int layer) const;
  [[nodiscard]] at::Tensor valueWeight(int layer) const;
  [[nodiscard]] at::Tensor valueBias(int layer) const;
  /// Weight [hidden size, query heads * width of a value head] of a layer's output projection, query heads in order;
  /// with latent attention the width is that of what a head attends to.
  [[nodiscard]] at::Tensor outputWeight(int layer) const;
  /// Per-head norm (if any) and rotation of raw keys [rows, kvHeads * headDim] at `positions` [rows] (int64), as the
  /// attention of `layer` would see them in a sequence of `sequenceLength` tokens: [rows, kvHeads, headDim].
  [[nodiscard]] at::Tensor rotateKeys(int layer, const at::Tensor& keys, const at::Tensor& positions,
                                      std::int64_t sequenceLength) const;
  /// What each head of `layer` attends to: see attendedHeads in decoder_layer.h.
  [[nodiscard]] KeyValues attendedHeads(int layer, const at::Tensor& rotatedKeys, const at::Tensor& values) const;

  /// `ids`: int64 [b, n], positions from 0. `visitor` (may be empty) sees the layers in rising order; `transform` may
  /// be null. Answers cancelled between layers when the task is stopped.
  Result<ForwardResult> forward(const at::Tensor& ids, const CacheTransform* transform, const LayerVisitor& visitor,
                                bool wantLogits, const Task& task) const;

  /// The three steps of a pass that changes one layer before the next one is reached: the residual stream [b, n,
  /// hiddenSize] before the first layer; what a layer's projections see of its input; and the next layer's input.
  Result<at::Tensor> embed(const at::Tensor& ids) const;
  Result<at::Tensor> attentionInputOf(int layer, const at::Tensor& hidden) const;
  Result<at::Tensor> advance(int layer, const at::Tensor& hidden, const CacheTransform* transform) const;

  /// Goes on with a sequence: `ids` int64 [1, n] stand behind the `cache.tokens` tokens before them; n is any number
  /// for an empty cache (the prompt) and 1 afterwards. Answers the logits behind the last token, float32 [vocabulary]
  /// on the CPU. The same numbers as `forward` of the whole sequence; RoPE of types that depend on the sequence's
  /// length rotates a token for the length it had when it came.
  Result<at::Tensor> nextToken(const at::Tensor& ids, DecoderCache& cache, const CacheTransform* transform,
                               const Task& task) const;

  /// Reads `ids` int64 [b, n] behind what `cache` holds of b sequences, or begins with them: every query sees the
  /// cached tokens and those of `ids` up to its own, as far as the family lets it. They join the cache. `transform` may
  /// be null; other than tokenwise ones are refused. Answers the head's input, [b, n, width].
  Result<at::Tensor> extend(const at::Tensor& ids, LiveCache& cache, const CacheTransform* transform,
                            const Task& task) const;
  /// What the last queries of a layer that has read `tokens` tokens give each place of its cache, [b, queryHeads, w,
  /// s], float32, rows of sum 1 (a sink's share left out); queries do not see what stands behind them.
  [[nodiscard]] at::Tensor recentAttention(int layer, const LiveLayer& cache, std::int64_t tokens) const;
  /// Logits of the head's input [..., width] of a pass that is known: float32 [..., vocabulary].
  Result<at::Tensor> logitsBehind(const at::Tensor& headInput) const;
  /// Losses of a pass whose head's input is known: `headInput` [b, n, width] of `ids` [b, n]; float32 [b, n-1].
  Result<at::Tensor> lossesBehind(const at::Tensor& headInput, const at::Tensor& ids, const Task& task) const;

  /// Negative log-likelihood of each next token, float32 [b, n-1], n at least 2; the logits never exist whole for a
  /// long window.
  Result<at::Tensor> tokenLosses(const at::Tensor& ids, const CacheTransform* transform, const Task& task) const;

  /// Forward, then backward layer by layer with recomputation, so that memory holds the layers' inputs and one layer's
  /// activations, besides what the budget allows to keep. `visitor` sees the layers in falling order, gradients
  /// included. Answers the sum of token losses.
  Result<double> forwardBackward(const at::Tensor& ids, const LayerVisitor& visitor, const Task& task) const;

  /// A step of teaching (methods.md section 12): the model as it is (teacher) and as `student` makes it both read
  /// `ids`; then backward through the student, with memory as in forwardBackward. The gradient of the answer is added
  /// to `grad` of every leaf that `student` computes with and that wants one. Answers the mean over tokens of
  /// KL(teacher || student) of the next-token distributions, nats.
  Result<double> distil(const at::Tensor& ids, const CacheTransform& student, const Task& task) const;
  /// The same number without gradients.
  Result<double> divergence(const at::Tensor& ids, const CacheTransform& student, const Task& task) const;

 private:
  Decoder(DecoderDescription description, const ComputeOptions& options, DecoderWeights weights)
      : description_(std::move(description)), options_(options), weights_(std::move(weights)) {}
  [[nodiscard]] Result<void> checkIds(const at::Tensor& ids, std::int64_t minimumTokens) const;
  /// Refuses more tokens than there are learned positions.
  [[nodiscard]] Result<void> checkLength(std::int64_t tokens) const;
  [[nodiscard]] Head head() const;
  [[nodiscard]] PassContext beginPass(std::int64_t tokens, const CacheTransform* transform) const;
  [[nodiscard]] at::Tensor matrixOf(int layer, const LinearDescription& linear, const LinearWeights& weights) const;
  /// The windows of a pass, as many at a time as go through a layer together.
  struct Step {
    std::int64_t first, count;
    [[nodiscard]] at::Tensor of(const at::Tensor& all) const { return all.narrow(0, first, count); }
  };
  [[nodiscard]] std::vector<Step> stepsOf(const at::Tensor& ids) const;
  /// Refuses what needs all layers on the device.
  [[nodiscard]] Result<void> checkResident() const;
  /// A layer's weights on the device, read for this call if they are not there.
  [[nodiscard]] Result<LayerWeights> layerOnDevice(int layer) const;
  /// runLayers and forwardBackward with streamed layers; `ids` are on the device.
  Result<at::Tensor> runLayersStreamed(const at::Tensor& ids, const CacheTransform* transform,
                                       const LayerVisitor& visitor, const Task& task) const;
  Result<double> forwardBackwardStreamed(const at::Tensor& ids, const LayerVisitor& visitor, const Task& task) const;
  /// All layers and the final norm: the head's input. With streamed layers it may lie in main memory.
  Result<at::Tensor> runLayers(const at::Tensor& ids, const CacheTransform* transform, const LayerVisitor& visitor,
                               const Task& task) const;

  DecoderDescription description_;
  ComputeOptions options_;
  DecoderWeights weights_;
};

}  // namespace kvista
