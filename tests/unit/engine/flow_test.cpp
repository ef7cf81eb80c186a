// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/compress/planner.h"
#include "core/protocol/records.h"
#include "core/protocol/work_records.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/engine/client.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kModel = kDemoFolder + "/model";

template <class Record>
Record recordOf(Result<json> answer) {
  return valueOf(read<Record>(valueOf(std::move(answer))));
}

json selection(std::int64_t windows, const std::string& text = kCalibrationText) {
  return toJson(TextSelection{{text}, kWindow, windows, 0, {}, false});
}

/// The whole way once: every later step asks the same engine.
class Flow : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    client_ = new Client;
    statisticsPath_ = (folder_->path() / "demo.kvstats").string();
    calibration_ = recordOf<StatisticsRecord>(client_->call(
        "calibrate", {{"model", kModel}, {"text", selection(8)}, {"gradients", true}, {"output", statisticsPath_}}));
    PlanWish wish;
    wish.target = {Target::Kind::share, 0.125};
    const json made = valueOf(
        client_->call("makePlan", {{"model", kModel}, {"statistics", statisticsPath_}, {"wish", toJson(wish)}}));
    planned_ = valueOf(read<PlannedPlan>(made["planned"]));
    units_ = valueOf(unitsFromJson(made["units"]));
  }
  static void TearDownTestSuite() {
    delete client_;
    delete folder_;
  }
  static json withPlan(json params = json::object()) {
    params["model"] = kModel;
    params["statistics"] = statisticsPath_;
    params["plan"] = toJson(planned_.plan);
    return params;
  }

  /// The same with a plan that loses enough for refining to gain something.
  static json withSmallPlan(json params = json::object()) {
    static const CompressionPlan small = [] {
      PlanWish wish;
      wish.method = "coded-joint";
      wish.target = {Target::Kind::share, 0.03};
      const json made = valueOf(
          client_->call("makePlan", {{"model", kModel}, {"statistics", statisticsPath_}, {"wish", toJson(wish)}}));
      return valueOf(read<PlannedPlan>(made["planned"])).plan;
    }();
    params = withPlan(std::move(params));
    params["plan"] = toJson(small);
    return params;
  }

  static TemporaryFolder* folder_;
  static Client* client_;
  static std::string statisticsPath_;
  static StatisticsRecord calibration_;
  static PlannedPlan planned_;
  static std::vector<BudgetUnit> units_;
};
TemporaryFolder* Flow::folder_ = nullptr;
Client* Flow::client_ = nullptr;
std::string Flow::statisticsPath_;
StatisticsRecord Flow::calibration_;
PlannedPlan Flow::planned_;
std::vector<BudgetUnit> Flow::units_;

TEST_F(Flow, OpensFromHeaders) {
  const auto model = recordOf<ModelRecord>(client_->call("open", {{"path", kModel}}));
  EXPECT_EQ(model.shape, demoDecoder().shape());
  EXPECT_EQ(model.hash, valueOf(contentHash(demoCheckpoint())));
  EXPECT_EQ(model.storageType, "BF16");
  EXPECT_EQ(model.maximumPositions, 2048);
  EXPECT_EQ(model.fileBytes, 14958936);
  EXPECT_TRUE(model.hasTokenizer);
  EXPECT_EQ(model.chatTemplate, "");
  EXPECT_TRUE(model.problems.empty());
}

TEST_F(Flow, OpensAModelWithADamagedTokenizerAndSaysSo) {
  const std::filesystem::path model = folder_->path() / "damaged";
  std::filesystem::copy(kModel, model);
  std::ofstream(model / "tokenizer.json") << "{\"model\": ";
  const auto record = recordOf<ModelRecord>(client_->call("open", {{"path", model}}));
  EXPECT_EQ(record.shape, demoDecoder().shape());
  EXPECT_FALSE(record.hasTokenizer);
  EXPECT_THAT(record.problems, testing::ElementsAre(testing::AllOf(HasSubstr((model / "tokenizer.json").string()),
                                                                   HasSubstr("get it again"))));
}

