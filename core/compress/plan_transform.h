// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/compress/factors.h"
#include "core/compress/plain_quantisation.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// What is read back of the latents [b, n, r] of a group (its place in the plan) where they are held otherwise than
/// their plan says.
using LatentChange = std::function<at::Tensor(std::size_t group, const at::Tensor& latents)>;

/// Makes a decoder compute as if its cache were stored as a plan says: every token's keys and values pass through the
/// latent (and its codes), but for the first `exactTokens` of each window. Of a plan whose layers need another's cache
/// one object serves one pass at a time, and one that computes layers again for gradients only behind
/// followGradients().
class PlanTransform final : public CacheTransform {
 public:
  /// `factors`: one entry a group of `plan`; empty for plain quantisation.
  PlanTransform(const CompressionPlan& plan, const PlanFactors& factors, const ModelShape& shape, at::Device device)
      : PlanTransform(plan, factors, shape, device, {}) {}
  /// The same plan, its latents changed besides; a group that is not compressed is its own latent. Not for plain
  /// quantisation.
  [[nodiscard]] PlanTransform withLatents(LatentChange change) const {
    return {plan_, factors_, shape_, device_, std::move(change)};
  }
  [[nodiscard]] const CompressionPlan& plan() const { return plan_; }
  [[nodiscard]] const PlanFactors& factors() const { return factors_; }

  /// From now on passes go through each layer with all windows at once, and may do so again in falling order: what a
  /// layer has stored stays there for those that it predicts, without its gradient.
  void followGradients() { followsGradients_ = true; }

  void beginPass() const override;
  KeyValues beforeRope(int layer, KeyValues raw) const override;
  at::Tensor afterRope(int layer, at::Tensor keys) const override;
  [[nodiscard]] bool isTokenwise() const override { return !plain_; }
  [[nodiscard]] std::int64_t leadingTokens() const override { return exactTokens_; }
  /// A LatentSequence, but for plain quantisation and layers that need another's cache.
  [[nodiscard]] std::unique_ptr<SequenceStore> makeStore(const Decoder& decoder) const override;

 private:
  PlanTransform(const CompressionPlan& plan, const PlanFactors& factors, const ModelShape& shape, at::Device device,
                LatentChange change);
  /// One group of one layer, ready to run.
  struct Step {
    at::Tensor columns;  // int64, of [keys | values]; undefined: all of them in order
    std::size_t group = 0;
    GroupFactors factors;  // on the device
    int rotatedHead = -1;  // the key head, where keys are compressed after RoPE
  };
  /// `before`: what the layer that predicts this one has stored.
  [[nodiscard]] KeyValues throughCache(int layer, const KeyValues& raw, const std::optional<KeyValues>& before) const;
  /// `read`: a group's outputs, or inputs where its factors read those.
  [[nodiscard]] at::Tensor throughLatent(const Step& step, const at::Tensor& read) const;
  [[nodiscard]] at::Tensor keepExact(const at::Tensor& changed, const at::Tensor& original,
                                     std::int64_t tokenDimension) const;

  CompressionPlan plan_;
  PlanFactors factors_;  // on the device
  ModelShape shape_;
  at::Device device_;
  LatentChange change_;  // may be empty
  int exactTokens_;
  bool followsGradients_ = false;
  std::optional<PlainQuantisation> plain_;
  std::vector<std::vector<Step>> layers_;
  // What each layer will read of another, whole or to predict its own, in the order of the pass: its windows may go
  // through one layer before the next.
  mutable std::vector<std::deque<KeyValues>> waiting_;
};

}  // namespace kvista
