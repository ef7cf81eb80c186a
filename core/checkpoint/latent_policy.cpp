// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_policy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/policy/named_policies.h"

namespace kvista {
namespace {

constexpr std::array<std::string_view, 5> kChoosers = {"streaming-llm", "snapkv", "l2-norm", "curdkv", "chunkkv"};
constexpr std::array<std::string_view, 4> kHolders = {"fp8", "hadamard", "kivi", "think"};

tl::unexpected<Error> isNotThere(std::string_view name) {
  return fail(ErrorCode::invalidArgument, fmt::format("The model code of an export does not have the policy {}.", name),
              fmt::format("Choose one of: {}, {}.", fmt::join(kChoosers, ", "), fmt::join(kHolders, ", ")));
}

nlohmann::json optionsOf(const Policy& policy, const PolicySettings& settings) {
  nlohmann::json json = {{"name", policy.name}};
  for (const PolicyOption& option : policy.allOptions()) {
    const std::string name(option.name);
    if (!option.isWord) {
      const double value = settings.number(name);
      json[name] = value == std::floor(value) ? nlohmann::json(static_cast<std::int64_t>(value)) : nlohmann::json(value);
    } else if (const auto over = findPolicy(settings.word(name)); over) {  // whose scores it works on
      json[name] = optionsOf(**over, *PolicySettings::of((*over)->name, (*over)->allOptions(), {}));
    }
  }
  return json;
}

bool isOfOneHead(const Group& group) {
  return std::ranges::all_of(group.slots, [&](const Slot& slot) { return slot.head == group.slots.front().head; });
}

}  // namespace

Result<void> checkLatentPolicy(const PolicyRequest& request, const CompressionPlan& plan, const DecoderDescription& description) {
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  KVISTA_ASSIGN(const NamedSettings settings, settingsOf(named, request));
  if (plan.chain > 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Layers of the plan are read behind the layer before, so they must keep the same tokens; the policy {} would leave others in each.",
                            request.policy),
                "Leave the policy out, or make a plan with --chain 1.");
  if (named.chooser != nullptr) {
    if (std::ranges::find(kChoosers, named.chooser->name) == kChoosers.end()) return isNotThere(named.chooser->name);
    for (const PolicyOption& option : named.chooser->allOptions())
      if (option.isWord && std::ranges::find(kChoosers, settings.chooser.word(option.name)) == kChoosers.end())
        return isNotThere(settings.chooser.word(option.name));
    if (named.holder == nullptr && request.share >= 1)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("At a share of 1 the policy {} leaves everything in the cache.", named.chooser->name),
                  "Say how much may stay, as in \"snapkv share=.25\".");
  }
  if (named.holder != nullptr) {
    if (std::ranges::find(kHolders, named.holder->name) == kHolders.end()) return isNotThere(named.holder->name);
    if (named.chooser != nullptr && named.holder->name == "think")
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The model code of an export keeps fewer channels only without {}, which chooses tokens.",
                              named.chooser->name),
                  "Take one of the two, or fp8 or hadamard beside what chooses tokens.");
    if (named.chooser == nullptr && request.share < 1)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("A share of {} cannot be kept by the policy {} alone: its bytes depend on how long texts will be.",
                              request.share, named.holder->name),
                  "Leave the share out and say its options, such as bits=4.");
    if (!std::ranges::all_of(plan.groups, &Group::isUncompressed))
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The model code of an export holds whole heads by {}, and the plan has compressed them.", named.holder->name),
                  "Export a plan that leaves heads as they are (`kvista plan --method kqsvd --share 1`), or a policy that only chooses tokens.");
    return {};
  }
  const bool byHead = std::ranges::all_of(plan.groups, isOfOneHead), apart = !named.chooser->isAlikeInHeads && byHead;
  if (apart && plan.keyPosition == KeyPosition::beforeRope && description.shape.kvHeads > 1)
    for (const LayerDescription& layer : description.layers)
      if (layer.attention.keyNorm && layer.attention.keyNorm->width > description.shape.headDim)
        return fail(ErrorCode::invalidArgument,
                    fmt::format("The policy {} leaves other tokens in each head, but this model norms the keys of all heads together.",
                                named.chooser->name),
                    "Take a plan whose heads share latents, such as joint, or whose keys are stored after RoPE.");
  return {};
}

nlohmann::json latentPolicy(const PolicyRequest& request) {
  const NamedPolicies named = *policiesNamed(request.policy);
  const NamedSettings settings = *settingsOf(named, request);
  nlohmann::json json = {{"name", request.policy}, {"share", request.share}, {"interval", request.interval}, {"positions", "none"}};
  if (named.chooser != nullptr) {
    json["chooser"] = optionsOf(*named.chooser, settings.chooser);
    if (request.interval > 0 && named.chooser->makeScorer(settings.chooser)->needsPositions())
      json["positions"] = named.chooser->isAlikeInHeads ? "layer" : "unit";
  }
  if (named.holder != nullptr) json["holder"] = optionsOf(*named.holder, settings.holder);
  return json;
}

}  // namespace kvista
