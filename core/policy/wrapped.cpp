// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/wrapped.h"

#include <algorithm>

#include <fmt/format.h>

namespace kvista {
namespace {

/// Of a name that means nothing.
class NoScorer final : public TokenScorer {
 public:
  explicit NoScorer(Error error) : error_(std::move(error)) {}
  Result<void> begin(const Decoder&, const PolicyRequest&, std::int64_t) override { return tl::unexpected(error_); }
  Result<at::Tensor> score(const LayerView&) override { return tl::unexpected(error_); }

 private:
  Error error_;
};

}  // namespace

PolicyOption wrappedOption(std::string standard) {
  return {.name = "over", .standard = std::move(standard), .meaning = "the policy whose scores count", .isWord = true};
}

std::unique_ptr<TokenScorer> wrappedScorer(const PolicySettings& settings) {
  const std::string& name = settings.word("over");
  const auto policy = findPolicy(name);
  if (!policy) return std::make_unique<NoScorer>(policy.error());
  const std::vector<PolicyOption>& options = (*policy)->options;
  const bool wrapsItself = std::ranges::find(options, std::string_view("over"), &PolicyOption::name) != options.end();
  if ((*policy)->makeScorer == nullptr || wrapsItself)
    return std::make_unique<NoScorer>(
        Error{ErrorCode::invalidArgument, fmt::format("The policy {} has no scores of its own, so nothing can be built over it.", name), "",
              "Name one that chooses tokens, such as snapkv."});
  if (std::ranges::any_of(options, &PolicyOption::isFile))
    return std::make_unique<NoScorer>(Error{ErrorCode::invalidArgument,
                                            fmt::format("The policy {} needs a file, which a policy over it has no option for.", name), "",
                                            "Name one that needs none, such as snapkv, or take it by itself."});
  return (*policy)->makeScorer(PolicySettings::of(name, (*policy)->allOptions(), {}).value());
}

}  // namespace kvista