TEST_F(Flow, SaysWhatIsAtAPathOfItsMachine) {
  const auto look = [&](const std::string& path, const char* purpose = "read") {
    return recordOf<PathRecord>(client_->call("examinePath", {{"path", path}, {"purpose", purpose}}));
  };
  const std::filesystem::path& folder = folder_->path();
  std::ofstream(folder / "text.txt") << "12345";
  const auto file = look(folder / "text.txt");
  EXPECT_EQ(file.kind, PathRecord::Kind::file);
  EXPECT_EQ(file.bytes, 5);
  EXPECT_TRUE(file.readable && file.problem.empty());
  EXPECT_GT(file.freeBytes.value_or(0), 0);
  EXPECT_EQ(look(folder / "x" / ".." / "text.txt").path, (folder / "text.txt").string());
  EXPECT_EQ(look(folder).kind, PathRecord::Kind::folder);
  const auto missing = look(folder / "no" / "where");
  EXPECT_EQ(missing.kind, PathRecord::Kind::missing);
  EXPECT_THAT(missing.problem, HasSubstr((folder / "no" / "where").string() + " does not exist"));
  EXPECT_THAT(missing.hint, HasSubstr(folder.string() + ".")) << "how far the path goes";
  // To be written: what is not there yet is right, a file is not.
  EXPECT_EQ(look(folder / "new", "write").problem, "");
  EXPECT_THAT(look(folder / "text.txt", "write").problem, HasSubstr("is a file"));
  const char* home = std::getenv("HOME");
  if (home) {
    EXPECT_EQ(look("~").path, std::filesystem::path(home).lexically_normal().string());
  }
  EXPECT_EQ(errorOf(client_->call("examinePath", {{"path", ""}})).code, ErrorCode::invalidArgument);
  EXPECT_THAT(errorOf(client_->call("examinePath", {{"path", "/"}, {"purpose", "dance"}})).message, HasSubstr("dance"));
}

TEST_F(Flow, ForecastsMemoryBeforeTheWork) {
  const auto forecast = [&](json params) {
    return recordOf<MemoryForecast>(valueOf(client_->call("forecastMemory", std::move(params))).at(0));
  };
  Client fresh;  // One that has not loaded the weights, 14.9 MB that become twice as much in float32.
  const json params = {{"model", kModel}, {"method", "calibrate"}, {"text", selection(0)}};
  const auto cold = recordOf<MemoryForecast>(valueOf(fresh.call("forecastMemory", params)).at(0));
  const auto warm = forecast(params);
  EXPECT_EQ(cold.bytesNeeded - warm.bytesNeeded, 4 * demoDecoder().shape().parameters);
  EXPECT_THAT(warm.device, HasSubstr("CPU"));
  ASSERT_TRUE(warm.bytesFree);
  EXPECT_GT(*warm.bytesFree, 0);
  json others = params;
  others["gradients"] = false;
  EXPECT_LT(forecast(others).bytesNeeded, warm.bytesNeeded);
  // A pass forwards alone: twenty times the hidden width, in float32, of every token that goes through at once.
  const std::int64_t forwards = forecast(others).bytesNeeded;
  others["text"]["window"] = 1 << 20;
  EXPECT_EQ(forecast(others).bytesNeeded - forwards, std::int64_t{4} * ((1 << 20) - 2048) * 256 * 20);
  EXPECT_GT(forecast(withPlan({{"method", "export"}})).bytesNeeded, 0);
  EXPECT_GT(forecast(withPlan({{"method", "evaluate"}})).bytesNeeded,
            forecast(withPlan({{"method", "export"}})).bytesNeeded);
  // Refining takes more where more windows go through at once.
  json refining = withPlan({{"method", "refine"}, {"text", selection(0)}, {"windowsPerStep", 4}});
  const std::int64_t four = forecast(refining).bytesNeeded;
  EXPECT_GT(four, forecast(withPlan({{"method", "evaluate"}, {"text", selection(0)}})).bytesNeeded);
  refining["windowsPerStep"] = 64;
  EXPECT_GT(forecast(refining).bytesNeeded, four);
  EXPECT_THAT(errorOf(client_->call("forecastMemory", {{"model", kModel}, {"method", "refine"}})).message,
              HasSubstr("'plan'"));
  EXPECT_THAT(errorOf(client_->call("forecastMemory", {{"model", kModel}, {"method", "dance"}})).message,
              HasSubstr("dance"));
}

