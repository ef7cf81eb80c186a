// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What the evaluation lab asks of an engine, beside the same by the library.
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/sort.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/compress/cache_spectra.h"
#include "core/compress/factors.h"
#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/evaluate/agreement.h"
#include "core/evaluate/tasks.h"
#include "core/evaluate/truncation_loss.h"
#include "core/policy/attention_scores.h"
#include "core/policy/importance_gate.h"
#include "core/policy/train_predictor.h"
#include "core/protocol/lab_records.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/engine/client.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kModel = kDemoFolder + "/model";

json selection(std::int64_t windows, const std::string& text = kCalibrationText) {
  return toJson(TextSelection{{text}, kWindow, windows, 0, {}, false});
}

/// A plan of the weights alone, which needs no calibration, small enough to change what the model says.
class LabMethods : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    client_ = new Client;
    PlanWish wish;
    wish.method = "svd";
    wish.target = {Target::Kind::share, 0.3};
    const json made = valueOf(client_->call("makePlan", {{"model", kModel}, {"wish", toJson(wish)}}));
    plan_ = valueOf(read<PlannedPlan>(made["planned"])).plan;
  }
  static void TearDownTestSuite() { delete client_; }
  static json withPlan(json params = json::object()) {
    params["model"] = kModel;
    params["plan"] = toJson(plan_);
    return params;
  }
  static const PlanTransform& transform() {
    static const PlanTransform transform(plan_, valueOf(makeFactors(demoDecoder(), nullptr, plan_, {})),
                                         demoDecoder().shape(), at::kCPU);
    return transform;
  }
  template <class Record>
  static Record recordOf(Result<json> answer) {
    return valueOf(read<Record>(valueOf(std::move(answer))));
  }

  static Client* client_;
  static CompressionPlan plan_;
  TemporaryFolder folder;
};
Client* LabMethods::client_ = nullptr;
CompressionPlan LabMethods::plan_;

TEST_F(LabMethods, QuestionsAreAnsweredAsTheLibraryAnswersThem) {
  const std::string file = (folder / "questions.jsonl").string();
  std::ofstream(file)
      << R"({"prompt": "It is a truth", "target": ["universally", "acknowledged"], "until": ["\n"], "max_gen_toks": 4})"
         "\n"
      << R"({"query": "She was very much obliged to him for his", "choices": ["kindness", "table", "seven"], "gold": 0})"
         "\n"
      << R"({"query": "He could not bear to see her so", "choices": ["engine", "unhappy"], "gold": 1})"
         "\n";
  const auto record = recordOf<TasksRecord>(client_->call("tasks", withPlan({{"files", {file}}})));
  EXPECT_EQ(record.planFingerprint, fingerprint(plan_));
  ASSERT_EQ(record.files.size(), 1U);
  const TaskItems items = valueOf(readTaskItems(file));
  const TaskTokens tokens = taskTokensOf(demoCheckpoint(), false);
  const TaskScores before = valueOf(scoreTasks(demoDecoder(), demoTokenizer(), nullptr, items, tokens, "", {}));
  const TaskScores after = valueOf(scoreTasks(demoDecoder(), demoTokenizer(), &transform(), items, tokens, "", {}));
  const auto measures = taskMeasuresOf(items, {before, after});
  ASSERT_EQ(record.files[0].measures.size(), measures.size());
  for (std::size_t i = 0; i < measures.size(); ++i) {
    const TaskMeasureRecord& told = record.files[0].measures[i];
    EXPECT_EQ(told.name, measures[i].name);
    EXPECT_EQ(told.asked, measures[i].sides[0].asked);
    EXPECT_EQ(told.rightBefore, measures[i].sides[0].right);
    EXPECT_EQ(told.rightAfter, measures[i].sides[1].right);
    EXPECT_DOUBLE_EQ(told.errorBefore, measures[i].sides[0].standardError());
    EXPECT_EQ(told.same, measures[i].same);
  }
  const auto& answers = record.files[0].answers;
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].line, 1) << "in the order of the file, written ones among the others";
  EXPECT_EQ(answers[0].wanted, "universally, acknowledged");
  EXPECT_EQ(answers[0].before, before.writings[0].written);
  EXPECT_EQ(answers[0].after, after.writings[0].written);
  EXPECT_FALSE(answers[0].marginBefore);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& logs = before.choices[i].logLikelihoods;
    const std::size_t gold = items.choices[i].gold;
    double other = -1e30;
    for (std::size_t k = 0; k < logs.size(); ++k) other = k == gold ? other : std::max(other, logs[k]);
    EXPECT_NEAR(answers[i + 1].marginBefore.value(), logs[gold] - other, 1e-9);
    EXPECT_EQ(answers[i + 1].rightBefore, *answers[i + 1].marginBefore > 0);
    EXPECT_EQ(answers[i + 1].before, items.choices[i].continuations[before.choices[i].likeliest]);
    EXPECT_NE(answers[i + 1].marginAfter, answers[i + 1].marginBefore);
  }
  // A model alone answers for both sides, and the first items are a part of all.
  const auto alone =
      recordOf<TasksRecord>(client_->call("tasks", {{"model", kModel}, {"files", {file}}, {"items", 2}}));
  EXPECT_EQ(alone.planFingerprint, "");
  ASSERT_EQ(alone.files[0].answers.size(), 2U);
  EXPECT_EQ(alone.files[0].answers[1].before, answers[1].before);
  EXPECT_EQ(alone.files[0].answers[1].after, answers[1].before);
  EXPECT_THAT(errorOf(client_->call("tasks", withPlan({{"files", json::array()}}))).message, HasSubstr("No file"));
  EXPECT_THAT(errorOf(client_->call("tasks", withPlan({{"files", {(folder / "none").string()}}}))).message,
              HasSubstr((folder / "none").string()));
}

