// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/compress/plan_transform.h"
#include "core/policy/policy.h"

namespace kvista {

/// The 16-bit latents of a plan as a policy holds them that was made for heads: each group is to it one head of as many
/// numbers as it has directions, its keys where the group has keys, else its values. First tokens that the plan leaves
/// exact are none of it.
class HeldLatents final : public CacheStorage {
 public:
  /// `transform` must outlive this.
  HeldLatents(const PlanTransform& transform, const ModelShape& shape);
  HeldLatents(const HeldLatents&) = delete;
  HeldLatents& operator=(const HeldLatents&) = delete;

  /// Latents are held as `policy` does with these settings, from before the first token is read.
  void hold(const Policy& policy, const PolicySettings& settings);
  /// What tokens must be read through: the plan, whose latents are kept here, too.
  [[nodiscard]] const PlanTransform& recorder() const { return recorder_; }

  Result<void> prepare(const Decoder& decoder, const PlanTransform* transform, const LiveCache& cache) override;
  Result<void> store(const LayerView& view, LiveLayer& layer) override;
  [[nodiscard]] std::int64_t bytes(const TokenBytes& token, std::int64_t tokens) const override;
  [[nodiscard]] std::int64_t queries() const override { return queries_; }

 private:
  Result<void> storeGroup(std::size_t group, const LayerView& view);
  /// All tokens of a layer as the latents have them, keys and values as LiveLayer. Layers in rising order, from the
  /// first.
  [[nodiscard]] KeyValues rebuilt(const LayerView& view) const;

  const CompressionPlan& plan_;
  ModelShape shape_;
  std::vector<at::Tensor> latents_;                      // [b, tokens read, r] of each group
  PlanTransform recorder_, player_;                      // keeps latents, gives them back
  std::vector<std::unique_ptr<CacheStorage>> storages_;  // of each group; null where it stores nothing
  std::int64_t queries_ = 0, sequenceLength_ = 0;
};

}  // namespace kvista
