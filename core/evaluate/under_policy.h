// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/plan_transform.h"
#include "core/model/decoder.h"
#include "core/model/live_cache.h"
#include "core/policy/policy.h"
#include "core/policy/policy_run.h"

namespace kvista {

/// A policy at work on a model, or on what a plan stores of it.
struct PolicyUse {
  PolicyRequest request;
  const PlanTransform* plan = nullptr;  ///< Null: the model as it is. Must outlive this.
};

/// Over `stored` (may be null) where the policy goes with its plan and anything of that is compressed, else over the
/// model itself. Errors (invalidArgument): as policiesNamed.
Result<PolicyUse> policyOver(const PlanTransform* stored, PolicyRequest request);

/// How sequences' caches are kept while a model is measured: as `transform` has them (see Decoder::forward), or small
/// by a policy.
struct CacheUse {
  CacheUse(const CacheTransform* stored = nullptr)
      : transform(stored) {}  // NOLINT: a measure without a policy names the transform alone
  /// `use` must outlive this.
  static CacheUse under(const PolicyUse& use) {
    CacheUse cache;
    cache.policy = &use;
    return cache;
  }

  const CacheTransform* transform;
  const PolicyUse* policy = nullptr;  ///< Then it stands in the transform's place.
};

/// How many tokens of a prompt are read before a policy acts where what comes behind the prompt is measured: all but
/// the last, so that already the first token behind it is predicted from what the policy has left.
inline std::int64_t readBeforePolicy(std::int64_t prompt) { return std::max<std::int64_t>(1, prompt - 1); }

/// Sequences of one length that are read while a policy keeps their cache small. It acts behind the first `prompt`
/// tokens, and again behind each `interval` tokens more.
class PolicyReading {
 public:
  /// `most`: no sequence becomes longer, and behind so many tokens it need not act. `sequenceLength`: see LiveCache.
  /// Decoder and plan must outlive this. Errors: as PolicyRun::begin.
  static Result<PolicyReading> begin(const Decoder& decoder, const PolicyUse& policy, std::int64_t prompt,
                                     std::int64_t most, std::int64_t sequenceLength = 0);

  /// Reads `ids`, int64 [b, n], behind what was read. Answers the head's input of the last `wanted` of them, [b,
  /// wanted, width].
  Result<at::Tensor> read(const at::Tensor& ids, std::int64_t wanted, const Task& task);
  [[nodiscard]] std::int64_t tokens() const { return live_.tokens; }
  /// Of the first sequence's cache.
  [[nodiscard]] std::int64_t bytes() const { return live_.tokens > 0 ? run_.bytes(live_)[0].item<std::int64_t>() : 0; }

 private:
  PolicyReading(PolicyRun run, std::int64_t prompt, std::int64_t interval, std::int64_t most)
      : run_(std::move(run)), live_(run_.makeCache()), next_(prompt), interval_(interval), most_(most) {}

  PolicyRun run_;
  LiveCache live_;
  std::int64_t next_, interval_, most_;  // tokens read when it acts next; 0: never again
  std::vector<at::Tensor> read_;
};

/// Reads all of `ids`, int64 [b, n], under a policy that acts first behind `prompt` tokens; the head's input of the
/// last `wanted`.
Result<at::Tensor> readUnderPolicy(const Decoder& decoder, const PolicyUse& policy, const at::Tensor& ids,
                                   std::int64_t prompt, std::int64_t wanted, const Task& task);

}  // namespace kvista
