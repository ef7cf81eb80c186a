// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/checkpoint/model_code.h"
#include "core/checkpoint/tensor_source.h"
#include "core/compress/factors.h"
#include "core/model/tensor_file.h"
#include "core/policy/cache_bytes.h"
#include "core/policy/named_policies.h"
#include "core/policy/wrapped.h"

namespace kvista {
namespace {

nlohmann::json optionsOf(const Policy& policy, const PolicySettings& settings) {
  nlohmann::json json = {{"name", policy.name}};
  for (const PolicyOption& option : policy.allOptions()) {
    const std::string name(option.name);
    if (!option.isWord) {
      const double value = settings.number(name);
      json[name] =
          value == std::floor(value) ? nlohmann::json(static_cast<std::int64_t>(value)) : nlohmann::json(value);
    } else if (const auto over = findPolicy(settings.word(name)); !option.isFile && over) {  // whose scores it works on
      json[name] = optionsOf(**over, settingsOfWrapped(policy, **over));
    }
  }
  return json;
}

bool isUncompressed(const CompressionPlan& plan) { return std::ranges::all_of(plan.groups, &Group::isUncompressed); }

/// Options that name a policy or a file.
Result<void> checkChooser(const Policy& chooser, const PolicySettings& settings) {
  for (const PolicyOption& option : chooser.allOptions()) {
    if (!option.isWord) continue;
    const std::string& word = settings.word(option.name);
    if (!option.isFile) {
      KVISTA_ASSIGN(const Policy* over, wrappedPolicy(word));
      KVISTA_CHECK(checkIsInModelCode(*over));
      continue;
    }
    if (word.empty())
      return fail(
          ErrorCode::invalidArgument,
          fmt::format("The policy {} needs {}, which goes into the export.", chooser.name, option.meaning),
          fmt::format("Make one with `kvista gate MODEL --kind {} --text F -o FILE`, then \"{} {}=FILE share=.25\".",
                      chooser.name, chooser.name, option.name));
    KVISTA_CHECK(TensorFile::open(word));
  }
  return {};
}

Result<void> checkHolder(const Policy& holder, const PolicySettings& settings, const CompressionPlan& plan,
                         const ModelShape& shape) {
  if (holder.takesPlan) return checkMergesLayers(settings.count("layers"), &plan, shape);
  return holder.needsPlan || isUncompressed(plan) ? Result<void>() : checkHoldsLatents(holder, plan);
}

/// Heads that keep other tokens than one another need keys that are each head's own.
Result<void> checkHeadsApart(const Policy& chooser, const CompressionPlan& plan,
                             const DecoderDescription& description) {
  const bool apart = !chooser.isAlikeInHeads && std::ranges::all_of(plan.groups, isOfOneHead);
  if (!apart || plan.keyPosition != KeyPosition::beforeRope || description.shape.kvHeads < 2) return {};
  for (const LayerDescription& layer : description.layers)
    if (layer.attention.keyNorm && layer.attention.keyNorm->width > description.shape.headDim)
      return fail(
          ErrorCode::invalidArgument,
          fmt::format(
              "The policy {} leaves other tokens in each head, but this model norms the keys of all heads together.",
              chooser.name),
          "Take a plan whose heads share latents, such as joint, or whose keys are stored after RoPE.");
  return {};
}

}  // namespace

Result<void> checkIsInModelCode(const Policy& policy) {
  if (modelCode().at("policy_fields_kvista.py").find(fmt::format("\n    \"{}\": {{", policy.name)) != std::string::npos)
    return {};
  return fail(
      ErrorCode::invalidArgument,
      fmt::format(
          "The model code of exports does not have the policy {}, so that an export that records it would not open.",
          policy.name),
      "Record another one or none; `kvista evaluate --policy` measures with any.");
}

Result<void> checkLatentPolicy(const PolicyRequest& request, const CompressionPlan& plan,
                               const DecoderDescription& description) {
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  KVISTA_ASSIGN(const NamedSettings settings, settingsOf(named, request));
  for (const Policy* policy : {named.chooser, named.holder})
    if (policy != nullptr) KVISTA_CHECK(checkIsInModelCode(*policy));
  if (!plan.sharedFrom.empty())
    return fail(ErrorCode::invalidArgument,
                "Layers of the plan read another layer's cache, for which the model code applies no policy.",
                "Leave the policy out, or make a plan whose layers have their own caches.");
  if (predictsLayers(plan))
    return fail(ErrorCode::invalidArgument,
                fmt::format("Layers of the plan are read behind those that predict them, so they must keep the same "
                            "tokens; the policy {} would leave others in each.",
                            request.policy),
                "Leave the policy out, or make a plan with --chain 1 and --no-token-numbers.");
  if (readsExactHeads(request) && readsInputs(plan, description.shape))
    return fail(ErrorCode::invalidArgument,
                fmt::format("The policy {} reads whole keys and values, but the plan makes latents of {} inputs, from "
                            "which the form latent makes none.",
                            request.policy, description.shape.hiddenSize),
                "Take another policy, or make a plan of the method joint.");
  if (named.chooser != nullptr) {
    KVISTA_CHECK(checkChooser(*named.chooser, settings.chooser));
    if (named.holder == nullptr && request.share >= 1 && !named.chooser->dropsByItself)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("At a share of 1 the policy {} leaves everything in the cache.", named.chooser->name),
                  "Say how much may stay, as in \"snapkv share=.25\".");
  }
  if (named.holder != nullptr) {
    KVISTA_CHECK(checkHolder(*named.holder, settings.holder, plan, description.shape));
    if (named.chooser == nullptr && request.share < 1)
      return fail(
          ErrorCode::invalidArgument,
          fmt::format(
              "A share of {} cannot be kept by the policy {} alone: its bytes depend on how long texts will be.",
              request.share, named.holder->name),
          "Leave the share out and say its options, such as bits=4.");
    if (isUncompressed(plan)) return {};  // heads are held as attention sees them
  }
  return named.chooser == nullptr ? Result<void>() : checkHeadsApart(*named.chooser, plan, description);
}

