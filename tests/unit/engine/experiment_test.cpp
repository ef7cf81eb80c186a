// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <regex>
#include <set>
#include <stop_token>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/engine/experiment/tables.h"
#include "core/evaluate/perplexity.h"
#include "tests/unit/demo_model.h"
#include "tests/unit/distributed/members.h"
#include "tests/unit/engine/experiment_specification.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::vector<ExperimentText>& texts() {
  static const std::vector<ExperimentText> all = {{"seen", demoWindows(2)},
                                                  {"unseen", demoWindows(2, 0, kEvaluationText)}};
  return all;
}

ExperimentSubject subject() { return {shortDecoder(), "0123456789abcdef", shortStatistics(), texts(), "1", {}}; }

Result<void> keepNothing(const std::vector<ExperimentRow>&, const std::vector<ExperimentRow>&) { return {}; }

std::vector<ExperimentRow> runAll(const std::vector<ExperimentRow>& known = {},
                                  std::vector<std::size_t>* kept = nullptr) {
  const auto keep = [&](const std::vector<ExperimentRow>& rows, const std::vector<ExperimentRow>&) -> Result<void> {
    if (kept) kept->push_back(rows.size());
    return {};
  };
  return valueOf(runExperiment(valueOf(experimentFromJson(specification())), subject(), known, keep, {}));
}

const std::vector<ExperimentRow>& allRows() {
  static const std::vector<ExperimentRow> rows = runAll();
  return rows;
}

const ExperimentRow& rowOf(const std::string& system, double value, const std::string& text) {
  for (const ExperimentRow& row : allRows())
    if (row.system == system && row.target.value == value && row.text == text) return row;
  throw std::runtime_error("no such row");
}

TEST(Experiment, EveryCellIsWhatPlanningAndMeasuringByThemselvesGive) {
  ASSERT_EQ(allRows().size(), 2U + 4 * 2 + 2 * 2);
  PlanRequest request;
  request.method = "joint";
  request.rankStep = 4;
  request.target = {Target::Kind::share, 0.25};
  const PlanWithSpectra made = valueOf(makePlan(shortDecoder(), &shortStatistics(), request, {}));
  const PlanFactors factors = valueOf(makeFactors(shortDecoder(), &shortStatistics(), made.planned.plan, {}));
  const PlanTransform transform(made.planned.plan, factors, shortDecoder().shape(), at::kCPU);
  for (const ExperimentText& text : texts()) {
    const ExperimentRow::Figures& figures = rowOf("joint", 0.25, text.name).figures.value();
    EXPECT_NEAR(figures.loss, valueOf(measurePerplexity(shortDecoder(), text.windows.ids, &transform, "", {})).meanLoss,
                1e-6);
    EXPECT_NEAR(figures.originalLoss,
                valueOf(measurePerplexity(shortDecoder(), text.windows.ids, nullptr, "", {})).meanLoss, 1e-9);
    EXPECT_EQ(figures.bytesPerToken, bytesPerToken(made.planned.plan));
    EXPECT_EQ(figures.predictions, 2 * (kWindow - 1));
    // Of two windows' rises a and b it is |a - b| / 2.
    const std::vector<double> original =
        valueOf(measurePerplexity(shortDecoder(), text.windows.ids, nullptr, "", {})).windowLosses;
    ASSERT_EQ(figures.windowLosses.size(), 2U);
    EXPECT_NEAR(figures.riseError.value(),
                std::abs(figures.windowLosses[0] - original[0] - figures.windowLosses[1] + original[1]) / 2, 1e-6);
  }
}

TEST(Experiment, WhatFailsSaysWhyAndTheOthersGoOn) {
  const ExperimentRow& impossible = rowOf("impossible", 0.0001, "unseen");
  EXPECT_FALSE(impossible.figures);
  EXPECT_THAT(impossible.problem, Not(IsEmpty()));
  const ExperimentRow& fixed = rowOf("fixed", 0.0001, "unseen");  // Behind it, with a target of its own.
  ASSERT_TRUE(fixed.figures);
  EXPECT_NEAR(fixed.figures->share, 0.5, 0.02);
}

