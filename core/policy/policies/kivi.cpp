// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/cat.h>

#include <algorithm>
#include <map>

#include "core/policy/policy.h"
#include "core/policy/quantise.h"

namespace kvista {
namespace {

/// Keys per channel in blocks of tokens, values per token in groups of channels; the last tokens stay as they are, and
/// so do keys whose block is not full yet. A plan's latents of keys, or of keys and values, go as keys: their
/// directions are of very different sizes.
class Blockwise final : public CacheStorage {
 public:
  Blockwise(const PolicySettings& settings, const ModelShape& shape)
      : bits_(settings.count("bits")),
        group_(settings.count("group")),
        window_(settings.count("window")),
        keyWidth_(shape.headDim),
        valueWidth_(shape.valueHeadDim) {}

  Result<void> store(const LayerView& view, LiveLayer& layer) override {
    Settled& settled = settled_[view.layer];
    const std::int64_t keys = storedKeys(view.tokens), values = storedValues(view.tokens);
    const auto changed = [](const at::Tensor& x, std::int64_t from, std::int64_t to, const auto& change) {
      if (to <= from) return x;
      return at::cat({x.narrow(2, 0, from), change(x.narrow(2, from, to - from)), x.narrow(2, to, x.size(2) - to)}, 2);
    };
    layer.keys = changed(layer.keys, settled.keys, keys, [&](const at::Tensor& x) {
      return quantised(x.unflatten(2, {-1, group_}), 3, bits_).flatten(2, 3);
    });
    layer.values = changed(layer.values, settled.values, values, [&](const at::Tensor& x) {
      std::vector<at::Tensor> groups;
      for (const at::Tensor& channels : x.split(group_, 3)) groups.push_back(quantised(channels, 3, bits_));
      return at::cat(groups, 3);
    });
    settled = {keys, values};
    return {};
  }
  [[nodiscard]] std::int64_t bytes(const TokenBytes&, std::int64_t tokens) const override {
    const std::int64_t keys = storedKeys(tokens), values = storedValues(tokens);
    const std::int64_t groups = (valueWidth_ + group_ - 1) / group_;
    return codeBytes(keys * keyWidth_, bits_) + keys / group_ * keyWidth_ * kScaleBytes +
           (tokens - keys) * keyWidth_ * 2 + values * (codeBytes(valueWidth_, bits_) + groups * kScaleBytes) +
           (tokens - values) * valueWidth_ * 2;
  }

 private:
  struct Settled {
    std::int64_t keys = 0, values = 0;
  };
  [[nodiscard]] std::int64_t storedValues(std::int64_t tokens) const {
    return std::max<std::int64_t>(0, tokens - window_);
  }
  [[nodiscard]] std::int64_t storedKeys(std::int64_t tokens) const { return storedValues(tokens) / group_ * group_; }

  std::int64_t bits_, group_, window_, keyWidth_, valueWidth_;
  std::map<int, Settled> settled_;  // tokens of each layer that are stored already
};

}  // namespace

Policy kiviPolicy() {
  return {.name = "kivi",
          .summary = "Keys per channel in blocks of tokens, values per token; a full-precision window",
          .source = "Liu et al. 2024, KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache",
          .options = {{"bits", "2", "of a number, at 1 to 8", 1, 8},
                      {"group", "32", "tokens of a block of keys, and channels of a group of values", 1, 4096},
                      {"window", "128", "last tokens at full precision", 0, 65536}},
          .makeStorage = [](const PolicySettings& settings, const ModelShape& shape) -> std::unique_ptr<CacheStorage> {
            return std::make_unique<Blockwise>(settings, shape);
          },
          .tuned = "bits",
          .choices = bitsToChoose,
          .isTokenwise = false};
}

}  // namespace kvista
