// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/card_header.h"
#include "export_cases.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(CardHeader, readsTheWaysInWhichCardsAreWritten) {
  const CardHeader header = readCardHeader(
      "---\r\nlanguage: en\nlicense: other # see below\nlicense_name: 'llama 3'\nlicense_link: \"LICENSE\"\n"
      "base_model:\n- org/a\n  - org/b\ntags: [one, \"two\" , three]\nwidget:\n  license: mit\n---\nlicense: mit\n");
  EXPECT_THAT(header.languages, ElementsAre("en"));
  EXPECT_EQ(header.license, "other");
  EXPECT_EQ(header.licenseName, "llama 3");
  EXPECT_EQ(header.licenseLink, "LICENSE");
  EXPECT_THAT(header.baseModels, ElementsAre("org/a", "org/b"));
  EXPECT_THAT(header.tags, ElementsAre("one", "two", "three"));
  EXPECT_EQ(readCardHeader(writeCardHeader(header)), header);
}

TEST(CardHeader, leavesOutWhatItDoesNotUnderstand) {
  for (const char* text :
       {"", "---", "license: mit\n", "---\nlicense: mit\n", "# Title\n---\nlicense: mit\n---\n",
        "---\nlicense: &a mit\n---\n", "---\nlicense: |\n  mit\n---\n", "---\nlicense: \"m\\x41\"\n---\n",
        "---\nlicense: {a: b}\n---\n", "---\nlicense: \"mit\n---\n", "---\ntags: [\n---\n", "---\ntags:\n---\n",
        "---\ntags:\n-\n---\n", "---\nlicense: a\x01\n---\n"})
    EXPECT_EQ(readCardHeader(text), CardHeader{}) << text;
  EXPECT_EQ(readCardHeader("---\nlicense: " + std::string(201, 'a') + "\n---\n"), CardHeader{});
  EXPECT_EQ(readCardHeader("---\n" + std::string(1 << 17, 'a') + "\nlicense: mit\n---\n"), CardHeader{});
}

class Card : public ::testing::Test {
 protected:
  std::string of(const std::filesystem::path& place, const std::string& original, const nlohmann::json& extra,
                 const CompressionPlan& plan = planNamed("coded")) {
    const TinyModel model = tinyModel(place);
    writeText(place / "README.md", original);
    const PlanFactors factors = randomFactors(plan);
    ExportRequest request{model.checkpoint, *model.decoder, plan, factors};
    request.extra = extra;
    const auto target = folder / "small";
    valueOf(exportCheckpoint(request, {.target = target, .overwrite = true}, {}));
    return readText(target / "README.md");
  }

  const TemporaryFolder folder;
};

TEST_F(Card, saysWhatThePlanCostsAndWhereTheModelComesFrom) {
  const std::string card = of(folder / "models--org--tiny" / "snapshots" / "0123",
                              "---\nlicense: mit\nbase_model: org/older\nlanguage: [de]\n---\nTheir prose.\n",
                              {{"perplexityBefore", 12.5},
                               {"perplexityAfter", 12.75},
                               {"predictedPerplexity", 12.625},
                               {"evaluation", {{"paths", {"/home/somebody/held.txt"}}, {"predictions", 900}}},
                               {"calibration", {{"paths", {"/home/somebody/text.txt", "-"}}, {"window", 256}}},
                               {"calibrationTokens", 4096}});
  const CardHeader header = readCardHeader(card);
  EXPECT_EQ(header.license, "mit");
  EXPECT_THAT(header.baseModels, ElementsAre("org/tiny")) << "what this was made from, not what that was made from";
  EXPECT_THAT(header.languages, ElementsAre("de"));
  EXPECT_THAT(header.tags, ElementsAre("kvista", "kv-cache"));
  const CompressionPlan plan = planNamed("coded");
  EXPECT_THAT(card, HasSubstr("| cache, bytes a token | 128 | " + std::to_string(bytesPerToken(plan)) + " |"));
  EXPECT_THAT(card, HasSubstr("| perplexity, measured on `held.txt`, 900 tokens | 12.500 | 12.750 |"));
  EXPECT_THAT(card, HasSubstr("| perplexity, predicted from the calibration text | 12.500 | 12.625 |"));
  EXPECT_THAT(card, HasSubstr("`text.txt`, text that was given on standard input: 4096 tokens, in windows of 256"));
  EXPECT_THAT(card, HasSubstr("the first 4 tokens stay exact"));
  EXPECT_THAT(card, HasSubstr("trust_remote_code=True"));
  EXPECT_THAT(card, HasSubstr(fingerprint(plan)));
  EXPECT_THAT(card, HasSubstr("The original's licence holds for this model too: `mit`."));
  EXPECT_THAT(card, Not(HasSubstr("Their prose")));
  EXPECT_THAT(card, Not(HasSubstr("somebody")));
  EXPECT_THAT(card, Not(HasSubstr(folder.path().string())));
}

TEST_F(Card, saysWhatThePlansBasesAreMadeFrom) {
  CompressionPlan plan = planNamed("codedCentred");
  plan.damping = 0.03;
  plan.sinkFree = true;
  for (const auto& [metric, words] :
       {std::pair{Metric::output, "the output projection makes of values, keys by their squares"},
        {Metric::query, "attention scores feel of keys, values by their squares"},
        {Metric::attention, "attention scores feel of keys and the output projection makes of values"}}) {
    plan.metric = metric;
    const std::string card = of(folder / "model", "", nlohmann::json::object(), plan);
    EXPECT_THAT(card, HasSubstr(words));
    EXPECT_THAT(card, HasSubstr("0.03 of each head's mean weight"));
    EXPECT_THAT(card, HasSubstr("tokens beyond the first of each window"));
    EXPECT_THAT(card, HasSubstr("the mean over tokens is taken away"));
  }
}

TEST_F(Card, saysWhatIsNotKnown) {
  const std::string card = of(folder / "ti`ny", "Prose without a header.\n", nlohmann::json::object());
  EXPECT_EQ(readCardHeader(card).license, "");
  EXPECT_THAT(readCardHeader(card).baseModels, ElementsAre());
  EXPECT_THAT(card, HasSubstr("# `ti ny` with a compressed KV cache"));
  EXPECT_THAT(card, HasSubstr("The quality was neither measured nor predicted."));
  EXPECT_THAT(card, HasSubstr("No text: the plan was made from the weights alone."));
  EXPECT_THAT(card, HasSubstr("the files that it was made from do not say which they are"));
}

}  // namespace
}  // namespace kvista::test
