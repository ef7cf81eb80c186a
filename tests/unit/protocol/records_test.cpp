// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/records.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/plan/plan_groups.h"
#include "core/protocol/frame.h"
#include "core/protocol/work_records.h"

namespace kvista {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

/// As the other side gets it: through the bytes of a frame.
json sent(const json& value) {
  FrameReader reader;
  reader.append(encodeFrame(resultMessage(1, value)));
  auto message = reader.next();
  EXPECT_TRUE(message && *message);
  return (**message)["result"];
}

template <class Record>
Record through(const Record& record) {
  auto result = read<Record>(sent(toJson(record)));
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? *result : Record();
}

ModelShape shape() {
  return {.family = "llama",
          .layers = 2,
          .queryHeads = 4,
          .kvHeads = 2,
          .headDim = 8,
          .valueHeadDim = 8,
          .hiddenSize = 32,
          .vocabulary = 1000,
          .parameters = 123'456};
}

CompressionPlan plan() {
  CompressionPlan plan;
  plan.method = "coded";
  plan.grouping = "auto";
  plan.allocator = "waterline";
  plan.exactTokens = 4;
  plan.target = {Target::Kind::bytesPerToken, 77};
  plan.groups = singleSlots(shape());
  plan.groups[1].locked = true;
  plan.groups[2].widths[7] = 0;
  return plan;
}

LossModel loss() {
  return {3.25, true, {{Storage::coded, ResponseCurve({{0.1, 0.2}, {0.5, 0.75}})}, {Storage::lowRank16, {}}}};
}

BudgetUnit unit() {
  BudgetUnit unit;
  unit.spectrum = {{3, 2, 1}, {0, 8}, {1, .5F, 1, .25F, 1, .125F}};
  unit.minimumRank = 1;
  unit.maximumRank = 3;
  unit.locked = true;
  unit.widths = {8, 8, 0};
  unit.fisherScore = .125;
  unit.side = 2;
  unit.layer = 1;
  return unit;
}

TEST(Records, ComeBackAsTheyWere) {
  const HelloRecord hello{"kvista", "0.1.0", 1, "CPU, 2 cores", std::int64_t{1} << 40, "2.11.0", "server"};
  EXPECT_EQ(through(hello), hello);
  const Choice choice{"cka", "Alike", "a / b", "none", "Paper, section 3"};
  EXPECT_EQ(through(choice), choice);
  const MethodChoice method{choice,
                            "auto",
                            "waterline",
                            Metric::identity,
                            KeyPosition::afterRope,
                            Storage::lowRank16,
                            {0, 16},
                            4,
                            true,
                            true,
                            8,
                            true,
                            true,
                            "has no latent",
                            "has no bases",
                            "has codes",
                            "calibrates nothing",
                            "needs each"};
  EXPECT_EQ(through(method), method);
  EXPECT_EQ(through(shape()), shape());
  const ModelRecord model{"/models/\xff", "00ff",   shape(), "bf16",          99, 4096, "plain",
                          true,           "chatml", "",      {"One.", "Two."}};
  EXPECT_EQ(through(model), model);
  EXPECT_EQ(through(loss()), loss());
  const StatisticsRecord statistics{"/s.kvstats", "a", "b", {"x.txt"}, 4096, 4, 1024, "CPU", 1.5, loss()};
  EXPECT_EQ(through(statistics), statistics);
  const StatisticsRecord mixed{"/s.kvstats", "a",    "b", {"x.txt", "y.txt"}, 4096, 4, 1024, "CPU",
                               1.5,          loss(), 7,   {2, 0.5},           true};
  EXPECT_EQ(through(mixed), mixed);
  const SimilarityRecord similarity{3, Side::value, {2, 2, {1, .5F, .5F, 1}}};
  EXPECT_EQ(through(similarity), similarity);
  const EvaluationRecord evaluation{"x.txt", "b", "c", 1023, 18.32, 18.43, 2.5};
  EXPECT_EQ(through(evaluation), evaluation);
  const GeneratedPiece piece{"Emma\n", 17, 4000, true, true};
  EXPECT_EQ(through(piece), piece);
  const ProgressRecord progress{"calibrate", 5, 10, "tokens", 2.5, piece};
  EXPECT_EQ(through(progress), progress);
  const ProgressRecord beginning{"evaluate", 0, 0, "", {}, {}};
  EXPECT_EQ(through(beginning), beginning);
  const ExportPreview preview{"latent", "/out", 3, 4, 100, 50, 20, 10, 1 << 30, "transformers", {"note"}, {"problem"}};
  EXPECT_EQ(through(preview), preview);
  const ExportRecord exported{"latent", "/out", 10, {"config.json"}, {"note"}, true, 1e-5};
  EXPECT_EQ(through(exported), exported);
  const TextSelection text{{"a", "b"}, 1024, 16, 2, std::uint64_t{1} << 53, true, {2, 1}};
  EXPECT_EQ(through(text), text);
  EXPECT_EQ(through(TextSelection()), TextSelection());
  const PlanWish wish{"joint",
                      {Target::Kind::maxLoss, .02},
                      16,
                      4,
                      "swap",
                      "uniform",
                      Metric::identity,
                      "h100",
                      4096,
                      8,
                      plan(),
                      "cka",
                      0.03,
                      true,
                      true,
                      true};
  EXPECT_EQ(through(wish), wish);
  PlanWish shared = wish;
  shared.sharedFrom = {0, 0, 2};
  shared.eps = 0.1;
  EXPECT_EQ(through(shared), shared);
  EXPECT_EQ(through(PlanWish()), PlanWish());
  const SharingRecord sharing{{0, 0, 2}, 0.93, 4, {3, 3, {0, 1, 2, 1, 0, 3, 2, 3, 0}}};
  EXPECT_EQ(through(sharing), sharing);
}

TEST(Records, OfPlansComeBackAsTheyWere) {
  PlannedPlan planned{plan(), 100, 96, .5, .625, .001, {96, -5, 1e6, 1e-6, 2e-6, 3e-6}, "a lock"};
  PlannedPlan back = through(planned);
  EXPECT_EQ(back.plan, planned.plan);
  EXPECT_EQ(back.requestedBytes, 100);
  EXPECT_EQ(back.achievedBytes, 96);
  EXPECT_EQ(back.predictedLoss, .5);
  EXPECT_EQ(back.correctedLoss, .625);
  EXPECT_EQ(back.waterline, .001);
  EXPECT_EQ(back.note, "a lock");
  EXPECT_EQ(back.cost.extraParameters, -5);
  EXPECT_EQ(back.cost.fullSecondsPerToken, 3e-6);
  planned.predictedLoss.reset();
  planned.correctedLoss.reset();
  back = through(planned);
  EXPECT_FALSE(back.predictedLoss);
  EXPECT_FALSE(back.correctedLoss);

  const auto units = unitsFromJson(sent(unitsToJson({unit(), {}})));
  ASSERT_TRUE(units) << units.error().message;
  ASSERT_EQ(units->size(), 2U);
  const BudgetUnit& first = units->front();
  EXPECT_EQ(first.spectrum.eigenvalues, unit().spectrum.eigenvalues);
  EXPECT_EQ(first.spectrum.widths, unit().spectrum.widths);
  EXPECT_EQ(first.spectrum.distortion, unit().spectrum.distortion);
  EXPECT_EQ(first.widths, unit().widths);
  EXPECT_EQ(first.minimumRank, 1);
  EXPECT_EQ(first.maximumRank, 3);
  EXPECT_TRUE(first.locked);
  EXPECT_EQ(first.fisherScore, .125);
  EXPECT_EQ(first.side, 2);
  EXPECT_EQ(first.layer, 1);
  EXPECT_TRUE(units->back().spectrum.eigenvalues.empty());
}

TEST(Records, WithNumbersInBulkComeBackAsTheyWere) {
  LayerSpectrumRecord spectrum{1, Side::value, {.5, 8, 2, 3, 4, 5, 6, 7}, {3, 2, 1}};
  const LayerSpectrumRecord back = through(spectrum);
  EXPECT_EQ(back.side, Side::value);
  EXPECT_EQ(back.measures.normalisedEffectiveRank, .5);
  EXPECT_EQ(back.measures.energyRank999, 7);
  EXPECT_THAT(back.singularValues, ElementsAre(3, 2, 1));

  const PlanErrorsRecord errors =
      through(PlanErrorsRecord{{1, 2, {1, 2}}, {1, 2, {3, 4}}, {}, {2, 1, {5, 6}}, {1, 1, {7}}, {}});
  EXPECT_EQ(errors.values, (Matrix{1, 2, {3, 4}}));
  EXPECT_TRUE(errors.keyLoss.isEmpty());
  EXPECT_EQ(errors.valueLoss, (Matrix{2, 1, {5, 6}}));
  EXPECT_EQ(errors.logits, (Matrix{1, 1, {7}}));

  const float nan = std::numeric_limits<float>::quiet_NaN();
  const TokenLossRecord losses = through(TokenLossRecord{{"It", " is"}, {nan, 1}, {nan, 2}});
  EXPECT_THAT(losses.pieces, ElementsAre("It", " is"));
  EXPECT_TRUE(std::isnan(losses.before[0]));
  EXPECT_EQ(losses.after[1], 2);

  const RetrievalRecord retrieval{{"a.txt"},
                                  {64, 128},
                                  {0},
                                  2,
                                  7,
                                  {1, 2, {2, 3}},
                                  {1, 2, {4, 5}},
                                  {1, 2, {1, 0.5F}},
                                  {1, 2, {0, 0.5F}},
                                  RetrievalKind::multiKey,
                                  4};
  EXPECT_EQ(through(retrieval), retrieval);
  json wrong = toJson(retrieval);
  wrong["depths"] = {0, 50};
  const auto refused = read<RetrievalRecord>(wrong);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("'lossBefore'"));

  Catalogue catalogue;
  catalogue.methods.emplace_back().widths = {0, 8};
  catalogue.forms.push_back({"latent", "", "", "", ""});
  catalogue.policies = {{"snapkv", "", "snapkv share=0.5", "", ""}, {"cskv", "", "cskv", "", "", "cskv"}};
  catalogue.devices.push_back({"h200", 4e12, 8e14, 1e-5});
  const Catalogue listed = through(catalogue);
  EXPECT_EQ(listed.methods, catalogue.methods);
  EXPECT_EQ(listed.forms, catalogue.forms);
  EXPECT_EQ(listed.policies, catalogue.policies);
  EXPECT_EQ(listed.devices.at(0).bytesPerSecond, 4e12);
  EXPECT_TRUE(listed.measures.empty());
}

/// Every field of every record: absent, null, or of each other kind. Nothing may crash, and whatever is refused names
/// it.
template <class Record>
void expectMistakesNamed(const Record& record) {
  const json whole = toJson(record);
  const std::vector<json> wrong = {nullptr,
                                   true,
                                   -1,
                                   1.5,
                                   "text",
                                   json::array(),
                                   json::array({nullptr}),
                                   json::object(),
                                   json::binary({1, 2, 3}),
                                   std::numeric_limits<double>::quiet_NaN(),
                                   ~std::uint64_t{0}};
  for (const auto& [field, value] : whole.items()) {
    json without = whole;
    without.erase(field);
    int refused = read<Record>(without) ? 0 : 1;
    for (const json& other : wrong) {
      json changed = whole;
      changed[field] = other;
      const auto result = read<Record>(changed);
      if (result) continue;
      ++refused;
      EXPECT_EQ(result.error().code, ErrorCode::invalidArgument);
      EXPECT_THAT(result.error().message + result.error().detail, HasSubstr(field));
    }
    EXPECT_GT(refused, 4) << field;
  }
  for (const json& other : wrong) EXPECT_TRUE(other.is_object() || !read<Record>(other)) << other;
}

TEST(Records, NameTheFieldThatIsWrong) {
  expectMistakesNamed(HelloRecord{"kvista", "0.1.0", 1, "CPU", 5});
  expectMistakesNamed(Choice{});
  expectMistakesNamed(MethodChoice{});
  expectMistakesNamed(Catalogue{});
  expectMistakesNamed(DeviceProfile{});
  expectMistakesNamed(shape());
  ModelRecord model;
  model.shape = shape();
  expectMistakesNamed(model);
  expectMistakesNamed(StatisticsRecord{});
  expectMistakesNamed(loss());
  expectMistakesNamed(SimilarityRecord{});
  expectMistakesNamed(LayerSpectrumRecord{});
  expectMistakesNamed(PlanErrorsRecord{});
  expectMistakesNamed(SharingRecord{});
  expectMistakesNamed(EvaluationRecord{});
  expectMistakesNamed(TokenLossRecord{});
  expectMistakesNamed(MemoryForecast{"CPU, 2 cores", 5, 7});
  expectMistakesNamed(RetrievalRecord{{"a.txt"}, {64}, {50}, 2, 1, {1, 1, {2}}, {1, 1, {3}}, {1, 1, {1}}, {1, 1, {0}}});
  expectMistakesNamed(GeneratedPiece{});
  expectMistakesNamed(ProgressRecord{"calibrate", 1, 2, "tokens", 1.0, GeneratedPiece{}});
  const RefinedPerplexity perplexity{"a.txt", "89ab", 100, 10, 12, 11};
  expectMistakesNamed(PathRecord{"/models", PathRecord::Kind::folder, true, false, 0, 7, "", ""});
  expectMistakesNamed(LossPoint{1, 0.5, 0.75});
  expectMistakesNamed(perplexity);
  expectMistakesNamed(ProgressRecord{"refine", 1, 2, "steps", 1.0, {}, {{1, 0.5, 0.75}}});
  const RefineRecord refined{"f",        "0123",    {"a.txt"}, 2, 1,   "the time is over",
                             0.75,       0.5,       7,         1, 2.5, {{1, 0.5, 0.75}, {2, 0.25, {}}},
                             perplexity, perplexity};
  EXPECT_EQ(through(refined), refined);
  expectMistakesNamed(refined);
  expectMistakesNamed(ExportPreview{});
  expectMistakesNamed(ExportRecord{});
  expectMistakesNamed(TextSelection{{}, 0, 0, 0, 1, false});
  expectMistakesNamed(PlanWish{
      "coded", {}, 8, 4, "swap", "uniform", Metric::fisher, "h200", 1, 1, plan(), "cka", 0.03, true, true, true});
  expectMistakesNamed(PlannedPlan{plan(), 0, 0, 1, 1, 0, {}, ""});
  expectMistakesNamed(CostModel{});
  expectMistakesNamed(unit());
}

std::string complaintAbout(json matrix) {
  json record = toJson(SimilarityRecord{0, Side::key, {2, 2, {1, 2, 3, 4}}});
  record["matrix"] = std::move(matrix);
  const auto result = read<SimilarityRecord>(record);
  return result ? "" : result.error().message + " " + result.error().detail;
}

TEST(Records, CheckShapesAgainstBytes) {
  const auto matrix = [](json shape, std::size_t bytes, const char* type = "float32") -> json {
    return {{"type", type}, {"shape", std::move(shape)}, {"data", json::binary(std::vector<std::uint8_t>(bytes))}};
  };
  EXPECT_EQ(complaintAbout(matrix({2, 2}, 16)), "");
  EXPECT_THAT(complaintAbout(matrix({2, 2}, 15)),
              HasSubstr("'matrix' of a similarity has 15 bytes where its shape needs 16"));
  EXPECT_THAT(complaintAbout(matrix({16777216, 16777216}, 16)), HasSubstr("its shape needs"));
  EXPECT_THAT(complaintAbout(matrix({4294967296, 1}, 16)), HasSubstr("shape"));
  EXPECT_THAT(complaintAbout(matrix({-2, 2}, 16)), HasSubstr("shape"));
  EXPECT_THAT(complaintAbout(matrix({4}, 16)), HasSubstr("in 2 dimensions"));
  EXPECT_THAT(complaintAbout(matrix({2, 2}, 32, "float64")), HasSubstr("float32"));
  EXPECT_THAT(complaintAbout(matrix({1, 4}, 16)), HasSubstr("square"));
  EXPECT_THAT(complaintAbout({{"type", "float32"}, {"shape", {1, 1}}, {"data", {1}}}), HasSubstr("as bytes"));
}

TEST(Records, LeaveFieldsOfOtherVersionsAlone) {
  json value = toJson(TextSelection{{"a"}, 8, 0, 0, {}, false});
  value["fromTheFuture"] = {1, 2};
  const auto text = read<TextSelection>(value);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->window, 8);
}

