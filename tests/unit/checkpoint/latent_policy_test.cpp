// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_policy.h"

#include <gtest/gtest.h>

#include <string>

#include "core/checkpoint/model_code.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

TEST(LatentPolicy, EveryPolicyIsInTheModelCodeAsAWholeOrRefused) {
  const std::string &fields = modelCode().at("policy_fields_kvista.py"),
                    &choosers = modelCode().at("scorers_kvista.py");
  const std::string holders = modelCode().at("held_kvista.py") + modelCode().at("policy_kvista.py");
  for (const Policy& policy : policies()) {
    const std::string name = "\"" + std::string(policy.name) + "\"";
    if (const auto carried = checkIsInModelCode(policy); !carried) {
      EXPECT_EQ(errorOf(checkLatentPolicy({.policy = std::string(policy.name)}, {}, {})).message,
                carried.error().message);
      continue;
    }
    const std::size_t begin = fields.find("\n    " + name + ": {");
    const std::string own = fields.substr(begin, fields.find('\n', begin + 1) - begin);
    for (const PolicyOption& option : policy.options)
      if (!option.isWord)
        EXPECT_NE(own.find("\"" + std::string(option.name) + "\": "), std::string::npos) << name << " " << option.name;
    EXPECT_NE((policy.makeScorer != nullptr ? choosers : holders).find(name), std::string::npos)
        << name << " is checked, but not applied";
  }
  EXPECT_TRUE(checkIsInModelCode(*valueOf(findPolicy("snapkv"))));
  Policy added = *valueOf(findPolicy("snapkv"));
  added.name = "snap";
  EXPECT_EQ(
      errorOf(checkIsInModelCode(added)).message,
      "The model code of exports does not have the policy snap, so that an export that records it would not open.");
}

TEST(LatentPolicy, FilesOfOptionsAreNotNamedInExports) {
  const PolicyRequest request{
      .policy = "fast-kvzip+fp8", .options = {{"gate", "/home/me/secret.gate"}, {"window", "8"}}, .share = 0.25};
  EXPECT_EQ(textWithoutFiles(request), "fast-kvzip+fp8 share=0.25 window=8");
}

TEST(LatentPolicy, ProjectionsAreKeptForWhatReadsTokensExactly) {
  EXPECT_TRUE(readsExactHeads({.policy = "cskv"}));
  EXPECT_TRUE(readsExactHeads({.policy = "kvzip"}));
  EXPECT_TRUE(readsExactHeads({.policy = "chunkkv", .options = {{"over", "kvzip"}}}));
  EXPECT_FALSE(readsExactHeads({.policy = "chunkkv"}));
  EXPECT_FALSE(readsExactHeads({.policy = "fast-kvzip+fp8"}));
}

}  // namespace
}  // namespace kvista::test
