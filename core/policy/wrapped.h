// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/policy/policy.h"

namespace kvista {

/// The option `over` of policies that work on another one's scores.
PolicyOption wrappedOption(std::string standard);
/// The policy that it names. Errors (invalidArgument): there is none, it has no scores of its own, or it needs a file.
Result<const Policy*> wrappedPolicy(const std::string& name);

/// The options of the policy `inner` whose scores `wrapping` works on.
PolicySettings settingsOfWrapped(const Policy& wrapping, const Policy& inner);

/// Works on the scores of the policy that the option `over` names (settingsOfWrapped), and passes on what it needs.
/// begin() answers the errors of wrappedPolicy.
class WrappingScorer : public TokenScorer {
 public:
  WrappingScorer(const Policy& wrapping, const PolicySettings& settings);
  [[nodiscard]] std::int64_t queries() const override { return inner_ ? (*inner_)->queries() : 0; }
  [[nodiscard]] bool readsAgain() const override { return inner_ && (*inner_)->readsAgain(); }
  Result<void> begin(const Decoder& decoder, const PolicyRequest& request, std::int64_t tokens) override;
  Result<void> prepare(const Decoder& decoder, const LiveCache& cache, const at::Tensor& ids,
                       const Task& task) override {
    return (*inner_)->prepare(decoder, cache, ids, task);
  }

 protected:
  Result<at::Tensor> innerScore(const LayerView& view) { return (*inner_)->score(view); }

 private:
  Result<std::unique_ptr<TokenScorer>> inner_;
};

}  // namespace kvista
