// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>

#include "core/policy/policy.h"

namespace kvista {
namespace {

/// -|k|: keys of small norm draw the most attention.
class KeyNorm final : public TokenScorer {
 public:
  Result<at::Tensor> score(const LayerView& view) override {
    return view.cache.keys.to(at::kFloat).square().sum(-1).sqrt().neg();
  }
};

}  // namespace

Policy l2NormPolicy() {
  return {
      .name = "l2-norm",
      .summary = "Keys of small norm stay",
      .source = "Devoto et al. 2024, A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression",
      .makeScorer = [](const PolicySettings&) -> std::unique_ptr<TokenScorer> { return std::make_unique<KeyNorm>(); },
      .window = 32,
      .exemptLayers = 2};
}

}  // namespace kvista
