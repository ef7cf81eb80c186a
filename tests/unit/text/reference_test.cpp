// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// reference_cases.json holds four small tokenizers and what the `tokenizers` library makes of odd texts with them.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/text/tokenizer.h"

namespace kvista {
namespace {

TEST(ReferenceCases, SmallTokenizersOnOddTexts) {
  std::ifstream file(std::string(KVISTA_SOURCE_DIR) + "/tests/unit/text/reference_cases.json");
  const auto reference = nlohmann::json::parse(file);
  const auto texts = reference["texts"].get<std::vector<std::string>>();
  ASSERT_FALSE(texts.empty());
  for (const auto& entry : reference["tokenizers"]) {
    const auto tokenizer = Tokenizer::fromJson(entry["file"], entry["name"].get<std::string>());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      SCOPED_TRACE(entry["name"].get<std::string>() + ", text " + std::to_string(i));
      const auto ids = tokenizer->encode(texts[i], true);
      ASSERT_TRUE(ids) << ids.error().message;
      EXPECT_EQ(*ids, entry["ids"][i].get<std::vector<std::uint32_t>>());
      EXPECT_EQ(tokenizer->decode(*ids, false).value_or("error"), entry["decoded"][i].get<std::string>());
    }
  }
}

}  // namespace
}  // namespace kvista