TEST(Experiment, APartOfTheEnergyThatMayBeLostMakesTheSize) {
  json systems = json::array();
  for (const double eps : {0.3, 0.05})
    systems.push_back({{"name", fmt::format("eps {}", eps)},
                       {"plan", {{"method", "kqsvd"}, {"allocator", "head-mean"}, {"rankStep", 2}, {"eps", eps}}}});
  const json file = {{"kvista", "experiment"},
                     {"version", 1},
                     {"name", "Rule"},
                     {"sweeps", {{{"name", "Rule"}, {"unit", "keptFraction"}, {"values", {1}}, {"systems", systems}}}}};
  const auto rows = valueOf(runExperiment(valueOf(experimentFromJson(file)), subject(), {}, keepNothing, {}));
  // Behind those of the model as it is on both texts.
  const auto figures = [&](std::size_t row) { return rows.at(row).figures.value(); };
  EXPECT_LT(figures(2).share, figures(4).share);
  EXPECT_LT(figures(4).share, 1);
  EXPECT_GT(figures(2).rise(), figures(4).rise());
}

TEST(Experiment, GoesOnWithWhatAnEarlierRunMeasured) {
  std::vector<ExperimentRow> known;
  for (const ExperimentRow& row : allRows()) {
    known.push_back(valueOf(read<ExperimentRow>(json::parse(toJson(row).dump()))));  // As from its file.
    if (known.back().figures) known.back().figures->loss = 1;                        // None measures this.
  }
  known.erase(known.begin() + 4);  // joint's neighbour, "every head, alone" at .25 on the first text.
  std::vector<std::size_t> kept;
  const std::vector<ExperimentRow> rows = runAll(known, &kept);
  ASSERT_EQ(rows.size(), allRows().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 4)
      EXPECT_NEAR(rows[i].figures->loss, allRows()[i].figures->loss, 1e-6);
    else if (rows[i].figures)
      EXPECT_EQ(rows[i].figures->loss, 1);
    else
      EXPECT_EQ(rows[i].system, "impossible");
  }
  EXPECT_EQ(kept, (std::vector<std::size_t>{12, 14}));  // With the plan that was missing, with the one that failed.
}

TEST(Experiment, WhatAnEarlierRunKnowsStaysInTheResultsOfOneThatIsStopped) {
  std::vector<ExperimentRow> known = allRows();
  known.erase(known.begin() + 4);
  std::vector<ExperimentRow> kept, told;
  std::stop_source stop;
  const auto keep = [&](const std::vector<ExperimentRow>& rows,
                        const std::vector<ExperimentRow>& fresh) -> Result<void> {
    kept = rows;
    told.insert(told.end(), fresh.begin(), fresh.end());
    stop.request_stop();
    return {};
  };
  const Experiment experiment = valueOf(experimentFromJson(specification()));
  EXPECT_EQ(errorOf(runExperiment(experiment, subject(), known, keep, {stop.get_token(), {}})).code,
            ErrorCode::cancelled);
  std::vector<ExperimentRow> measured;
  std::ranges::copy_if(allRows(), std::back_inserter(measured),
                       [](const ExperimentRow& row) { return row.figures.has_value(); });
  ASSERT_EQ(kept.size(), measured.size());  // Without those that failed.
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].of, measured[i].of);
  EXPECT_EQ(told, kept);
}

TEST(Experiment, ProcessesShareTheRowsAndAllAnswerTheSame) {
  std::mutex mutex;
  std::vector<ExperimentRow> told;
  std::vector<std::vector<ExperimentRow>> answers(3);
  asGroup(3, [&](const ProcessGroup& group) {
    const auto keep = [&](const std::vector<ExperimentRow>&, const std::vector<ExperimentRow>& fresh) -> Result<void> {
      const std::lock_guard lock(mutex);
      told.insert(told.end(), fresh.begin(), fresh.end());
      return {};
    };
    answers[static_cast<std::size_t>(group.rank())] =
        valueOf(runExperiment(valueOf(experimentFromJson(specification())), subject(), {}, keep, {}, group));
  });
  std::erase_if(told, [](const ExperimentRow& row) { return row.system.empty(); });  // Each needs the model as it is.
  EXPECT_EQ(told.size(), allRows().size() - 2);
  for (const std::vector<ExperimentRow>& rows : answers) {
    ASSERT_EQ(rows.size(), allRows().size());
    EXPECT_EQ(rows, answers.front());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].of, allRows()[i].of);
      ASSERT_EQ(rows[i].figures.has_value(), allRows()[i].figures.has_value()) << rows[i].problem;
      if (!rows[i].figures) continue;
      EXPECT_NEAR(rows[i].figures->loss, allRows()[i].figures->loss, 1e-6);
      EXPECT_NEAR(rows[i].figures->originalLoss, allRows()[i].figures->originalLoss, 1e-6);
    }
  }
}

