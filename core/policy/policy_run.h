// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/plan_transform.h"
#include "core/model/decoder.h"
#include "core/model/live_cache.h"
#include "core/policy/cache_bytes.h"
#include "core/policy/held_latents.h"
#include "core/policy/policy.h"

namespace kvista {

/// A policy at work on one batch of sequences: what all policies have in common. It keeps the budget in bytes, the
/// first and the last tokens that always stay, and the same tokens in all heads and layers that are stored together.
class PolicyRun {
 public:
  /// `transform`: what the cache is stored through besides; null without a plan. `tokens`: how many each sequence will
  /// have when the policy acts for the last time, for which ways to hold them are fitted to the share. Decoder and
  /// transform must outlive this. Errors (invalidArgument): no such policy or option, what does not go together, a
  /// share that cannot be reached.
  static Result<PolicyRun> begin(const Decoder& decoder, const PlanTransform* transform, const PolicyRequest& request,
                                 std::int64_t tokens);

  /// An empty cache that holds what the policy looks at; this must outlive it.
  [[nodiscard]] LiveCache makeCache() const;
  /// Decoder::extend as the policy's tokens are read.
  Result<at::Tensor> read(const at::Tensor& ids, LiveCache& cache, const Task& task) const;
  /// Leaves of `cache` what the budget allows, and as the policy holds it. `ids` int64 [b, cache.tokens]: what was
  /// read.
  Result<void> act(LiveCache& cache, const at::Tensor& ids, const Task& task);
  /// Bytes of each sequence's cache, int64 [b], on the CPU.
  [[nodiscard]] at::Tensor bytes(const LiveCache& cache) const;
  [[nodiscard]] const CacheBytes& counted() const { return *counted_; }
  /// Tokens that always stay.
  [[nodiscard]] std::int64_t sinks() const { return sinks_; }
  [[nodiscard]] std::int64_t window() const { return window_; }

 private:
  PolicyRun() = default;
  /// Whether tokens are read as they are, until the policy acts, instead of as the plan stores them.
  [[nodiscard]] bool readsExact() const { return holder_ != nullptr && holder_->needsPlan; }
  /// Tokens are held as the holder does with these settings.
  void hold(const PolicySettings& settings);
  /// Takes the most of the holder's choices that the share allows.
  Result<void> fit(const PolicyRequest& request, std::int64_t tokens);
  /// How many tokens the layers of each set keep of `read`.
  [[nodiscard]] Result<std::vector<std::int64_t>> tokensOfSets(std::int64_t read) const;
  [[nodiscard]] bool isExempt(std::size_t set) const { return counted_->sets()[set].front() < exempt_; }
  [[nodiscard]] Result<void> evict(LiveCache& cache, const at::Tensor& ids, const Task& task);
  /// Of each set.
  [[nodiscard]] Result<std::vector<at::Tensor>> scoresOf(LiveCache& cache, const at::Tensor& ids, const Task& task);
  [[nodiscard]] std::vector<at::Tensor> highestOfAll(const std::vector<at::Tensor>& scores,
                                                     const LiveCache& cache) const;
  /// Of each sequence, of whose units so many tokens are held (int64 [b, units] a set) when `read` were read.
  [[nodiscard]] at::Tensor bytesOf(const std::vector<at::Tensor>& held, std::int64_t read) const;

  const Decoder* decoder_ = nullptr;
  const Policy* chooser_ = nullptr;
  const Policy* holder_ = nullptr;
  const PlanTransform* transform_ = nullptr;
  CacheBytes::Positions positions_ = CacheBytes::Positions::none;
  std::unique_ptr<TokenScorer> scorer_;
  std::unique_ptr<CacheStorage> storage_;
  HeldLatents* latents_ = nullptr;  // that storage, where it holds a plan's latents
  std::unique_ptr<CacheBytes> counted_;
  double share_ = 1;
  std::int64_t sinks_ = 0, window_ = 0, exempt_ = 0;
  std::int64_t actedAt_ = 0;  // tokens read by then
};

/// Leaves the places of a layer where `stays` (bool [b, kvHeads, s]) holds, in their order; where heads keep different
/// numbers of them, the places behind the last are empty.
void keepPlaces(LiveLayer& layer, const at::Tensor& stays);

/// What can be said of a request before there is a model: the names, whether two go together, and the options. Error:
/// invalidArgument.
Result<void> checkPolicy(const PolicyRequest& request);

}  // namespace kvista