TEST_F(Flow, CalibratesAndOpensWhatItWrote) {
  EXPECT_EQ(calibration_.windows, 8);
  EXPECT_EQ(calibration_.window, kWindow);
  EXPECT_EQ(calibration_.tokens, 8 * kWindow);
  EXPECT_TRUE(calibration_.loss.gradients);
  EXPECT_GT(calibration_.loss.baseLoss, 1);
  EXPECT_EQ(recordOf<StatisticsRecord>(client_->call("openStatistics", {{"model", kModel}, {"path", statisticsPath_}})),
            calibration_);
  EXPECT_FALSE(std::filesystem::exists(statisticsPath_ + ".partial"));
}

TEST_F(Flow, ShowsHowAlikeHeadsAreAndRemembersIt) {
  const json params = {{"model", kModel}, {"statistics", statisticsPath_}, {"measure", "cka"}, {"layers", {0, 5}}};
  const json answer = valueOf(client_->call("similarity", params));
  ASSERT_EQ(answer.size(), 4U);
  const auto last = valueOf(read<SimilarityRecord>(answer[3]));
  EXPECT_EQ(last.layer, 5);
  EXPECT_EQ(last.side, Side::value);
  ASSERT_EQ(last.matrix.rows, 8);
  for (int i = 0; i < 8; ++i) {
    EXPECT_NEAR(last.matrix.at(i, i), 1, 1e-5);
    EXPECT_FLOAT_EQ(last.matrix.at(i, 2), last.matrix.at(2, i));
  }
  // Again, while something else computes: at once, and the same.
  const std::int64_t busy = client_->ask("evaluate", {{"model", kModel}, {"text", selection(200)}});
  client_->awaitProgress(busy);
  EXPECT_EQ(valueOf(client_->call("similarity", params)), answer);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", busy}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(busy)).code, ErrorCode::cancelled);
}

TEST_F(Flow, GivesSpectraThatObeyTheirBounds) {
  const json answer = valueOf(client_->call("layerSpectra", {{"model", kModel}, {"statistics", statisticsPath_}}));
  ASSERT_EQ(answer.size(), 16U);
  for (const json& each : answer) {
    const auto record = valueOf(read<LayerSpectrumRecord>(each));
    const SpectrumMeasures& measures = record.measures;
    ASSERT_EQ(record.singularValues.size(), 256U);
    EXPECT_TRUE(std::is_sorted(record.singularValues.rbegin(), record.singularValues.rend()));
    EXPECT_LE(measures.effectiveRank, 256);
    EXPECT_GE(measures.effectiveRank, measures.participationRatio);
    EXPECT_GE(measures.participationRatio, measures.stableRank - 1e-9);
    EXPECT_GE(measures.stableRank, 1);
    EXPECT_NEAR(measures.normalisedEffectiveRank, measures.effectiveRank / 256, 1e-9);
  }
}

TEST_F(Flow, PlansWithSpectraThatCanBePlannedWithAgain) {
  EXPECT_LE(planned_.achievedBytes, planned_.requestedBytes);
  EXPECT_EQ(planned_.requestedBytes, demoDecoder().shape().cacheBytesPerToken() / 8);
  ASSERT_EQ(units_.size(), planned_.plan.groups.size());
  const PlanningContext context{demoDecoder().shape(), calibration_.loss, *valueOf(findDeviceProfile("h200")), 16384,
                                1};
  const auto again = valueOf(allocateBudget(planned_.plan, units_, standardWidths(planned_.plan.storage), context));
  EXPECT_EQ(again.plan, planned_.plan);
  ASSERT_TRUE(planned_.predictedLoss && again.predictedLoss);
  EXPECT_NEAR(*again.predictedLoss, *planned_.predictedLoss, 1e-9);

  const auto some = valueOf(unitsFromJson(valueOf(client_->call("decompose", withPlan({{"layers", {3}}})))));
  ASSERT_EQ(some.size(), units_.size());
  for (std::size_t i = 0; i < some.size(); ++i) {
    const bool wanted = planned_.plan.groups[i].slots.front().layer == 3;
    EXPECT_EQ(some[i].spectrum.eigenvalues, wanted ? units_[i].spectrum.eigenvalues : std::vector<double>());
  }
}