TEST(Experiment, ARowOfAnotherTextOrModelIsNoAnswer) {
  std::vector<ExperimentRow> known = allRows();
  for (ExperimentRow& row : known) {
    row.of += " of another text";
    if (row.figures) row.figures->loss = 1;
  }
  for (const ExperimentRow& row : runAll(known)) {
    if (!row.figures) continue;
    EXPECT_NE(row.figures->loss, 1);
  }
}

TEST(Experiment, PoliciesAndPlansMeetOnThePredictionsBehindThePrompt) {
  const json plan = {{"method", "joint"}, {"target", {{"kind", "share"}, {"value", 0.5}}}};
  const json read = {{"kvista", "experiment"},
                     {"version", 1},
                     {"name", "Read"},
                     {"sweeps",
                      {{{"name", "Read"},
                        {"unit", "share"},
                        {"values", {0.25}},
                        {"prompt", 32},
                        {"interval", 16},
                        {"systems",
                         {{{"name", "a plan"}, {"plan", plan}},
                          {{"name", "a policy"}, {"policy", {{"name", "streaming-llm"}, {"options", {{"sinks", 2}}}}}},
                          {{"name", "both"},
                           {"plan", plan},
                           {"policy", {{"name", "streaming-llm"}, {"options", {{"sinks", 2}}}}}}}}}}}};
  const std::vector<ExperimentRow> rows =
      valueOf(runExperiment(valueOf(experimentFromJson(read)), subject(), {}, keepNothing, {}));
  ASSERT_EQ(rows.size(), 4U * 2);
  for (const ExperimentRow& row : rows) {
    ASSERT_TRUE(row.figures) << row.system << ": " << row.problem;
    EXPECT_EQ(row.figures->predictions, 2 * 31);  // The first behind the prompt is foretold by its last token.
    // The plan keeps its first tokens at 16 bits.
    const double most = row.system.empty() ? 1 : row.system == "a plan" ? 0.56 : 0.25;
    EXPECT_LE(row.figures->share, most + 1e-9) << row.system;
  }
  // What the model as it is loses there, counted by hand.
  const at::Tensor losses = valueOf(shortDecoder().tokenLosses(texts()[0].windows.ids, nullptr, {})).to(at::kDouble);
  EXPECT_NEAR(rows[0].figures->loss, losses.narrow(1, 32, 31).mean().item<double>(), 1e-5);
}

TEST(Experiment, StopsAtOnceAndKeepsWhatItHas) {
  std::stop_source stop;
  std::size_t kept = 0;
  const auto keep = [&](const std::vector<ExperimentRow>& rows, const std::vector<ExperimentRow>&) -> Result<void> {
    kept = rows.size();
    stop.request_stop();
    return {};
  };
  const Error error =
      errorOf(runExperiment(valueOf(experimentFromJson(specification())), subject(), {}, keep, {stop.get_token(), {}}));
  EXPECT_EQ(error.code, ErrorCode::cancelled);
  EXPECT_EQ(kept, 2U);
}

