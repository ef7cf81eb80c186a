// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/attention_predictor.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/policy/attention_scores.h"
#include "core/policy/policy.h"

namespace kvista {
namespace {

class Foretold final : public TokenScorer {
 public:
  explicit Foretold(std::string file) : file_(std::move(file)) {}
  [[nodiscard]] std::int64_t queries() const override { return AttentionPredictor::kHistory; }
  Result<void> begin(const Decoder&, const PolicyRequest& request, std::int64_t) override {
    if (file_.empty())
      return fail(ErrorCode::invalidArgument, "The policy attention-predictor needs the file of one.",
                  "Make one with `kvista gate MODEL --kind attention-predictor --text F -o FILE`, then --policy-option "
                  "gate=FILE.");
    KVISTA_ASSIGN(predictor_, loadAttentionPredictor(file_, request.model));
    return {};
  }
  [[nodiscard]] NamedTensors trained() const override { return predictor_->tensors(); }
  Result<at::Tensor> score(const LayerView& view) override {
    constexpr std::int64_t kKeysAtOnce = std::int64_t{1} << 16;
    const at::Tensor attention = recentAttentionOf(view);
    std::vector<at::Tensor> scores;
    for (const at::Tensor& some :
         attention.flatten(0, 1).split(std::max<std::int64_t>(1, kKeysAtOnce / attention.size(3))))
      scores.push_back(predictor_->predict(some));
    return at::cat(scores).unflatten(0, {attention.size(0), attention.size(1)});
  }

 private:
  std::string file_;
  std::optional<AttentionPredictor> predictor_;
};

}  // namespace

Policy attentionPredictorPolicy() {
  return {
      .name = "attention-predictor",
      .summary =
          "What the next queries will look at, foretold by a network that `kvista gate --kind attention-predictor` has "
          "trained",
      .source = "Yang et al. 2025, AttentionPredictor: Temporal Patterns Matter for KV Cache Compression",
      .options = {{.name = "gate", .standard = "", .meaning = "the predictor's file", .isWord = true, .isFile = true}},
      .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
        return std::make_unique<Foretold>(settings.word("gate"));
      },
      .window = AttentionPredictor::kRecent};
}

}  // namespace kvista
