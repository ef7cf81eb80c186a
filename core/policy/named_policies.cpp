// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/named_policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/compress/method.h"

namespace kvista {
namespace {

constexpr std::string_view kSpace = " \t\n";

/// Parted by spaces, but for those between two quotation marks; two of them there stand for one.
std::vector<std::string> wordsOf(std::string_view text) {
  std::vector<std::string> words;
  bool isOpen = false, isQuoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (!isQuoted && kSpace.find(letter) != std::string_view::npos) {
      isOpen = false;
      continue;
    }
    if (!std::exchange(isOpen, true)) words.emplace_back();
    if (letter != '"') {
      words.back() += letter;
    } else if (isQuoted && i + 1 < text.size() && text[i + 1] == '"') {
      words.back() += text[++i];
    } else {
      isQuoted = !isQuoted;
    }
  }
  return words;
}

std::string quotedWord(const std::string& word) {
  if (word.find_first_of(kSpace) == std::string::npos && word.find('"') == std::string::npos) return word;
  std::string quoted(1, '"');
  for (const char letter : word) quoted.append(letter == '"' ? 2 : 1, letter);
  quoted += '"';
  return quoted;
}

template <class Number>
Result<Number> numberIn(const std::string& name, const std::string& value, Number least, Number most,
                        const char* hint) {
  Number number{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc() && end == value.data() + value.size() && number >= least && number <= most) return number;
  return fail(ErrorCode::invalidArgument, fmt::format("The {} of a policy is \"{}\".", name, value), hint);
}

tl::unexpected<Error> saidTwice(const PolicyRequest& request, const std::string& name) {
  return fail(ErrorCode::invalidArgument, fmt::format("The {} of the policy {} is said twice.", name, request.policy),
              "Say it once.");
}

bool hasOption(const Policy* policy, std::string_view name) {
  if (policy == nullptr) return false;
  const std::vector<PolicyOption> options = policy->allOptions();
  return std::ranges::find(options, name, &PolicyOption::name) != options.end();
}

}  // namespace

bool NamedPolicies::goesWith(const CompressionPlan& plan) const {
  return holder == nullptr || holder->needsPlan || holder->takesPlan || checkHoldsLatents(*holder, plan).has_value();
}

Result<void> checkHoldsLatents(const Policy& holder, const CompressionPlan& plan) {
  if (!holder.notOfLatents.empty())
    return fail(ErrorCode::invalidArgument, fmt::format("The policy {} {}.", holder.name, holder.notOfLatents),
                "Leave heads as they are (the model itself, or `kvista plan --method kqsvd --share 1`), or take a "
                "policy that holds latents, such as hadamard.");
  if (plan.storage == Storage::lowRank16) return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("The policy {} quantises latents of 16 bits, and those of the plan are quantised already.",
                          holder.name),
              "Make the plan by a method that stores 16-bit numbers, such as joint or palu-g.");
}

Result<void> checkMergesLayers(std::int64_t together, const CompressionPlan* plan, const ModelShape& shape) {
  if (together > shape.layers)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The policy commonkv merges {} layers, and the model has {}.", together, shape.layers),
                "Lower its option layers.");
  const bool isAsModel =
      plan == nullptr || (std::ranges::all_of(plan->groups, &Group::isUncompressed) && plan->sharedFrom.empty());
  if (isAsModel) return {};
  constexpr const char* kHint =
      "Plan with --method commonkv as it stands, whose latents lie in one space 4 layers at a time, or leave heads as "
      "they are (`kvista plan --method kqsvd --share 1`).";
  KVISTA_ASSIGN(const Method* method, findMethod(plan->method));
  if (method->layersTogether != together)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("The policy commonkv merges latents of {} layers, and those of a plan of the method {} lie in {}.",
                    together, plan->method,
                    method->layersTogether == 1 ? "another space in each layer"
                                                : fmt::format("one space {} at a time", method->layersTogether)),
        kHint);
  bool isEven = plan->storage == Storage::lowRank16;
  for (std::size_t layer = 0; layer < plan->groups.size(); ++layer) {
    const Group& group = plan->groups[layer];
    isEven = isEven && group.widths == plan->groups.front().widths &&
             group.slots.size() == 2 * static_cast<std::size_t>(shape.kvHeads) &&
             group.slots.front().layer == static_cast<int>(layer) && std::ranges::is_sorted(group.slots);
  }
  if (isEven) return {};
  return fail(ErrorCode::invalidArgument,
              "The layers of the plan do not store the same 16-bit directions, so that their latents cannot be merged.",
              kHint);
}