nlohmann::json latentPolicy(const PolicyRequest& request, const CompressionPlan& plan) {
  const NamedPolicies named = *policiesNamed(request.policy);
  const NamedSettings settings = *settingsOf(named, request);
  nlohmann::json json = {
      {"name", request.policy}, {"share", request.share}, {"interval", request.interval}, {"positions", "none"}};
  if (named.chooser != nullptr) {
    json["chooser"] = optionsOf(*named.chooser, settings.chooser);
    if (request.interval > 0 && named.chooser->makeScorer(settings.chooser)->needsPositions())
      json["positions"] = named.chooser->isAlikeInHeads ? "layer" : "unit";
  }
  if (named.holder != nullptr) {
    json["holder"] = optionsOf(*named.holder, settings.holder);
    if (!named.holder->needsPlan) json["holder"]["latents"] = !isUncompressed(plan);
  }
  return json;
}

bool readsExactHeads(const PolicyRequest& request) {
  const NamedPolicies named = *policiesNamed(request.policy);
  if (named.holder != nullptr && named.holder->needsPlan) return true;
  return named.chooser != nullptr && named.chooser->makeScorer(settingsOf(named, request)->chooser)->readsAgain();
}

Result<std::vector<TensorToWrite>> latentPolicyTensors(const PolicyRequest& request, const Decoder& decoder,
                                                       const Checkpoint& checkpoint) {
  const NamedPolicies named = *policiesNamed(request.policy);
  std::vector<TensorToWrite> tensors;
  if (named.chooser == nullptr || std::ranges::none_of(named.chooser->options, &PolicyOption::isFile)) return tensors;
  PolicyRequest ofModel = request;
  KVISTA_ASSIGN(ofModel.model, contentHash(checkpoint));
  const auto scorer = named.chooser->makeScorer(settingsOf(named, request)->chooser);
  KVISTA_CHECK(scorer->begin(decoder, ofModel, 0));  // nothing is read
  for (const auto& [name, tensor] : scorer->trained())
    tensors.push_back(computed("model.foreteller." + name, tensor.sizes().vec(), DataType::f32,
                               [tensor = tensor] { return Result<at::Tensor>(tensor); }));
  return tensors;
}

std::string textWithoutFiles(PolicyRequest request) {
  if (const Policy* chooser = policiesNamed(request.policy)->chooser; chooser != nullptr)
    for (const PolicyOption& option : chooser->options)
      if (option.isFile)
        for (const std::string& name : {std::string(option.name), fmt::format("{}.{}", chooser->name, option.name)})
          request.options.erase(name);
  return toText(request);
}

}  // namespace kvista
