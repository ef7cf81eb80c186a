// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/checkpoint/gguf/metadata.h"

namespace kvista {
namespace {

/// A GGUF file holds numbers in 32 bits.
bool isClose(double a, double b) { return std::abs(a - b) <= 1e-6 * std::max(std::abs(a), std::abs(b)); }

bool isSame(const NormDescription& a, const NormDescription& b) {
  NormDescription other = b;
  other.epsilon = a.epsilon;
  return a == other && isClose(a.epsilon, b.epsilon);
}

bool isSame(const std::optional<NormDescription>& a, const std::optional<NormDescription>& b) {
  return a.has_value() == b.has_value() && (!a || isSame(*a, *b));
}

/// What rotates how far, whatever it is called.
bool isSame(const RopeDescription& a, const RopeDescription& b) {
  if (a.rotaryDim != b.rotaryDim || a.isInterleaved != b.isInterleaved ||
      !isClose(a.attentionFactor, b.attentionFactor))
    return false;
  const std::int64_t trained = std::max({a.trainedLength, b.trainedLength, std::int64_t{1}});
  for (const std::int64_t length : {std::int64_t{1}, trained, 4 * trained})
    if (!std::ranges::equal(inverseFrequencies(a, length), inverseFrequencies(b, length), isClose)) return false;
  return true;
}

bool isSame(const std::optional<LatentAttentionDescription>& a, const std::optional<LatentAttentionDescription>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return isSame(a->latentNorm, b->latentNorm) && a->expansion == b->expansion && a->keyWidth == b->keyWidth &&
         a->valueWidth == b->valueWidth && a->queryReduction == b->queryReduction &&
         isSame(a->queryReductionNorm, b->queryReductionNorm);
}

/// The rope that a layer's queries and keys go through; null: none.
const RopeDescription* ropeOf(const DecoderDescription& description, const AttentionDescription& attention) {
  return attention.rope ? &description.ropes[static_cast<std::size_t>(*attention.rope)] : nullptr;
}

std::string_view inAttention(const DecoderDescription& a, const AttentionDescription& left, const DecoderDescription& b,
                             const AttentionDescription& right) {
  if (left.query != right.query || left.key != right.key || left.value != right.value || left.output != right.output)
    return "the projections of attention";
  if (!isSame(left.queryNorm, right.queryNorm) || !isSame(left.keyNorm, right.keyNorm) ||
      left.normsAfterRope != right.normsAfterRope)
    return "the norms of queries and keys";
  if (left.slidingWindow != right.slidingWindow) return "the sliding window";
  if (!isClose(left.scale, right.scale)) return "the scale of the scores";
  if (!isClose(left.scoreCap, right.scoreCap)) return "the cap of the scores";
  if (!isClose(left.clip, right.clip)) return "the clamp of the projections";
  if (left.linearBiases != right.linearBiases) return "the linear biases";
  if (left.sinks != right.sinks) return "the sinks";
  if (left.queryGrowth != right.queryGrowth) return "how queries grow";
  if (!isSame(left.latent, right.latent)) return "latent attention";
  const RopeDescription* one = ropeOf(a, left);
  const RopeDescription* other = ropeOf(b, right);
  if ((one == nullptr) != (other == nullptr) || (one != nullptr && !isSame(*one, *other)))
    return "the rotary embedding";
  return {};
}

std::string_view inFeedForward(const FeedForwardDescription& a, const FeedForwardDescription& b) {
  if (a.activation != b.activation || a.clampedGate != b.clampedGate) return "the activation";
  if (a.experts != b.experts || a.shared != b.shared || a.sharedGate != b.sharedGate) return "the matrices of the MLP";
  if (a.router.has_value() != b.router.has_value()) return "the router";
  if (!a.router) return {};
  RouterDescription other = *b.router;
  other.scale = a.router->scale;
  return *a.router == other && isClose(a.router->scale, b.router->scale) ? std::string_view()
                                                                         : "how experts are chosen";
}

}  // namespace

std::string firstDifference(const DecoderDescription& a, const DecoderDescription& b) {
  if (a.shape.layers != b.shape.layers || a.shape.queryHeads != b.shape.queryHeads ||
      a.shape.kvHeads != b.shape.kvHeads || a.shape.headDim != b.shape.headDim ||
      a.shape.valueHeadDim != b.shape.valueHeadDim || a.shape.hiddenSize != b.shape.hiddenSize)
    return "the numbers of layers and heads";
  if (a.maximumPositions != b.maximumPositions) return "the number of positions";
  if (a.views != b.views) return "how projections lie in their tensors";
  const EmbeddingDescription& left = a.embedding;
  const EmbeddingDescription& right = b.embedding;
  if (left.weight != right.weight || left.width != right.width || left.projection != right.projection ||
      left.positions != right.positions || left.positionOffset != right.positionOffset ||
      !isSame(left.norm, right.norm))
    return "the embedding";
  if (!isClose(left.multiplier, right.multiplier)) return "the multiplier of the embedding";
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    const LayerDescription& one = a.layers[i];
    const LayerDescription& other = b.layers[i];
    std::string_view found = inAttention(a, one.attention, b, other.attention);
    if (found.empty()) found = inFeedForward(one.feedForward, other.feedForward);
    if (found.empty() && one.arrangement != other.arrangement) found = "how attention and MLP are added";
    if (found.empty() && !isClose(one.residualMultiplier, other.residualMultiplier))
      found = "the multiplier of the residual stream";
    if (found.empty() && (!isSame(one.attentionNorm, other.attentionNorm) ||
                          !isSame(one.attentionOutputNorm, other.attentionOutputNorm) ||
                          !isSame(one.feedForwardNorm, other.feedForwardNorm) ||
                          !isSame(one.feedForwardOutputNorm, other.feedForwardOutputNorm)))
      found = "the norms";
    if (!found.empty()) return fmt::format("{} of layer {}", found, i);
  }
  if (!isSame(a.head.norm, b.head.norm) || a.head.projection != b.head.projection || a.head.linear != b.head.linear)
    return "the head";
  if (!isClose(a.head.multiplier, b.head.multiplier)) return "the multiplier of the logits";
  if (!isClose(a.head.cap, b.head.cap)) return "the cap of the logits";
  return {};
}

}  // namespace kvista
