// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/policy/policy.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

/// The last tokens exact, those before them as the plan stores them.
class TwoBranches final : public CacheStorage {
 public:
  explicit TwoBranches(std::int64_t window) : window_(window) {}
  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    const at::Tensor older = isOlder(layer, view.tokens, window_);
    layer.keys = replacedWhere(older, layer.storedKeys, layer.keys);
    layer.values = replacedWhere(older, layer.storedValues, layer.values);
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes& token, std::int64_t tokens) const override {
    const std::int64_t recent = std::min(tokens, window_), first = std::min(tokens - recent, token.exactTokens);
    return recent * token.exact + first * token.first + (tokens - recent - first) * token.stored;
  }

 private:
  std::int64_t window_;
};

}  // namespace

Policy cskvPolicy() {
  return {
      .name = "cskv",
      .summary = "The last tokens exact, those before as the plan stores them",
      .source = "Wang et al. 2024, CSKV: Training-Efficient Channel Shrinking for KV Cache in Long-Context Scenarios",
      .options = {{"window", "32", "last tokens at full precision", 0, 65536}},
      .makeStorage = [](const PolicySettings& settings, const ModelShape&) -> std::unique_ptr<CacheStorage> {
        return std::make_unique<TwoBranches>(settings.count("window"));
      },
      .needsPlan = true};
}

}  // namespace kvista
