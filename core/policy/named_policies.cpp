// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/named_policies.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include <fmt/format.h>

namespace kvista {
namespace {

std::vector<std::string> wordsOf(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view kSpace = " \t\n";
  for (std::size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return words;
}

template <class Number>
Result<Number> numberIn(const std::string& name, const std::string& value, Number least, Number most, const char* hint) {
  Number number{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc() && end == value.data() + value.size() && number >= least && number <= most) return number;
  return fail(ErrorCode::invalidArgument, fmt::format("The {} of a policy is \"{}\".", name, value), hint);
}

}  // namespace

bool NamedPolicies::goesWith(const CompressionPlan& plan) const {
  return holder == nullptr || holder->needsPlan || holder->takesPlan || checkHoldsLatents(*holder, plan).has_value();
}

Result<void> checkHoldsLatents(const Policy& holder, const CompressionPlan& plan) {
  if (!holder.notOfLatents.empty())
    return fail(
        ErrorCode::invalidArgument, fmt::format("The policy {} {}.", holder.name, holder.notOfLatents),
        "Leave heads as they are (the model itself, or `kvista plan --method kqsvd --share 1`), or take a policy that holds latents, "
        "such as hadamard.");
  if (plan.storage == Storage::lowRank16) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The policy {} quantises latents of 16 bits, and those of the plan are quantised already.", holder.name),
              "Make the plan by a method that stores 16-bit numbers, such as joint or palu-g.");
}

Result<NamedPolicies> policiesNamed(const std::string& name) {
  NamedPolicies found;
  const std::size_t plus = name.find('+');
  for (const std::string& part : plus == std::string::npos ? std::vector{name} : std::vector{name.substr(0, plus), name.substr(plus + 1)}) {
    KVISTA_ASSIGN(const Policy* policy, findPolicy(part));
    const Policy*& place = policy->makeScorer != nullptr ? found.chooser : found.holder;
    if (place != nullptr)
      return fail(ErrorCode::invalidArgument, fmt::format("{} and {} do not go together: both {}.", place->name, policy->name,
                                                          policy->makeScorer != nullptr ? "choose tokens" : "say how tokens are held"),
                  "Take one that chooses tokens and one that says how they are held, as in \"snapkv+fp8\".");
    place = policy;
  }
  if (found.chooser != nullptr && found.holder != nullptr && !found.holder->isTokenwise)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} holds tokens together, of which {} cannot take some out.", found.holder->name, found.chooser->name),
                "Take one that holds each token by itself, such as fp8.");
  return found;
}

Result<NamedSettings> settingsOf(const NamedPolicies& named, const PolicyRequest& request) {
  const std::vector<PolicyOption> holders = named.holder != nullptr ? named.holder->allOptions() : std::vector<PolicyOption>{};
  std::map<std::string, std::string> ofHolder, ofChooser;
  for (const auto& [name, value] : request.options)
    (named.chooser == nullptr || std::ranges::find(holders, name, &PolicyOption::name) != holders.end() ? ofHolder
                                                                                                         : ofChooser)[name] = value;
  NamedSettings settings;
  if (named.chooser != nullptr) {
    KVISTA_ASSIGN(settings.chooser, PolicySettings::of(named.chooser->name, named.chooser->allOptions(), ofChooser));
  }
  if (named.holder != nullptr) {
    KVISTA_ASSIGN(settings.holder, PolicySettings::of(named.holder->name, holders, ofHolder));
  }
  return settings;
}

Result<PolicyRequest> policyFromText(std::string_view text) {
  const std::vector<std::string> words = wordsOf(text);
  if (words.empty()) return fail(ErrorCode::invalidArgument, "No policy was named.", "`kvista list policies` says which there are.");
  PolicyRequest request{.policy = words.front()};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorCode::invalidArgument, fmt::format("\"{}\" stands behind the policy {}.", words[i], request.policy),
                  "A policy's words have the form name=value, as in \"snapkv share=.25 interval=64 window=16\".");
    const std::string name = words[i].substr(0, equals), value = words[i].substr(equals + 1);
    if (name == "share") {
      KVISTA_ASSIGN(request.share, numberIn(name, value, 1e-9, 1.0, "It must be above 0 and at most 1."));
    } else if (name == "interval") {
      KVISTA_ASSIGN(request.interval, numberIn<std::int64_t>(name, value, 0, std::int64_t{1} << 24, "It must be a number of tokens."));
    } else {
      request.options[name] = value;
    }
  }
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  KVISTA_CHECK(settingsOf(named, request));
  return request;
}

std::string toText(const PolicyRequest& request) {
  std::string text = request.policy;
  if (request.share < 1) text += fmt::format(" share={}", request.share);
  if (request.interval > 0) text += fmt::format(" interval={}", request.interval);
  for (const auto& [name, value] : request.options) text += fmt::format(" {}={}", name, value);
  return text;
}

}  // namespace kvista
