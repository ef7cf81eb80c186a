// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy.h"

namespace kvista {
namespace {

/// The later, the more important.
class Recency final : public TokenScorer {
 public:
  Result<at::Tensor> score(const LayerView& view) override { return view.cache.positions.to(at::kFloat); }
};

}  // namespace

Policy streamingLlmPolicy() {
  return {
      .name = "streaming-llm",
      .summary = "The first tokens and the last ones",
      .source = "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks",
      .makeScorer = [](const PolicySettings&) -> std::unique_ptr<TokenScorer> { return std::make_unique<Recency>(); },
      .sinks = 4,
      .isAlikeInHeads = true};
}

}  // namespace kvista