TEST_F(Flow, SaysWhereAPlanErrs) {
  const auto errors = recordOf<PlanErrorsRecord>(client_->call("planErrors", withPlan()));
  double loss = 0;
  for (const Matrix* each : {&errors.keys, &errors.values, &errors.logits, &errors.attentionOutputs}) {
    ASSERT_EQ(each->rows, 8);
    ASSERT_EQ(each->columns, 8);
    for (const float value : each->values) {
      EXPECT_GE(value, 0);
      EXPECT_LT(value, 1.5);
    }
  }
  for (const Matrix* each : {&errors.keyLoss, &errors.valueLoss})
    for (const float value : each->values) loss += value;
  // Heads' losses add up to the plan's: with blocks a head and no floor at work they are the same sum.
  EXPECT_NEAR(loss, *planned_.predictedLoss, 0.05 * *planned_.predictedLoss);

  // A plan that keeps everything errs nowhere.
  json whole = withPlan();
  CompressionPlan plan = planned_.plan;
  for (Group& group : plan.groups) std::ranges::fill(group.widths, 16);
  whole["plan"] = toJson(plan);
  const auto none = recordOf<PlanErrorsRecord>(client_->call("planErrors", whole));
  for (const Matrix* each : {&none.keys, &none.values, &none.logits, &none.attentionOutputs})
    for (const float value : each->values) EXPECT_EQ(value, 0);
}

TEST_F(Flow, FindsWhichLayersShareAndSaysWhereThoseErr) {
  const json parts = {{"model", kModel}, {"statistics", statisticsPath_}};
  json params = parts;
  params["count"] = 1;
  params["least"] = -1;
  const auto found = recordOf<SharingRecord>(client_->call("shareLayers", params));
  EXPECT_GT(found.distances.at(0, 1), 0);
  EXPECT_EQ(found.distances.at(0, 1), found.distances.at(1, 0));
  ASSERT_EQ(found.sharedFrom.size(), 8U);
  const auto reader =
      std::ranges::find_if(found.sharedFrom, [&, layer = 0](int source) mutable { return source != layer++; }) -
      found.sharedFrom.begin();
  ASSERT_LT(reader, 8);
  params = parts;
  params["sharedFrom"] = found.sharedFrom;
  EXPECT_NEAR(recordOf<SharingRecord>(client_->call("shareLayers", params)).cosine, found.cosine, 1e-9);
  params["sharedFrom"] = {0, 0};
  EXPECT_THAT(errorOf(client_->call("shareLayers", params)).message, HasSubstr("2 layers"));

  // What a layer reads is another's: its errors are measured, and are not all that there is.
  CompressionPlan plan = planned_.plan;
  plan.sharedFrom = found.sharedFrom;
  for (Group& group : plan.groups)
    if (group.slots.front().layer == reader) std::ranges::fill(group.widths, 0);
  json shared = withPlan();
  shared["plan"] = toJson(plan);
  const auto errors = recordOf<PlanErrorsRecord>(client_->call("planErrors", shared));
  for (int layer = 0; layer < 8; ++layer) {
    for (int head = 0; head < 8; ++head) {
      EXPECT_EQ(std::isnan(errors.keyLoss.at(layer, head)), layer == reader);
      EXPECT_GT(errors.keys.at(layer, head), 0);
      if (layer == reader) {
        EXPECT_GT(std::abs(errors.values.at(layer, head) - 1), 1e-3);
      }
    }
  }
}

TEST_F(Flow, MeasuresAsTheLibraryDoes) {
  const json params = withPlan({{"text", selection(4, kEvaluationText)}});
  const auto record = recordOf<EvaluationRecord>(client_->call("evaluate", params));
  const TokenWindows windows = demoWindows(4, 0, kEvaluationText);
  const Perplexity before = valueOf(measurePerplexity(demoDecoder(), windows.ids, nullptr, "", {}));
  EXPECT_DOUBLE_EQ(record.perplexityBefore, before.perplexity());
  const Statistics statistics = valueOf(loadStatistics(statisticsPath_));
  const PlanFactors factors = valueOf(makeFactors(demoDecoder(), &statistics, planned_.plan, {}));
  const PlanTransform transform(planned_.plan, factors, demoDecoder().shape(), at::kCPU);
  EXPECT_DOUBLE_EQ(record.perplexityAfter,
                   valueOf(measurePerplexity(demoDecoder(), windows.ids, &transform, "", {})).perplexity());
  EXPECT_NE(record.perplexityAfter, record.perplexityBefore);
  EXPECT_EQ(record.tokensHash, windows.hash);
  EXPECT_EQ(record.planFingerprint, fingerprint(planned_.plan));
  EXPECT_EQ(record.predictions, 4 * (kWindow - 1));
  EXPECT_EQ(record.text, kEvaluationText);

  const auto alone = recordOf<EvaluationRecord>(
      client_->call("evaluate", {{"model", kModel}, {"text", selection(4, kEvaluationText)}}));
  EXPECT_EQ(alone.perplexityAfter, record.perplexityBefore);
  EXPECT_EQ(alone.planFingerprint, "");
}