TEST(Experiment, TablesMarkTheBestAndQuoteNames) {
  const Experiment experiment = valueOf(experimentFromJson(specification()));
  const std::vector<ExperimentTable> tables = experimentTables(experiment, allRows());
  ASSERT_EQ(tables.size(), 4U);
  for (std::size_t column = 0; column < 2; ++column) {
    const ExperimentCell &heads = tables[1].cells[0][column], &joint = tables[1].cells[1][column];
    EXPECT_NE(heads.isBest, joint.isBest);
    EXPECT_EQ(joint.isBest, joint.row->figures->loss < heads.row->figures->loss);
  }
  const std::string csv = experimentCsv(allRows());
  EXPECT_EQ(std::ranges::count(csv, '\n'), static_cast<std::ptrdiff_t>(allRows().size()) + 1);
  EXPECT_THAT(csv, HasSubstr("\r\nBytes,\"every head, alone\",share,0.5,seen,"));
  const std::string markdown = experimentMarkdown(experiment, allRows());
  EXPECT_THAT(markdown, HasSubstr("| system | 1/2 of the bytes | 1/4 of the bytes |"));
  EXPECT_THAT(markdown, HasSubstr("| impossible | failed |"));
  const std::string page = experimentPage(experiment, allRows(), subject());
  EXPECT_THAT(page, HasSubstr("every head, alone"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

json policy(const std::string& name, const json& options = json::object()) {
  return {{"name", name}, {"options", options}};
}
/// Rows of sweeps that read windows of 64 with a prompt of 32.
std::vector<ExperimentRow> rowsOf(const json& sweeps, ExperimentSubject on = subject()) {
  const json file = {{"kvista", "experiment"}, {"version", 1}, {"name", "Read"}, {"sweeps", sweeps}};
  return valueOf(runExperiment(valueOf(experimentFromJson(file)), on, {}, keepNothing, {}));
}
json sweepOf(const std::string& name, const json& values, const json& systems, int prompt = 32) {
  return {{"name", name},     {"unit", "share"}, {"values", values},
          {"prompt", prompt}, {"interval", 16},  {"systems", systems}};
}

TEST(Experiment, APlanAtAShareWithAPolicyComesToTheWholesShare) {
  const json small = {{"sinks", 2}, {"window", 4}};
  const auto system = [&](const json& plan, const json& shares) {
    return json::array({json{
        {"name", plan["method"]}, {"plan", plan}, {"planShare", shares}, {"policy", policy("streaming-llm", small)}}});
  };
  const std::vector<ExperimentRow> rows = rowsOf(
      json::array({sweepOf("16 bits", {0.25, 0.125}, system({{"method", "joint"}, {"rankStep", 4}}, {0.5, 0.25})),
                   sweepOf("Coded", json::array({0.25}), system({{"method", "coded-joint"}}, json::array({0.5})))}));
  ASSERT_EQ(rows.size(), 2U + 2 * 2 + 2);
  for (const ExperimentRow& row : rows) {
    if (row.system.empty()) continue;
    ASSERT_TRUE(row.figures) << row.system << ": " << row.problem;
    EXPECT_LE(row.figures->share, row.target.value) << row.system;
    EXPECT_GE(row.figures->share, 0.85 * row.target.value) << row.system;  // A token is 1/64 of a window.
    EXPECT_EQ(json::parse(row.of)["plan"]["target"]["value"], row.target.value == 0.25 ? 0.5 : 0.25);
  }
}

TEST(Experiment, APolicyThatStoresTokensByAPlanLeavesItTheRestOfTheShare) {
  const json above = policy("cskv", {{"window", 16}});
  const json systems = {{{"name", "cskv"}, {"plan", {{"method", "cskv"}, {"rankStep", 1}}}, {"policy", above}},
                        {{"name", "coded-joint"}, {"plan", {{"method", "coded-joint"}}}, {"policy", above}}};
  const std::vector<ExperimentRow> rows = rowsOf(json::array({sweepOf("Two branches", {0.5, 0.375, 0.2}, systems)}));
  ASSERT_EQ(rows.size(), 2U + 2 * 2 * 3);
  for (const ExperimentRow& row : rows) {
    if (row.target.value == 0.2)
      EXPECT_THAT(row.problem, HasSubstr("The policy cskv needs 0.")) << "16 of 64 tokens alone are more";
    if (row.target.value == 0.2 || row.system.empty()) continue;
    ASSERT_TRUE(row.figures) << row.system << ": " << row.problem;
    EXPECT_THAT(row.figures->share, testing::AllOf(testing::Le(row.target.value), testing::Ge(0.95 * row.target.value)))
        << row.system;
    const double exact = row.system == "cskv" ? 16 : 20;  // The code leaves the first 4 tokens exact.
    const double ofPlan = json::parse(row.of)["plan"]["target"]["value"];
    EXPECT_NEAR(ofPlan, (64 * row.target.value - exact) / (64 - exact), 1e-5) << row.system;
  }
}

TEST(Experiment, APolicyThatActsOnceSaysWhyTheShareAtTheEndIsLarger) {
  const json systems = {{{"name", "a policy"}, {"policy", policy("streaming-llm", {{"sinks", 2}, {"window", 4}})}}};
  json once = sweepOf("Once", json::array({0.5}), systems, 48);
  once.erase("interval");
  const std::vector<ExperimentRow> rows =
      rowsOf(json::array({once, sweepOf("Again", json::array({0.5}), systems, 48)}));
  ASSERT_EQ(rows.size(), 2U * 2 * 2);
  for (const ExperimentRow& row : rows) {
    if (row.system.empty()) continue;
    ASSERT_TRUE(row.figures) << row.problem;
    EXPECT_NEAR(row.figures->share, row.sweep == "Once" ? 0.625 : 0.5, 1e-9) << row.sweep;  // 24 + 16 of 64, 32 of 64
    if (row.sweep == "Once")
      EXPECT_THAT(row.figures->note, HasSubstr("behind the prompt of 48 tokens, and keeps to the share there; the 16"));
    else
      EXPECT_EQ(row.figures->note, "");
  }
}

TEST(Experiment, ARefinedPlanIsTrainedOnceAndLosesLessOnTheTextThatTrainedIt) {
  const TemporaryFolder folder;
  ExperimentSubject on = subject();
  on.folder = folder.path();
  const json plan = {{"method", "joint"}, {"rankStep", 4}},
             own = {{"method", "joint"}, {"rankStep", 4}, {"target", {{"kind", "share"}, {"value", 0.125}}}};
  const json refine = {{"steps", 24}, {"windowsPerStep", 1}, {"rate", 1e-3}};
  const json systems = {{{"name", "planned"}, {"plan", plan}},
                        {{"name", "refined"}, {"plan", plan}, {"refine", refine}},
                        {{"name", "refined, by its own target"}, {"plan", own}, {"refine", refine}}};
  const std::vector<ExperimentRow> rows =
      rowsOf(json::array({{{"name", "Bytes"}, {"unit", "share"}, {"values", {0.125}}, {"systems", systems}}}), on);
  ASSERT_EQ(rows.size(), 2U * 4);
  for (const ExperimentRow& row : rows) ASSERT_TRUE(row.figures) << row.system << ": " << row.problem;
  EXPECT_LT(rows[4].figures->loss, rows[2].figures->loss);  // On the text that calibrated.
  EXPECT_EQ(rows[4].figures->bytesPerToken, rows[2].figures->bytesPerToken);
  EXPECT_TRUE(rows[2].figures->predictedRise);
  EXPECT_FALSE(rows[4].figures->predictedRise);  // It was the plan's, not the trained factors'.
  EXPECT_EQ(rows[6].figures->loss, rows[4].figures->loss);
  EXPECT_EQ(json::parse(rows[4].of)["refine"]["steps"], 24);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}),
            1);  // One file for both, and none of an unfinished run.
}

