// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

#include "core/policy/importance_gate.h"
#include "core/policy/policy.h"

namespace kvista {
namespace {

class Gated final : public TokenScorer {
 public:
  explicit Gated(std::string file) : file_(std::move(file)) {}
  Result<void> begin(const Decoder& decoder, const PolicyRequest& request, std::int64_t) override {
    if (file_.empty())
      return fail(ErrorCode::invalidArgument, "The policy fast-kvzip needs the file of a gate.",
                  "Make one with `kvista gate MODEL --text F -o GATE`, then --policy-option gate=GATE.");
    KVISTA_ASSIGN(gate_, loadGate(file_, decoder, request.model));
    return {};
  }
  [[nodiscard]] NamedTensors trained() const override {
    NamedTensors tensors;
    for (const at::Tensor& weights : gate_->weights)
      tensors.emplace_back(fmt::format("weights.{}", tensors.size()), weights);
    return tensors;
  }
  Result<at::Tensor> score(const LayerView& view) override {
    return gate_->score(view.decoder, view.layer, view.cache);
  }

 private:
  std::string file_;
  std::optional<ImportanceGate> gate_;
};

}  // namespace

Policy fastKvZipPolicy() {
  return {.name = "fast-kvzip",
          .summary = "kvzip's importance, foretold by a gate that `kvista gate` has fitted",
          .source = "Kim et al. 2026, Fast KVzip: Efficient and Accurate LLM Inference with Gated KV Eviction",
          .options = {{.name = "gate", .standard = "", .meaning = "the gate's file", .isWord = true, .isFile = true}},
          .makeScorer = [](const PolicySettings& settings) -> std::unique_ptr<TokenScorer> {
            return std::make_unique<Gated>(settings.word("gate"));
          },
          .window = 32,
          .scope = BudgetScope::cache};
}

}  // namespace kvista