TEST_F(Flow, TellsWhatEachTokenCosts) {
  const std::string text = "It is a truth universally acknowledged — that a single man must be in want of a wife.";
  const auto record =
      recordOf<TokenLossRecord>(client_->call("tokenLosses", withPlan({{"text", text}, {"maxTokens", 64}})));
  std::string joined;
  for (const std::string& piece : record.pieces) joined += piece;
  EXPECT_THAT(joined, HasSubstr(text));
  EXPECT_TRUE(std::isnan(record.before[0]) && std::isnan(record.after[0]));
  double before = 0, after = 0;
  for (std::size_t i = 1; i < record.before.size(); ++i) {
    before += record.before[i];
    after += record.after[i];
  }
  EXPECT_GT(before, 0);
  EXPECT_NE(before, after);

  const auto windowed = recordOf<TokenLossRecord>(
      client_->call("tokenLosses", withPlan({{"text", selection(1, kEvaluationText)}, {"maxTokens", 32}})));
  EXPECT_EQ(windowed.pieces.size(), 32U);
}

TEST_F(Flow, WritesTwoTextsInTurn) {
  const json params = withPlan({{"prompt", "Emma was"}, {"maxTokens", 24}});
  const std::int64_t id = client_->ask("generate", params);
  const json answer = valueOf(client_->await(id));
  const auto original = valueOf(read<GeneratedPiece>(answer["original"])),
             plan = valueOf(read<GeneratedPiece>(answer["plan"]));
  EXPECT_FALSE(original.text.empty());
  EXPECT_FALSE(original.compressed);
  EXPECT_TRUE(plan.compressed);
  const ModelShape& shape = demoDecoder().shape();
  EXPECT_EQ(original.cacheBytes, original.tokens * shape.cacheBytesPerToken());
  EXPECT_EQ(plan.cacheBytes, 4 * shape.cacheBytesPerToken() + (plan.tokens - 4) * bytesPerToken(planned_.plan));
  std::string streamed;
  for (const json& each : client_->progressOf(id)) {
    const auto progress = valueOf(read<ProgressRecord>(each));
    if (progress.piece && !progress.piece->compressed) streamed += progress.piece->text;
  }
  EXPECT_TRUE(original.text.starts_with(streamed));

  // The same prompt goes on the same way; drawing with a seed too, and with another seed differently.
  EXPECT_EQ(valueOf(client_->call("generate", params)), answer);
  json drawn = params;
  drawn["temperature"] = 1.0;
  drawn["seed"] = 1;
  const json first = valueOf(client_->call("generate", drawn));
  EXPECT_EQ(valueOf(client_->call("generate", drawn)), first);
  drawn["seed"] = 2;
  EXPECT_NE(valueOf(client_->call("generate", drawn)), first);
  drawn["chat"] = true;
  EXPECT_THAT(errorOf(client_->call("generate", drawn)).message, HasSubstr("no chat template"));
}