TEST_F(LabMethods, AgreementIsThatOfTheLibraryInWords) {
  const json params = withPlan(
      {{"text", selection(2, kEvaluationText)}, {"prompts", 3}, {"promptTokens", 12}, {"write", 8}, {"worst", 4}});
  const std::int64_t id = client_->ask("agreement", params);
  const auto record = recordOf<AgreementRecord>(client_->await(id));
  const at::Tensor ids = demoWindows(2, 0, kEvaluationText).ids;
  const TextAgreement read = valueOf(compareOnText({demoDecoder()}, {demoDecoder(), &transform()}, ids, 4, {}));
  EXPECT_EQ(record.predictions, 2 * (kWindow - 1));
  EXPECT_EQ(record.window, kWindow);
  EXPECT_DOUBLE_EQ(record.mean, read.mean);
  EXPECT_DOUBLE_EQ(record.percentile99, read.percentile99);
  EXPECT_DOUBLE_EQ(record.sameLikeliest, read.sameLikeliest);
  ASSERT_EQ(record.worst.size(), 4U);
  EXPECT_EQ(record.worst[0].position, read.worst[0].position);
  EXPECT_EQ(record.worst[0].text, valueOf(demoTokenizer().decode({read.worst[0].token}, false)));
  ASSERT_EQ(record.pairs.size(), 3U);
  double sum = 0;
  std::int64_t undiverged = 0;
  for (const WrittenRecord& each : record.pairs) {
    sum += static_cast<double>(each.same);
    undiverged += each.same == 8 ? 1 : 0;
    EXPECT_FALSE(each.prompt.empty());
    EXPECT_EQ(each.original.empty(), each.same == 8);
    EXPECT_EQ(each.shared.empty(), each.same == 0);
    EXPECT_EQ(each.original == each.plan, each.same == 8);
  }
  EXPECT_DOUBLE_EQ(record.meanFirst, sum / 3);
  EXPECT_EQ(record.undiverged, undiverged);
  EXPECT_LT(record.equalTokens, 1) << "the plan is to be one that says something else";
  json alone = params;
  alone.erase("plan");
  EXPECT_THAT(errorOf(client_->call("agreement", alone)).message, HasSubstr("'plan'"));
}

