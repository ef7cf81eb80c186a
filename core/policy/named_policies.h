// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"

namespace kvista {

/// What a request's name stands for: one that chooses tokens, one that says how they are held, or both.
struct NamedPolicies {
  const Policy* chooser = nullptr;
  const Policy* holder = nullptr;
  /// Whether it can keep small what a plan stores. Of the others the holder stores heads as the model makes them.
  [[nodiscard]] bool goesWith(const CompressionPlan& plan) const;
};
/// Whether a way to hold tokens that neither needs nor takes plans can hold the latents of one. Errors
/// (invalidArgument): it holds no latents, or these are quantised already.
Result<void> checkHoldsLatents(const Policy& holder, const CompressionPlan& plan);
/// Whether tokens of `together` adjacent layers can be merged (the policy commonkv): as the model has them, or as
/// latents that lie in one space and are all alike. `plan`: null without one. Errors (invalidArgument): fewer layers,
/// other latents.
Result<void> checkMergesLayers(std::int64_t together, const CompressionPlan* plan, const ModelShape& shape);
/// Of "snapkv", "kivi" or "snapkv+fp8". Errors (invalidArgument): no such policy, two that do not go together.
Result<NamedPolicies> policiesNamed(const std::string& name);

/// A request's options, each with the policy that it is for. "snapkv.window" is that policy's; a plain name is the
/// holder's where it has such an option, else the chooser's.
struct DealtOptions {
  std::map<std::string, std::string> chooser, holder;
};
/// Errors (invalidArgument): a name before the point that is neither's, an option that is given twice.
Result<DealtOptions> dealtOptions(const NamedPolicies& named, const PolicyRequest& request);
/// How a request speaks of an option of one of the two: "window", or "snapkv.window" where the plain name would be the
/// other's.
std::string optionOf(const NamedPolicies& named, const Policy& policy, std::string_view option);

struct NamedSettings {
  PolicySettings chooser, holder;
};
/// Errors (invalidArgument): as dealtOptions, and options that a policy does not have.
Result<NamedSettings> settingsOf(const NamedPolicies& named, const PolicyRequest& request);

/// A request in a line: a name, then words name=value with `share`, `interval` and options, as in "snapkv+fp8 share=.25
/// interval=64 window=16"; a file whose name has spaces stands in quotation marks. Errors (invalidArgument): as
/// checkPolicy (policy_run.h), words of another form, and what is said twice.
Result<PolicyRequest> policyFromText(std::string_view text);
/// One more option of a request. Error (invalidArgument): it has that already.
Result<void> addOption(PolicyRequest& request, const std::string& name, const std::string& value);
/// The line that says the same.
std::string toText(const PolicyRequest& request);

}  // namespace kvista