TEST(Experiment, WhereTheModelCannotBeMeasuredOtherSweepsGoOn) {
  const json systems = {{{"name", "a policy"}, {"policy", policy("streaming-llm", {{"sinks", 2}, {"window", 4}})}}};
  const std::vector<ExperimentRow> rows =
      rowsOf(json::array({sweepOf("Too long a prompt", {0.5}, systems, 63), sweepOf("Sound", {0.5}, systems)}));
  ASSERT_EQ(rows.size(), 2U * 2 * 2);
  for (const ExperimentRow& row : rows) {
    const bool isSound = row.sweep.empty() ? json::parse(row.of)["policy"]["prompt"] == 32 : row.sweep == "Sound";
    EXPECT_EQ(row.figures.has_value(), isSound) << row.sweep << ": " << row.problem;
    if (!isSound) {
      EXPECT_THAT(row.problem, HasSubstr("63"));
    }
  }
}

TEST(Experiment, TheSameInTwoSweepsIsMeasuredOnce) {
  json file = specification();
  file["sweeps"][1]["values"] = json::array({0.25});
  file["sweeps"][1]["systems"] = json::array({file["sweeps"][0]["systems"][1]});
  const std::vector<ExperimentRow> rows =
      valueOf(runExperiment(valueOf(experimentFromJson(file)), subject(), {}, keepNothing, {}));
  ASSERT_EQ(rows.size(), 2U + 4 * 2 + 2);
  // Their seconds among them.
  for (std::size_t text = 0; text < 2; ++text) EXPECT_EQ(rows[10 + text].figures, rows[8 + text].figures);
}