TEST_F(LabMethods, MeasuresUnderAPolicyBesideTheOriginal) {
  const json text = {
      {"text", selection(2, kEvaluationText)}, {"prompts", 2}, {"promptTokens", 12}, {"write", 4}, {"worst", 0}};
  json asked = text;
  asked.update({{"model", kModel}, {"policy", "snapkv interval=8"}});
  const auto whole = recordOf<AgreementRecord>(client_->call("agreement", asked));
  EXPECT_EQ(whole.policy, "snapkv interval=8");
  EXPECT_FALSE(whole.overPlan);
  EXPECT_EQ(whole.predictions, 2 * (kWindow / 2 - 1)) << "behind half of each window, of a model without a plan too";
  EXPECT_LT(whole.largest, 1e-4);
  EXPECT_EQ(whole.undiverged, 2);
  const std::string few = "streaming-llm interval=8 share=0.25 sinks=0";
  json overPlan = withPlan(text);
  overPlan["policy"] = few;
  const auto less = recordOf<AgreementRecord>(client_->call("agreement", overPlan));
  EXPECT_TRUE(less.overPlan);
  EXPECT_GT(less.mean, 0.01);

  const json losses =
      valueOf(client_->call("tokenLosses", {{"model", kModel},
                                            {"text", toJson(TextSelection{{kEvaluationText}, 48, 0, 0, {}, false})},
                                            {"maxTokens", 100},
                                            {"policy", few}}));
  const auto each = valueOf(read<TokenLossRecord>(losses));
  EXPECT_EQ(losses["policy"], "streaming-llm share=0.25 interval=8 sinks=0");
  ASSERT_EQ(each.after.size(), 100U);
  int changed = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 48 == 0) continue;  // A window's first token has none.
    if (i % 48 <= 24) {
      EXPECT_NEAR(each.after[i], each.before[i], 1e-3)
          << i << ": foretold before the policy acted, or in the short last window";
    }
    changed += std::abs(each.after[i] - each.before[i]) > 0.01 ? 1 : 0;
  }
  EXPECT_GT(changed, 20);

  const json retrieval = {
      {"model", kModel}, {"text", selection(0, kEvaluationText)}, {"lengths", {64}}, {"depths", {50}}, {"trials", 2}};
  json under = retrieval;
  under["policy"] = "snapkv";
  const auto found = recordOf<RetrievalRecord>(client_->call("retrieval", under));
  EXPECT_NEAR(found.lossAfter.at(0, 0), found.lossBefore.at(0, 0), 1e-3);
  under["policy"] = few;
  const auto lost = recordOf<RetrievalRecord>(client_->call("retrieval", under));
  EXPECT_EQ(lost.lossBefore, found.lossBefore);
  EXPECT_GT(lost.lossAfter.at(0, 0), lost.lossBefore.at(0, 0));
  const std::pair<const char*, const char*> refusals[] = {
      {"best", "There is no policy"}, {"snapkv share=2", "share of a policy"}, {"cskv", "there is no plan"}};
  for (const auto& [policy, words] : refusals) {
    under["policy"] = policy;
    EXPECT_THAT(errorOf(client_->call("retrieval", under)).message, HasSubstr(words));
  }
}