Result<NamedPolicies> policiesNamed(const std::string& name) {
  NamedPolicies found;
  const std::size_t plus = name.find('+');
  if (plus != std::string::npos &&
      (plus == 0 || plus + 1 == name.size() || name.find('+', plus + 1) != std::string::npos))
    return fail(ErrorCode::invalidArgument,
                fmt::format("\"{}\" joins no two policies; at most two are joined, one that chooses tokens and one "
                            "that says how they are held.",
                            name),
                "Write them with one + between, as in \"snapkv+fp8\".");
  for (const std::string& part :
       plus == std::string::npos ? std::vector{name} : std::vector{name.substr(0, plus), name.substr(plus + 1)}) {
    KVISTA_ASSIGN(const Policy* policy, findPolicy(part));
    const Policy*& place = policy->makeScorer != nullptr ? found.chooser : found.holder;
    if (place != nullptr)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{} and {} do not go together: both {}.", place->name, policy->name,
                              policy->makeScorer != nullptr ? "choose tokens" : "say how tokens are held"),
                  "Take one that chooses tokens and one that says how they are held, as in \"snapkv+fp8\".");
    place = policy;
  }
  if (found.chooser != nullptr && found.holder != nullptr && !found.holder->isTokenwise)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} holds tokens together, of which {} cannot take some out.", found.holder->name,
                            found.chooser->name),
                "Take one that holds each token by itself, such as fp8.");
  return found;
}

std::string optionOf(const NamedPolicies& named, const Policy& policy, std::string_view option) {
  const bool isOthers = &policy == named.chooser && hasOption(named.holder, option);
  return isOthers ? fmt::format("{}.{}", policy.name, option) : std::string(option);
}

Result<DealtOptions> dealtOptions(const NamedPolicies& named, const PolicyRequest& request) {
  DealtOptions dealt;
  for (const auto& [name, value] : request.options) {
    const std::size_t point = name.find('.');
    const std::string of = point == std::string::npos ? std::string() : name.substr(0, point),
                      plain = of.empty() ? name : name.substr(point + 1);
    const auto is = [&](const Policy* policy) { return policy != nullptr && policy->name == of; };
    if (!of.empty() && !is(named.chooser) && !is(named.holder))
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The option \"{}\" is of no policy of {}.", name, request.policy),
                  "Name one of them before the point, as in \"snapkv.window=4\".");
    const bool isHolders = of.empty() ? named.chooser == nullptr || hasOption(named.holder, plain) : is(named.holder);
    if (!(isHolders ? dealt.holder : dealt.chooser).emplace(plain, value).second)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The option {} of the policy {} is given twice.", plain,
                              isHolders ? named.holder->name : named.chooser->name),
                  "Leave one of them out.");
  }
  return dealt;
}

Result<NamedSettings> settingsOf(const NamedPolicies& named, const PolicyRequest& request) {
  KVISTA_ASSIGN(const DealtOptions dealt, dealtOptions(named, request));
  NamedSettings settings;
  if (named.chooser != nullptr) {
    KVISTA_ASSIGN(settings.chooser,
                  PolicySettings::of(named.chooser->name, named.chooser->allOptions(), dealt.chooser));
  }
  if (named.holder != nullptr) {
    KVISTA_ASSIGN(settings.holder, PolicySettings::of(named.holder->name, named.holder->allOptions(), dealt.holder));
  }
  return settings;
}

Result<PolicyRequest> policyFromText(std::string_view text) {
  const std::vector<std::string> words = wordsOf(text);
  if (words.empty())
    return fail(ErrorCode::invalidArgument, "No policy was named.", "`kvista list policies` says which there are.");
  PolicyRequest request{.policy = words.front()};
  std::set<std::string> said;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("\"{}\" stands behind the policy {}.", words[i], request.policy),
                  "A policy's words have the form name=value, as in \"snapkv share=.25 interval=64 window=16\".");
    const std::string name = words[i].substr(0, equals), value = words[i].substr(equals + 1);
    if (!said.insert(name).second) return saidTwice(request, name);
    if (name == "share") {
      KVISTA_ASSIGN(request.share, numberIn(name, value, 1e-9, 1.0, "It must be above 0 and at most 1."));
    } else if (name == "interval") {
      KVISTA_ASSIGN(
          request.interval,
          numberIn<std::int64_t>(name, value, 1, std::int64_t{1} << 24,
                                 "It must be a number of tokens, at least 1; left out, the policy acts once."));
    } else {
      request.options[name] = value;
    }
  }
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  KVISTA_CHECK(settingsOf(named, request));
  return request;
}

Result<void> addOption(PolicyRequest& request, const std::string& name, const std::string& value) {
  if (!request.options.emplace(name, value).second) return saidTwice(request, name);
  return {};
}

std::string toText(const PolicyRequest& request) {
  std::string text = request.policy;
  if (request.share < 1) text += fmt::format(" share={}", request.share);
  if (request.interval > 0) text += fmt::format(" interval={}", request.interval);
  for (const auto& [name, value] : request.options) text += fmt::format(" {}={}", name, quotedWord(value));
  return text;
}

}  // namespace kvista