TEST(Experiment, WhatAPolicyForetellsByIsTrainedOnceAndKept) {
  const TemporaryFolder folder;
  ExperimentSubject on = subject();
  on.folder = folder.path();
  const json systems = {{{"name", "gate"}, {"policy", policy("fast-kvzip", {{"gate", "train"}, {"window", 4}})}}};
  const std::vector<ExperimentRow> rows = rowsOf(json::array({sweepOf("Gate", {0.5}, systems)}), on);
  ASSERT_EQ(rows.size(), 4U);
  ASSERT_TRUE(rows[2].figures) << rows[2].problem;
  EXPECT_NEAR(rows[2].figures->share, 0.5, 1e-3);
  EXPECT_EQ(json::parse(rows[2].of)["calibration"], shortStatistics().tokensHash);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1U);
  const auto made = std::filesystem::last_write_time(files[0]);
  EXPECT_EQ(rowsOf(json::array({sweepOf("Gate", {0.5}, systems)}), on)[2].figures->loss, rows[2].figures->loss);
  EXPECT_EQ(std::filesystem::last_write_time(files[0]), made);
  std::filesystem::resize_file(files[0], 100);
  EXPECT_THAT(rowsOf(json::array({sweepOf("Gate", {0.5}, systems)}), on)[2].problem, HasSubstr("trained anew"));
}

TEST(Experiment, TextsOfTheirOwnBeginBehindWhatCalibrationHeldOut) {
  Statistics statistics;
  statistics.recipe = {{"a.txt", "b.txt"}, {2, 1}, 64, 5, 3, 17, true};
  statistics.windows = 5;
  EXPECT_EQ(unseenText(statistics).skipWindows, 8);
  statistics.heldOutIds = shortStatistics().tokenIds.narrow(0, 0, 2);
  EXPECT_EQ(unseenText(statistics), (TextSelection{{"a.txt", "b.txt"}, 64, 0, 10, 17, true, {2, 1}}));
}

TEST(Experiment, MarksOfManySystemsAreApartAndTheirNamesInThePicture) {
  Experiment experiment{"Many", {{"Bytes", Target::Kind::share, {.25}, {}, 0, 0}}};
  std::vector<ExperimentRow> rows;
  for (int i = 0; i < 30; ++i) {
    experiment.sweeps[0].systems.push_back({fmt::format("system {}", i), {}, false, {}, {}});
    rows.push_back({"Bytes",
                    fmt::format("system {}", i),
                    "novels",
                    {Target::Kind::share, .25},
                    "",
                    ExperimentRow::Figures{1, .25 + .001 * i, 3 - .02 * i, 2, {}, 1, 1, ""},
                    ""});
  }
  const std::string page = experimentPage(experiment, rows, subject());
  const std::regex markOf(R"re(<svg class="mark (s\d)" viewBox="0 0 12 12"><path d="M6.00 6.00([^"]*)")re"),
      textAt(R"re(<text x="[^"]*" y="([^"]*)" font-size)re");
  std::set<std::string> marks;
  for (std::sregex_iterator match(page.begin(), page.end(), markOf), end; match != end; ++match)
    marks.insert((*match)[1].str() + (*match)[2].str());
  EXPECT_EQ(marks.size(), 30U);
  std::vector<double> heights;
  for (std::sregex_iterator match(page.begin(), page.end(), textAt), end; match != end; ++match)
    heights.push_back(std::stod((*match)[1].str()));
  ASSERT_GE(heights.size(), 15U);
  for (std::size_t i = 0; i < heights.size(); ++i) {
    EXPECT_GT(heights[i], 0);
    EXPECT_LT(heights[i], 300);
    if (i > 0) {
      EXPECT_GE(heights[i] - heights[i - 1], 12.9);
    }
  }
}

TEST(Experiment, AFileOfAPolicyCountsByWhatItHolds) {
  const auto keyWith = [](const char* name, const char* content) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() / name;
    std::ofstream(file) << content;
    const json read = {{"kvista", "experiment"},
                       {"version", 1},
                       {"name", "Read"},
                       {"sweeps",
                        {{{"name", "Read"},
                          {"unit", "share"},
                          {"values", {0.25}},
                          {"systems",
                           {{{"name", "foretold"},
                             {"policy", {{"name", "fast-kvzip+fp8"}, {"options", {{"gate", file.string()}}}}}}}}}}}};
    const std::string key =
        valueOf(runExperiment(valueOf(experimentFromJson(read)), subject(), {}, keepNothing, {})).back().of;
    std::filesystem::remove(file);
    return key;
  };
  const std::string one = keyWith("kvista-experiment-gate", "one");
  EXPECT_NE(one, keyWith("kvista-experiment-gate", "another"));
  EXPECT_EQ(one, keyWith("kvista-experiment-gate-moved", "one"));
}

}  // namespace
}  // namespace kvista::test