TEST_F(Flow, AsksWhetherASentenceFarBackComesOut) {
  const json params = withPlan({{"lengths", {48, 96}}, {"depths", {0, 50, 100}}, {"trials", 2}, {"seed", 3}});
  const std::int64_t id = client_->ask("retrieval", params);
  const json answer = valueOf(client_->await(id));
  const auto record = valueOf(read<RetrievalRecord>(answer));
  EXPECT_EQ(record.texts, std::vector<std::string>{kCalibrationText});
  EXPECT_EQ(record.lengths, (std::vector<int>{48, 96}));
  for (const Matrix* each : {&record.lossBefore, &record.lossAfter})
    for (const float loss : each->values) EXPECT_GT(loss, 0);
  EXPECT_NE(record.lossBefore, record.lossAfter);
  for (const json& each : client_->progressOf(id)) EXPECT_EQ(each["unit"], "trials");
  EXPECT_EQ(valueOf(client_->call("retrieval", params)), answer);

  json variables = withPlan({{"kind", "variable-tracking"}, {"lengths", {256}}, {"depths", {0}}, {"trials", 1}});
  const auto chain = recordOf<RetrievalRecord>(client_->call("retrieval", variables));
  EXPECT_EQ(chain.kind, RetrievalKind::variableTracking);
  EXPECT_EQ(chain.planted, 5);
  variables["kind"] = "haystack";
  EXPECT_THAT(errorOf(client_->call("retrieval", variables)).message,
              HasSubstr("it must be one of needle, multi-key, variable-tracking"));

  // A model alone is asked the same, in a text that has to be named.
  json alone = {{"model", kModel}, {"lengths", {48, 96}}, {"depths", {0, 50, 100}}, {"trials", 2}, {"seed", 3}};
  EXPECT_THAT(errorOf(client_->call("retrieval", alone)).message, HasSubstr("'text'"));
  alone["text"] = selection(0);
  const auto original = recordOf<RetrievalRecord>(client_->call("retrieval", alone));
  EXPECT_EQ(original.lossAfter, original.lossBefore);
  EXPECT_EQ(original.lossBefore, record.lossBefore);

  json wrong = params;
  wrong["lengths"] = {4096};
  EXPECT_THAT(errorOf(client_->call("retrieval", wrong)).message, HasSubstr("2048 positions"));
  wrong["lengths"] = {8};
  EXPECT_THAT(errorOf(client_->call("retrieval", wrong)).message, HasSubstr("no room"));
  wrong = params;
  wrong["lengths"] = {2048};
  wrong["trials"] = 1000;
  const std::int64_t slow = client_->ask("retrieval", wrong);
  client_->awaitProgress(slow);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", slow}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(slow)).code, ErrorCode::cancelled);
}

TEST_F(Flow, TellsTheLossesOfAWholeFile) {
  const std::string file = (folder_->path() / "whole.txt").string();
  std::string words;
  for (int i = 0; i < 60; ++i) words += "It is a truth universally acknowledged. ";
  std::ofstream(file) << words;
  json params = withPlan({{"text", toJson(TextSelection{{file}, 50, 0, 0, {}, false})}, {"maxTokens", 65536}});
  const auto record = recordOf<TokenLossRecord>(client_->call("tokenLosses", params));
  std::string joined;
  for (std::size_t i = 0; i < record.pieces.size(); ++i) {
    joined += record.pieces[i];
    EXPECT_EQ(std::isnan(record.before[i]), i % 50 == 0) << i;
    EXPECT_EQ(std::isnan(record.after[i]), i % 50 == 0) << i;
  }
  EXPECT_EQ(joined, words);
  EXPECT_NE(record.pieces.size() % 50, 0U) << "the last window is to be a shorter one";
  params["maxTokens"] = 70;
  EXPECT_EQ(recordOf<TokenLossRecord>(client_->call("tokenLosses", params)).pieces.size(), 70U);
}

