// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/named_policies.h"

#include <gtest/gtest.h>

namespace kvista::test {
namespace {

TEST(PolicyText, SaysARequestAndIsReadBack) {
  const auto read = policyFromText("  snapkv+fp8 share=.25\tinterval=64 window=16 ");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read,
            (PolicyRequest{.policy = "snapkv+fp8", .options = {{"window", "16"}}, .share = 0.25, .interval = 64}));
  EXPECT_EQ(toText(*read), "snapkv+fp8 share=0.25 interval=64 window=16");
  EXPECT_EQ(*policyFromText(toText(*read)), *read);
  EXPECT_EQ(*policyFromText("kivi"), (PolicyRequest{.policy = "kivi"}));
  EXPECT_EQ(toText({.policy = "kivi"}), "kivi");
  const PolicyRequest spaced{
      .policy = "fast-kvzip", .options = {{"gate", "/my models/the \"best\"/gate"}}, .share = 0.5};
  EXPECT_EQ(toText(spaced), "fast-kvzip share=0.5 gate=\"/my models/the \"\"best\"\"/gate\"");
  EXPECT_EQ(*policyFromText(toText(spaced)), spaced);
}

TEST(PolicyText, MistakesAreNamed) {
  for (const auto& [text, words] :
       {std::pair{"", "No policy was named"},
        std::pair{"best", "no policy \"best\""},
        std::pair{"snapkv often", "\"often\" stands behind"},
        std::pair{"snapkv =3", "\"=3\" stands behind"},
        std::pair{"snapkv share=0", "The share of a policy is \"0\""},
        std::pair{"snapkv share=1.5", "\"1.5\""},
        std::pair{"snapkv share=nan", "\"nan\""},
        std::pair{"snapkv interval=-1", "The interval of a policy is \"-1\""},
        std::pair{"snapkv interval=0", "The interval of a policy is \"0\""},
        std::pair{"snapkv size=3", "no option \"size\""},
        std::pair{"snapkv window=x", "The option window"},
        std::pair{"snapkv+l2-norm", "do not go together"},
        std::pair{"snapkv+kivi+fp8", "\"snapkv+kivi+fp8\" joins no two policies; at most two are joined"},
        std::pair{"snapkv+", "at most two are joined"},
        std::pair{"snapkv+kivi", "cannot take some out"},
        std::pair{"snapkv share=.25 share=1", "share of the policy snapkv is said twice"},
        std::pair{"snapkv window=4 window=8", "window of the policy snapkv is said twice"},
        std::pair{"snapkv+think kivi.window=4", "\"kivi.window\" is of no policy"},
        std::pair{"snapkv+think window=4 think.window=5", "window of the policy think is given twice"},
        std::pair{"snapkv+think snapkv.kept=.5", "The policy snapkv has no option \"kept\""}}) {
    const auto read = policyFromText(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::invalidArgument);
    EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
  }
}

TEST(NamedPolicies, AnOptionThatBothHaveCanBeNamedOfOne) {
  const auto windows = [](const std::string& text) {
    const PolicyRequest request = policyFromText(text).value();
    const NamedSettings settings = settingsOf(policiesNamed(request.policy).value(), request).value();
    return std::pair{settings.chooser.count("window"), settings.holder.count("window")};
  };
  EXPECT_EQ(windows("snapkv+think window=4"), (std::pair<std::int64_t, std::int64_t>{32, 4}));
  EXPECT_EQ(windows("snapkv+think snapkv.window=4"), (std::pair<std::int64_t, std::int64_t>{4, 32}));
  EXPECT_EQ(windows("think+snapkv window=5 snapkv.window=4"), (std::pair<std::int64_t, std::int64_t>{4, 5}));
  const NamedPolicies both = policiesNamed("snapkv+think").value();
  EXPECT_EQ(optionOf(both, *both.chooser, "window"), "snapkv.window");
  EXPECT_EQ(optionOf(both, *both.chooser, "sinks"), "sinks");
  EXPECT_EQ(optionOf(both, *both.holder, "window"), "window");
}

TEST(NamedPolicies, HoldersGoWithPlansWhoseLatentsTheyCanHold) {
  CompressionPlan plan, coded;
  plan.storage = Storage::lowRank16;
  coded.storage = Storage::coded;
  for (const char* any : {"snapkv", "cskv"})
    for (const CompressionPlan& one : {plan, coded}) EXPECT_TRUE(policiesNamed(any)->goesWith(one)) << any;
  for (const char* latents : {"snapkv+hadamard", "kivi", "zipcache"}) {
    EXPECT_TRUE(policiesNamed(latents)->goesWith(plan)) << latents;
    EXPECT_FALSE(policiesNamed(latents)->goesWith(coded)) << latents;
  }
  EXPECT_FALSE(policiesNamed("snapkv+think")->goesWith(plan));
}

}  // namespace
}  // namespace kvista::test
