// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What an engine says of the directions of a cache, and of a policy's perplexity, where a person stops it or gives it
// what does not fit.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "core/compress/planner.h"
#include "core/evaluate/key_variants.h"
#include "core/evaluate/measure_policy.h"
#include "core/protocol/lab_records.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/engine/client.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kModel = kDemoFolder + "/model";

class Directions : public testing::Test {
 protected:
  static void SetUpTestSuite() { client_ = new Client; }
  static void TearDownTestSuite() { delete client_; }
  /// The demo's statistics as a file of this model.
  [[nodiscard]] std::string statistics(const char* name = "a.kvstats") const {
    const std::string file = (folder / name).string();
    Statistics known = demoStatistics();
    known.modelHash = valueOf(contentHash(demoCheckpoint()));
    EXPECT_TRUE(saveStatistics(file, known, {}));
    return file;
  }
  static CompressionPlan planBy(const char* method) {
    PlanRequest request;
    request.method = method;
    request.target = {Target::Kind::share, 0.5};
    return valueOf(makePlan(demoDecoder(), &demoStatistics(), request, {})).planned.plan;
  }
  template <class Record>
  static Record recordOf(Result<json> answer) {
    return valueOf(read<Record>(valueOf(std::move(answer))));
  }
  [[nodiscard]] static std::string refusalOf(const char* method, json params) {
    return errorOf(client_->call(method, std::move(params))).message;
  }

  static Client* client_;
  TemporaryFolder folder;
};
Client* Directions::client_ = nullptr;

TEST_F(Directions, VariantsAreThoseOfTheLibrary) {
  const CompressionPlan plan = planBy("kqsvd");
  json params = {{"model", kModel}, {"statistics", statistics()}, {"plan", toJson(plan)}};
  const auto record = recordOf<KeyVariantsRecord>(client_->call("keyVariants", params));
  EXPECT_EQ(record.planFingerprint, fingerprint(plan));
  const auto variants = valueOf(compareKeyVariants(demoDecoder(), demoStatistics(), plan, {}));
  ASSERT_EQ(record.variants.size(), variants.size());
  for (std::size_t i = 0; i < variants.size(); ++i) {
    EXPECT_EQ(record.variants[i].method, variants[i].name);
    EXPECT_NEAR(record.variants[i].keys, variants[i].keys, 1e-6);
    EXPECT_NEAR(record.variants[i].values, variants[i].values, 1e-6);
    EXPECT_NEAR(record.variants[i].logits, variants[i].logits, 1e-6);
    EXPECT_NEAR(record.variants[i].attentionOutputs, variants[i].attentionOutputs, 1e-6);
  }
  params["plan"] = toJson(planBy("joint"));
  EXPECT_THAT(refusalOf("keyVariants", params), HasSubstr("does not compress keys after RoPE"));
  params.erase("statistics");
  EXPECT_THAT(refusalOf("keyVariants", params), HasSubstr("'statistics'"));
}

TEST_F(Directions, APolicysPerplexityStandsBesideWhatTheSameTokensCostWithoutIt) {
  const CompressionPlan plan = planBy("joint");
  const TextSelection text{{kEvaluationText}, kWindow, 2, 0, {}, false};
  json params = {
      {"model", kModel}, {"text", toJson(text)}, {"policy", "snapkv share=0.5 window=4 interval=8"}, {"prompt", 24}};
  const auto alone = recordOf<PolicyEvaluationRecord>(client_->call("evaluatePolicy", params));
  const at::Tensor ids = demoWindows(2, 0, kEvaluationText).ids;
  PolicyRequest request{.policy = "snapkv", .share = 0.5, .prompt = 24, .interval = 8};
  request.options = {{"window", "4"}};
  const PolicyMeasurement same = valueOf(measurePolicy(demoDecoder(), ids, nullptr, request, {}));
  EXPECT_NEAR(alone.underPolicy, same.behindPrompt.perplexity(), 1e-3);
  EXPECT_NEAR(alone.original, valueOf(measurePerplexity(demoDecoder(), ids, nullptr, "", {}, {}, 24)).perplexity(),
              1e-3);
  EXPECT_EQ(alone.predictions, 2 * (kWindow - 1 - 24));
  EXPECT_EQ(alone.prompt, 24);
  EXPECT_DOUBLE_EQ(alone.bytesAtEnd, same.bytesAtEnd);
  EXPECT_EQ(alone.fullBytes, same.fullBytes);
  EXPECT_DOUBLE_EQ(alone.tokensKept, same.tokensKept);
  EXPECT_FALSE(alone.plan);
  EXPECT_FALSE(alone.overPlan);

  params["statistics"] = statistics();
  params["plan"] = toJson(plan);
  const auto over = recordOf<PolicyEvaluationRecord>(client_->call("evaluatePolicy", params));
  EXPECT_TRUE(over.overPlan);
  EXPECT_EQ(over.planFingerprint, fingerprint(plan));
  EXPECT_DOUBLE_EQ(over.original, alone.original);
  EXPECT_NE(over.plan.value(), over.original);
  EXPECT_NE(over.underPolicy, alone.underPolicy);
  params["prompt"] = 63;
  EXPECT_THAT(refusalOf("evaluatePolicy", params), HasSubstr("leaves nothing to measure"));
  params.erase("prompt");
  EXPECT_EQ(recordOf<PolicyEvaluationRecord>(client_->call("evaluatePolicy", params)).prompt, kWindow / 2);
  params["policy"] = "best";
  EXPECT_THAT(refusalOf("evaluatePolicy", params), HasSubstr("There is no policy"));
  params.erase("policy");
  EXPECT_THAT(refusalOf("evaluatePolicy", params), HasSubstr("'policy'"));
}

TEST_F(Directions, RankingThatIsStoppedEndsAtOnceAndTheNextOneAnswers) {
  json params = {
      {"model", kModel}, {"texts", {statistics(), statistics("b.kvstats")}}, {"kept", 0.5}, {"windows", 65536}};
  const std::int64_t id = client_->ask("ranks", params);
  client_->awaitProgress(id);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", id}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(id)).code, ErrorCode::cancelled);
  params["kept"] = 0;
  const auto record = recordOf<RanksRecord>(client_->call("ranks", params));
  EXPECT_EQ(record.texts.size(), 2U) << "more windows than there are, but none is read";
}

TEST_F(Directions, RankingRefusesWhatIsNoCalibrationOfTheModel) {
  const std::string good = statistics();
  const auto refused = [&](const std::string& file) {
    return refusalOf("ranks", {{"model", kModel}, {"texts", {good, file}}});
  };
  EXPECT_THAT(refused(kEvaluationText), HasSubstr(kEvaluationText)) << "a text is none";
  EXPECT_THAT(refused((folder / "none.kvstats").string()), HasSubstr("none.kvstats"));
  EXPECT_THAT(refused(folder.path().string()), HasSubstr(folder.path().string())) << "nor is a folder";
  const std::string empty = (folder / "empty.kvstats").string(), cut = (folder / "cut.kvstats").string();
  std::ofstream(empty).close();
  EXPECT_THAT(refused(empty), HasSubstr("empty.kvstats"));
  std::filesystem::copy_file(good, cut);
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) / 2);
  EXPECT_THAT(refused(cut), HasSubstr("cut.kvstats"));
  EXPECT_THAT(refusalOf("ranks", {{"model", kModel}, {"texts", {good}}, {"windows", 0}}), HasSubstr("windows"));
}

}  // namespace
}  // namespace kvista::test
