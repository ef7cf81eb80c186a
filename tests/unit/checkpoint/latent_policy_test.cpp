// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_policy.h"

#include <gtest/gtest.h>

#include <string>

#include "core/checkpoint/model_code.h"

namespace kvista {
namespace {

/// A policy that is added without its part of the model code would be recorded in exports that then refuse to open.
TEST(LatentPolicy, TheModelCodeChecksTheOptionsOfEveryPolicy) {
  const std::string& code = modelCode().at("policy_fields_kvista.py");
  for (const Policy& policy : policies()) {
    const std::size_t begin = code.find("\n    \"" + std::string(policy.name) + "\": {");
    ASSERT_NE(begin, std::string::npos) << policy.name;
    const std::string own = code.substr(begin, code.find('\n', begin + 1) - begin);
    for (const PolicyOption& option : policy.options)
      if (!option.isWord) EXPECT_NE(own.find("\"" + std::string(option.name) + "\": "), std::string::npos) << policy.name << " " << option.name;
  }
}

TEST(LatentPolicy, FilesOfOptionsAreNotNamedInExports) {
  const PolicyRequest request{.policy = "fast-kvzip+fp8", .options = {{"gate", "/home/me/secret.gate"}, {"window", "8"}}, .share = 0.25};
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
}  // namespace kvista