/// Of a window of 192 tokens, whose histories end behind 96, 128 and 160: the part of the attention of the next 32
/// queries that goes to a quarter of the keys, the last 32 and, where that leaves room, those that `score` makes
/// highest of attention [heads, queries, keys so far].
template <class Score>
double attentionFound(const at::Tensor& window, const Score& score) {
  LiveCache cache;
  cache.sequenceLength = cache.queryWindow = window.size(1);
  valueOf(demoDecoder().extend(window, cache, nullptr, {}));
  double found = 0, all = 0;
  for (const std::int64_t keys : {96, 128, 160})
    for (int layer = 0; layer < demoDecoder().shape().layers; ++layer) {
      const at::Tensor attention =
          recentAttentionOf({demoDecoder(), layer, cache.layers[static_cast<std::size_t>(layer)], cache.tokens})[0]
              .narrow(2, 0, keys);
      const at::Tensor next = attention.narrow(1, keys, 32).mean(1), older = next.narrow(1, 0, keys - 32);
      const at::Tensor scores = score(attention.narrow(1, 0, keys), next).narrow(1, 0, keys - 32);
      const at::Tensor order = std::get<1>(at::sort(scores, /*stable=*/true, 1, /*descending=*/true));
      const at::Tensor chosen = order.narrow(1, 0, std::max<std::int64_t>(0, keys / 4 - 32));
      found += next.narrow(1, keys - 32, 32).sum().item<double>() + older.gather(1, chosen).sum().item<double>();
      all += next.sum().item<double>();
    }
  return found / all;
}

TEST_F(LabMethods, SaysWhatAnAttentionPredictorFindsBesideWhatNeedsNone) {
  const TextSelection text{{kCalibrationText}, 192, 2, 0, {}, false};
  const auto record =
      recordOf<PredictorRecord>(client_->call("trainPredictor", {{"model", kModel},
                                                                 {"text", toJson(text)},
                                                                 {"kind", "attention-predictor"},
                                                                 {"output", (folder / "demo.gate").string()}}));
  ASSERT_TRUE(record.recall);
  TextRecipe recipe = demoRecipe(2);
  recipe.window = text.window;
  const at::Tensor heldOut = valueOf(readTokenWindows(demoTokenizer(), recipe, {}, {})).ids.narrow(0, 1, 1);
  const auto ofNext = [](const at::Tensor&, const at::Tensor& next) { return next; };
  const auto ofAll = [](const at::Tensor& attention, const at::Tensor&) { return attention.sum(1); };
  const auto ofLast = [](const at::Tensor& attention, const at::Tensor&) {
    const at::Tensor sums = attention.narrow(1, attention.size(1) - 32, 32).sum(1).narrow(1, 0, attention.size(2) - 32);
    // With three neighbours on each side, of those before the last 32.
    return at::constant_pad_nd(sums, {3, 3}).unfold(1, 7, 1).amax(2);
  };
  const double best = attentionFound(heldOut, ofNext);
  EXPECT_NEAR(record.recall->best, best, 1e-5);
  EXPECT_NEAR(record.recall->accumulated, attentionFound(heldOut, ofAll), 1e-5);
  EXPECT_NEAR(record.recall->recent, attentionFound(heldOut, ofLast), 1e-5);
  const double least = attentionFound(heldOut, [&](const at::Tensor&, const at::Tensor& next) { return next.neg(); });
  EXPECT_GT(record.recall->predicted, least);
  EXPECT_LT(record.recall->predicted, best);
}

TEST_F(LabMethods, TrainsAPredictorAndSaysHowWellItHolds) {
  const std::string file = (folder / "demo.gate").string();
  const auto record = recordOf<PredictorRecord>(
      client_->call("trainPredictor", {{"model", kModel}, {"text", selection(5)}, {"output", file}}));
  EXPECT_EQ(record.kind, PredictorKind::fastKvzip);
  EXPECT_EQ(record.file, file);
  EXPECT_EQ(record.windows, 4);
  EXPECT_EQ(record.heldOutWindows, 1);
  EXPECT_EQ(record.window, kWindow);
  const at::Tensor ids = demoWindows(5).ids;
  const FittedGate same = valueOf(fitGate(demoDecoder(), ids.narrow(0, 0, 4), ids.narrow(0, 4, 1), 1e-4, {}));
  EXPECT_NEAR(record.correlation, same.correlation, 1e-6);
  EXPECT_FALSE(record.recall) << "a gate is asked about tokens, not about queries";
  EXPECT_TRUE(loadGate(file, demoDecoder(), {}));
  const auto refused = [&](json params) { return errorOf(client_->call("trainPredictor", std::move(params))).message; };
  EXPECT_THAT(refused({{"model", kModel}, {"text", selection(5)}, {"output", file}, {"kind", "oracle"}}),
              HasSubstr("it must be one of fast-kvzip"));
  EXPECT_THAT(refused({{"model", kModel}, {"text", selection(5)}, {"output", kCalibrationText}}),
              HasSubstr("would be replaced"));
  EXPECT_THAT(refused({{"model", kModel}, {"text", selection(1)}, {"output", file}}), HasSubstr("one window"));
  EXPECT_THAT(refused({{"model", kModel}, {"text", selection(5)}, {"output", (folder / "none" / "a.gate").string()}}),
              HasSubstr((folder / "none").string()));
  // Stopped, it leaves nothing.
  const std::string other = (folder / "other.gate").string();
  const std::int64_t slow =
      client_->ask("trainPredictor", {{"model", kModel}, {"text", selection(200)}, {"output", other}});
  client_->awaitProgress(slow);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", slow}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(slow)).code, ErrorCode::cancelled);
  recordOf<PredictorRecord>(client_->call(
      "trainPredictor", {{"model", kModel}, {"text", selection(2)}, {"output", file}}));  // behind it in the same lane
  EXPECT_FALSE(std::filesystem::exists(other));
}