TEST_F(Flow, RefinesThePlanAndEverythingElseTakesTheFactors) {
  const std::string factors = (folder_->path() / "small.refined.safetensors").string();
  const json text = selection(40), other = selection(2, kEvaluationText);
  const std::int64_t id = client_->ask(
      "refine",
      withSmallPlan({{"text", text}, {"evaluateOn", other}, {"output", factors}, {"steps", 6}, {"windowsPerStep", 4}}));
  const auto record = recordOf<RefineRecord>(client_->await(id));
  EXPECT_EQ(record.steps, 6);
  EXPECT_EQ(record.windows, 35);
  EXPECT_EQ(record.heldOutWindows, 5);
  EXPECT_EQ(record.planFingerprint, fingerprint(valueOf(planFromJson(withSmallPlan()["plan"]))));
  EXPECT_LT(record.divergenceAfter, record.divergenceBefore);
  ASSERT_EQ(record.curve.size(), 6U);
  EXPECT_EQ(record.curve.front().heldOut, record.divergenceBefore);
  EXPECT_TRUE(record.curve.back().heldOut);
  // Whoever looks on sees the curve as it comes, no point twice.
  std::vector<LossPoint> told;
  for (const json& each : client_->progressOf(id))
    for (const LossPoint& point : valueOf(read<ProgressRecord>(each)).points) told.push_back(point);
  ASSERT_FALSE(told.empty());
  for (std::size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i].training, record.curve[i].training) << i;

  // What was measured is what `evaluate` says, with and without the factors.
  ASSERT_TRUE(record.seen && record.unseen);
  EXPECT_LT(record.seen->refined, record.seen->planned);
  const auto planned = recordOf<EvaluationRecord>(client_->call("evaluate", withSmallPlan({{"text", other}})));
  const auto refined =
      recordOf<EvaluationRecord>(client_->call("evaluate", withSmallPlan({{"text", other}, {"factors", factors}})));
  EXPECT_EQ(record.unseen->tokensHash, refined.tokensHash);
  EXPECT_NEAR(record.unseen->original, refined.perplexityBefore, 1e-9 * refined.perplexityBefore);
  EXPECT_NEAR(record.unseen->planned, planned.perplexityAfter, 1e-9 * planned.perplexityAfter);
  EXPECT_NEAR(record.unseen->refined, refined.perplexityAfter, 1e-6 * refined.perplexityAfter);

  // Refused are factors to start from, too little text, and a plan without factors.
  EXPECT_THAT(
      errorOf(client_->call("refine", withSmallPlan({{"text", text}, {"output", factors}, {"factors", factors}})))
          .message,
      HasSubstr("own factors"));
  EXPECT_THAT(errorOf(client_->call("refine", withSmallPlan({{"text", selection(1)}, {"output", factors}}))).message,
              HasSubstr("held out"));
  EXPECT_THAT(
      errorOf(client_->call("refine", withSmallPlan({{"text", text}, {"output", factors}, {"steps", 0}}))).message,
      HasSubstr("'steps'"));
}

TEST_F(Flow, RefiningThatIsCancelledKeepsTheBestSoFar) {
  const std::string factors = (folder_->path() / "cancelled.refined.safetensors").string();
  const json params = withSmallPlan(
      {{"text", selection(40)}, {"output", factors}, {"windowsPerStep", 4}, {"steps", 100000}, {"evaluateWindows", 2}});
  // Before anything is better there is nothing to keep.
  const std::int64_t early = client_->ask("refine", params);
  client_->awaitProgress(early);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", early}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(early)).code, ErrorCode::cancelled);
  EXPECT_FALSE(std::filesystem::exists(factors));
  // One that waits for its turn is answered at once.
  const std::int64_t running = client_->ask("refine", params);
  client_->awaitProgress(running);
  const std::int64_t waiting = client_->ask("refine", params);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", waiting}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(waiting)).code, ErrorCode::cancelled);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", running}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(running)).code, ErrorCode::cancelled);
  // Looked at after every second step, something better comes soon.
  json often = params;
  often["steps"] = 24;
  const std::int64_t id = client_->ask("refine", often);
  for (bool isBetter = false; !isBetter;) {
    client_->awaitProgress(id);
    std::optional<double> first;
    for (const json& each : client_->progressOf(id))
      for (const LossPoint& point : valueOf(read<ProgressRecord>(each)).points) {
        if (!point.heldOut) continue;
        isBetter = isBetter || (first && *point.heldOut < *first);
        if (!first) first = point.heldOut;
      }
  }
  client_->call("cancel", {{"id", id}});
  const auto kept = recordOf<RefineRecord>(client_->await(id));
  EXPECT_THAT(kept.ended, HasSubstr("stopped"));
  EXPECT_LT(kept.steps, 24);
  EXPECT_GT(kept.bestStep, 0);
  EXPECT_LT(kept.divergenceAfter, kept.divergenceBefore);
  EXPECT_FALSE(kept.unseen);
  EXPECT_TRUE(client_->call("evaluate", withSmallPlan({{"text", selection(1)}, {"factors", factors}})));
  EXPECT_FALSE(std::filesystem::exists(factors + ".partial"));
}

