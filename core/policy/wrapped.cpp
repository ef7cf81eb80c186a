// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/wrapped.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvista {

PolicyOption wrappedOption(std::string standard) {
  return {.name = "over", .standard = std::move(standard), .meaning = "the policy whose scores count", .isWord = true};
}

Result<const Policy*> wrappedPolicy(const std::string& name) {
  KVISTA_ASSIGN(const Policy* policy, findPolicy(name));
  const bool wrapsAnother =
      std::ranges::find(policy->options, std::string_view("over"), &PolicyOption::name) != policy->options.end();
  if (policy->makeScorer == nullptr || wrapsAnother)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The policy {} has no scores of its own, so nothing can be built over it.", name),
                "Name one that chooses tokens, such as snapkv.");
  if (std::ranges::any_of(policy->options, &PolicyOption::isFile))
    return fail(ErrorCode::invalidArgument,
                fmt::format("The policy {} needs a file, which a policy over it has no option for.", name),
                "Name one that needs none, such as snapkv, or take it by itself.");
  return policy;
}

PolicySettings settingsOfWrapped(const Policy& wrapping, const Policy& inner) {
  const std::vector<PolicyOption> options = inner.allOptions();
  std::map<std::string, std::string> asked = wrapping.ofWrapped;
  std::erase_if(asked, [&](const auto& one) {
    return std::ranges::find(options, one.first, &PolicyOption::name) == options.end();
  });
  return PolicySettings::of(inner.name, options, asked).value();
}

WrappingScorer::WrappingScorer(const Policy& wrapping, const PolicySettings& settings)
    : inner_(wrappedPolicy(settings.word("over")).map([&](const Policy* policy) {
        return policy->makeScorer(settingsOfWrapped(wrapping, *policy));
      })) {}

Result<void> WrappingScorer::begin(const Decoder& decoder, const PolicyRequest& request, std::int64_t tokens) {
  if (!inner_) return tl::unexpected(inner_.error());
  return (*inner_)->begin(decoder, request, tokens);
}

}  // namespace kvista
