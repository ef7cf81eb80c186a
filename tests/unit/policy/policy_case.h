// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/policy/policy_run.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {

/// A policy on a decoder, by itself the first two layers of the demo model, and the cache of some windows of its text.
struct PolicyCase {
  PolicyRun run;
  LiveCache cache;
  at::Tensor ids;

  static PolicyCase read(const PolicyRequest& request, std::int64_t tokens = 60,
                         const PlanTransform* transform = nullptr, const Decoder& decoder = shortDecoder()) {
    PolicyCase made{
        valueOf(PolicyRun::begin(decoder, transform, request, tokens)), {}, demoWindows(2).ids.narrow(1, 0, tokens)};
    made.cache = made.run.makeCache();
    valueOf(made.run.read(made.ids, made.cache, {}));
    return made;
  }
  void act() {
    if (auto acted = run.act(cache, ids, {}); !acted) throw std::runtime_error(acted.error().message);
  }
};

/// Of the 16-bit cache.
inline std::int64_t fullBytes(std::int64_t tokens) { return tokens * shortDecoder().shape().cacheBytesPerToken(); }

/// A plan for these layers at half of the bytes.
struct Planned {
  CompressionPlan plan;
  std::unique_ptr<PlanTransform> transform;
};

inline Planned planned(const std::string& method, std::optional<bool> tokenNumbers = std::nullopt) {
  PlanRequest request;
  request.tokenNumbers = tokenNumbers;
  request.method = method;
  request.target = {Target::Kind::share, 0.5};
  Planned made{valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {})).planned.plan, nullptr};
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), made.plan, {}));
  made.transform = std::make_unique<PlanTransform>(made.plan, factors, shortDecoder().shape(), at::kCPU);
  return made;
}

/// The positions that a head holds.
inline std::vector<std::int64_t> heldBy(const LiveLayer& layer, int sequence, int head) {
  std::vector<std::int64_t> positions;
  const at::Tensor own = layer.positions[sequence][head].contiguous();
  for (std::int64_t i = 0; i < own.numel(); ++i)
    if (const auto position = own[i].item<std::int64_t>(); position >= 0) positions.push_back(position);
  return positions;
}

}  // namespace kvista::test