TEST_F(Flow, ForecastsAnExportAndWritesIt) {
  const std::string target = (folder_->path() / "small").string();
  const auto preview =
      recordOf<ExportPreview>(client_->call("previewExport", withPlan({{"form", "latent"}, {"target", target}})));
  EXPECT_TRUE(preview.problems.empty());
  EXPECT_EQ(preview.bytesPerTokenAfter, planned_.achievedBytes);
  EXPECT_GT(preview.tensorsChanged, 0);
  EXPECT_GT(preview.tensorsCarried, 0);
  EXPECT_GT(preview.freeBytes, 0);
  EXPECT_THAT(preview.runsIn, HasSubstr("transformers"));
  EXPECT_FALSE(std::filesystem::exists(target));

  const auto exported =
      recordOf<ExportRecord>(client_->call("export", withPlan({{"form", "latent"}, {"target", target}})));
  EXPECT_TRUE(exported.verified);
  EXPECT_EQ(exported.bytesPerToken, preview.bytesPerTokenAfter);
  // The forecast is of the tensors; the file adds its header.
  const auto written = static_cast<std::int64_t>(std::filesystem::file_size(target + "/model.safetensors"));
  EXPECT_GE(written, preview.bytesAfter);
  EXPECT_LT(written, preview.bytesAfter + 100'000);
  EXPECT_EQ(valueOf(client_->call("verify", {{"path", target}}))["problems"], json::array());

  // What was written opens, computes with its plan, and takes no other.
  const auto opened = recordOf<ModelRecord>(client_->call("open", {{"path", target}}));
  EXPECT_EQ(opened.shape.kvHeads, 8);
  const json text = selection(2, kEvaluationText);
  const auto small = recordOf<EvaluationRecord>(client_->call("evaluate", {{"model", target}, {"text", text}}));
  const auto planned = recordOf<EvaluationRecord>(client_->call("evaluate", withPlan({{"text", text}})));
  EXPECT_NEAR(small.perplexityAfter, planned.perplexityAfter, 0.02 * planned.perplexityAfter);
  json twice = withPlan({{"text", text}});
  twice["model"] = target;
  twice.erase("statistics");
  EXPECT_THAT(errorOf(client_->call("evaluate", twice)).message, HasSubstr("has its plan already"));

  const auto again = recordOf<ExportPreview>(client_->call("previewExport", withPlan({{"target", target}})));
  EXPECT_THAT(again.problems, testing::ElementsAre(HasSubstr("exists already")));
  const auto onto =
      recordOf<ExportPreview>(client_->call("previewExport", withPlan({{"target", kModel}, {"overwrite", true}})));
  EXPECT_THAT(onto.problems, testing::ElementsAre(HasSubstr("where the model itself lies")));
}

TEST_F(Flow, RefusesWhatDoesNotFit) {
  json params = withPlan({{"text", selection(1)}});
  params["plan"]["groups"].erase(0);
  EXPECT_THAT(errorOf(client_->call("evaluate", params)).message, HasSubstr("does not fit the model"));
  EXPECT_THAT(
      errorOf(client_->call("similarity", {{"model", kModel}, {"statistics", statisticsPath_}, {"measure", "looks"}}))
          .message,
      HasSubstr("no measure \"looks\""));
  EXPECT_THAT(
      errorOf(client_->call("similarity",
                            {{"model", kModel}, {"statistics", statisticsPath_}, {"measure", "cka"}, {"layers", {8}}}))
          .message,
      HasSubstr("'layers'"));
  EXPECT_THAT(errorOf(client_->call("decompose", {{"model", kModel}, {"statistics", statisticsPath_}})).message,
              HasSubstr("'plan'"));
  EXPECT_THAT(errorOf(client_->call("planErrors", {{"model", kModel}, {"plan", toJson(planned_.plan)}})).message,
              HasSubstr("'statistics'"));
  EXPECT_THAT(errorOf(client_->call("evaluate", {{"model", kModel}, {"text", selection(1, "-")}})).message,
              HasSubstr("standard input"));
  EXPECT_EQ(errorOf(client_->call("open", {{"path", folder_->path() / "nothing"}})).code, ErrorCode::io);
}

TEST_F(Flow, LeavesAPassThatWasCutOffToBeTakenUp) {
  const std::string output = (folder_->path() / "cancelled.kvstats").string();
  const std::int64_t id = client_->ask("calibrate", {{"model", kModel}, {"text", selection(0)}, {"output", output}});
  client_->awaitProgress(id);
  EXPECT_TRUE(valueOf(client_->call("cancel", {{"id", id}}))["cancelled"].get<bool>());
  EXPECT_EQ(errorOf(client_->await(id)).code, ErrorCode::cancelled);
  valueOf(client_->call("verify", {{"path", (folder_->path() / "small").string()}}));  // behind it in the same lane
  EXPECT_FALSE(std::filesystem::exists(output));
}

}  // namespace
}  // namespace kvista::test
