// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy.h"
#include "core/policy/reconstruction.h"

namespace kvista {
namespace {

class Reconstruction final : public TokenScorer {
 public:
  explicit Reconstruction(std::int64_t part) : part_(part) {}
  [[nodiscard]] bool readsAgain() const override { return true; }
  Result<void> begin(const Decoder& decoder, const PolicyRequest&, std::int64_t tokens) override {
    return checkReadAgain(decoder, tokens, part_);
  }
  Result<void> prepare(const Decoder& decoder, const LiveCache& cache, const at::Tensor& ids,
                       const Task& task) override {
    KVISTA_ASSIGN(scores_, reconstructionScores(decoder, cache, ids, part_, task));
    return {};
  }
  Result<at::Tensor> score(const LayerView& view) override { return scores_[static_cast<std::size_t>(view.layer)]; }

 private:
  std::int64_t part_;
  std::vector<at::Tensor> scores_;
};

}  // namespace

Policy kvZipPolicy() {
  return {.name = "kvzip",
          .summary = "What the model needs to say its text again, over all heads and layers",
          .source = "Kim et al. 2025, KVzip: Query-Agnostic KV Cache Compression with Context Reconstruction",
          .options = {{"part", "256", "tokens that are read again at a time", 16, 65536}},
          .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
            return std::make_unique<Reconstruction>(settings.count("part"));
          },
          .window = 32,
          .scope = BudgetScope::cache};
}

}  // namespace kvista