TEST_F(LabMethods, RanksCachesOnSeveralTexts) {
  const std::string one = (folder / "one.kvstats").string(), two = (folder / "two.kvstats").string();
  Statistics statistics = demoStatistics();
  statistics.modelHash = valueOf(contentHash(demoCheckpoint()));
  ASSERT_TRUE(saveStatistics(one, statistics, {}));
  ASSERT_TRUE(saveStatistics(two, statistics, {}));
  const auto record = recordOf<RanksRecord>(client_->call("ranks", {{"model", kModel}, {"texts", {one, two}}}));
  ASSERT_EQ(record.texts.size(), 2U);
  EXPECT_EQ(record.texts[0].statistics, one);
  EXPECT_EQ(record.texts[0].layers, record.texts[1].layers);
  EXPECT_TRUE(record.texts[0].losses.isEmpty()) << "nothing was to be truncated";
  for (const bool byHead : {false, true})
    for (const CacheSpectrum& spectrum :
         valueOf(cacheSpectra(demoDecoder(), demoStatistics(), {0, 5}, {.byHead = byHead}, {}))) {
      const TextRanksRecord& text = record.texts[1];
      const bool isKey = spectrum.side == Side::key;
      const float found = byHead ? (isKey ? text.keyHeads : text.valueHeads).at(spectrum.layer, spectrum.head)
                                 : text.layers.at(spectrum.layer, isKey ? 0 : 1);
      EXPECT_NEAR(found, measure(spectrum.singularValues).normalisedEffectiveRank, 1e-5) << spectrum.layer;
    }
  const auto cut = recordOf<RanksRecord>(
      client_->call("ranks", {{"model", kModel}, {"texts", {one}}, {"kept", 0.25}, {"windows", 1}}));
  ASSERT_FALSE(cut.texts[0].losses.isEmpty());
  for (const TruncationLoss& each : valueOf(measureTruncation(demoDecoder(), demoStatistics(), {2}, {0.25}, 1, {})))
    EXPECT_NEAR(cut.texts[0].losses.at(2, each.side == Side::key ? 0 : 1), each.loss, 1e-5);
  EXPECT_THAT(errorOf(client_->call("ranks", {{"model", kModel}, {"texts", json::array()}})).message,
              HasSubstr("No statistics"));
  EXPECT_THAT(errorOf(client_->call("ranks", {{"model", kModel}, {"texts", {one}}, {"kept", 1.5}})).message,
              HasSubstr("kept"));
  statistics.modelHash = "0123456789abcdef";
  ASSERT_TRUE(saveStatistics(two, statistics, {}));
  EXPECT_THAT(errorOf(client_->call("ranks", {{"model", kModel}, {"texts", {one, two}}})).message,
              HasSubstr("of another model"));
}

}  // namespace
}  // namespace kvista::test