TEST(Records, SayWhichGroupOfAPlanIsWrong) {
  PlanWish keeping;
  keeping.keep = plan();
  json wish = toJson(keeping);
  wish["keep"]["groups"][1]["slots"] = {"Q3"};
  const auto result = read<PlanWish>(wish);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("groups[1].slots[0]"));
}

TEST(Records, AnExperimentsRowCarriesItsWindowsAndRefusesThoseThatAreNone) {
  ExperimentRow row{"Bytes", "joint", "novels", {Target::Kind::share, 0.25}, "{}", {}, {}};
  row.figures = ExperimentRow::Figures{512, .25, 3.25, 3, .2, 510, 1.5, "", {3.5, 3}, .125};
  EXPECT_EQ(through(row), row);
  const auto refused = [&](const char* field, const json& value) {
    json damaged = toJson(row);
    damaged["figures"][field] = value;
    const auto result = read<ExperimentRow>(sent(damaged));
    return result ? std::string() : result.error().message;
  };
  EXPECT_THAT(refused("windowLosses", json::array({3.5, "3"})), HasSubstr("windowLosses"));
  EXPECT_THAT(refused("windowLosses", json::array({3.5, -1})), HasSubstr("-1 where finite numbers of at least 0"));
  EXPECT_THAT(refused("windowLosses", "none"), HasSubstr("windowLosses"));
  EXPECT_THAT(refused("windowLosses", json::array({std::numeric_limits<double>::infinity()})), HasSubstr("finite"));
  EXPECT_THAT(refused("riseError", -.5), HasSubstr("riseError"));
}

}  // namespace
}  // namespace kvista
