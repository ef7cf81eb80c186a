// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <ATen/TensorOperators.h>

#include <cmath>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/engine/experiment/tables.h"
#include "core/evaluate/perplexity.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

json specification() {
  return {{"kvista", "experiment"},
          {"version", 1},
          {"name", "Two ways"},
          {"sweeps",
           {{{"name", "Bytes"},
             {"unit", "share"},
             {"values", {0.5, 0.25}},
             {"systems", {{{"name", "every head, alone"}, {"plan", {{"method", "coded-head"}}}}, {{"name", "joint"}, {"plan", {{"method", "joint"}, {"rankStep", 4}}}}}}},
            {{"name", "Small"},
             {"unit", "share"},
             {"values", {0.0001}},
             {"systems", {{{"name", "impossible"}, {"plan", {{"method", "plain"}}}}, {{"name", "fixed"}, {"plan", {{"method", "joint"}, {"target", {{"kind", "share"}, {"value", 0.5}}}}}}}}}}}};
}

const std::vector<ExperimentText>& texts() {
  static const std::vector<ExperimentText> all = {{"seen", demoWindows(2)}, {"unseen", demoWindows(2, 0, kEvaluationText)}};
  return all;
}

ExperimentSubject subject() { return {shortDecoder(), "0123456789abcdef", shortStatistics(), texts(), "1"}; }

std::vector<ExperimentRow> runAll(const std::vector<ExperimentRow>& known = {}, std::vector<std::size_t>* kept = nullptr) {
  const auto keep = [&](const std::vector<ExperimentRow>& rows) -> Result<void> {
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
    EXPECT_NEAR(figures.loss, valueOf(measurePerplexity(shortDecoder(), text.windows.ids, &transform, "", {})).meanLoss, 1e-6);
    EXPECT_NEAR(figures.originalLoss, valueOf(measurePerplexity(shortDecoder(), text.windows.ids, nullptr, "", {})).meanLoss, 1e-9);
    EXPECT_EQ(figures.bytesPerToken, bytesPerToken(made.planned.plan));
    EXPECT_EQ(figures.predictions, 2 * (kWindow - 1));
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

TEST(Experiment, GoesOnWithWhatAnEarlierRunMeasured) {
  std::vector<ExperimentRow> known;
  for (const ExperimentRow& row : allRows()) {
    known.push_back(valueOf(read<ExperimentRow>(json::parse(toJson(row).dump()))));  // As from its file.
    if (known.back().figures) known.back().figures->loss = 1;                           // None measures this.
  }
  known.erase(known.begin() + 4);  // joint's neighbour, "every head, alone" at .25 on the first text.
  std::vector<std::size_t> kept;
  const std::vector<ExperimentRow> rows = runAll(known, &kept);
  ASSERT_EQ(rows.size(), allRows().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 4) EXPECT_NEAR(rows[i].figures->loss, allRows()[i].figures->loss, 1e-6);
    else if (rows[i].figures) EXPECT_EQ(rows[i].figures->loss, 1);
    else EXPECT_EQ(rows[i].system, "impossible");
  }
  EXPECT_EQ(kept, (std::vector<std::size_t>{6, 12}));  // The plan that was missing, the one that failed.
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
                          {{"name", "both"}, {"plan", plan}, {"policy", {{"name", "streaming-llm"}, {"options", {{"sinks", 2}}}}}}}}}}}};
  const std::vector<ExperimentRow> rows =
      valueOf(runExperiment(valueOf(experimentFromJson(read)), subject(), {}, [](const std::vector<ExperimentRow>&) { return Result<void>{}; }, {}));
  ASSERT_EQ(rows.size(), 4U * 2);
  for (const ExperimentRow& row : rows) {
    ASSERT_TRUE(row.figures) << row.system << ": " << row.problem;
    EXPECT_EQ(row.figures->predictions, 2 * 31);  // The first behind the prompt is foretold by its last token.
    const double most = row.system.empty() ? 1 : row.system == "a plan" ? 0.56 : 0.25;  // The plan keeps its first tokens at 16 bits.
    EXPECT_LE(row.figures->share, most + 1e-9) << row.system;
  }
  // What the model as it is loses there, counted by hand.
  const at::Tensor losses = valueOf(shortDecoder().tokenLosses(texts()[0].windows.ids, nullptr, {})).to(at::kDouble);
  EXPECT_NEAR(rows[0].figures->loss, losses.narrow(1, 32, 31).mean().item<double>(), 1e-5);
}

TEST(Experiment, StopsAtOnceAndKeepsWhatItHas) {
  std::stop_source stop;
  std::size_t kept = 0;
  const auto keep = [&](const std::vector<ExperimentRow>& rows) -> Result<void> {
    kept = rows.size();
    stop.request_stop();
    return {};
  };
  const Error error = errorOf(runExperiment(valueOf(experimentFromJson(specification())), subject(), {}, keep, {stop.get_token(), {}}));
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

struct Slip {
  const char* pointer;  ///< Where in the specification.
  json value;
  const char* words;
};
class ExperimentSlips : public testing::TestWithParam<Slip> {};

TEST_P(ExperimentSlips, AreNamed) {
  json wrong = specification();
  wrong[json::json_pointer(GetParam().pointer)] = GetParam().value;
  const Error error = errorOf(experimentFromJson(wrong));
  EXPECT_EQ(error.code, ErrorCode::invalidArgument);
  EXPECT_THAT(error.message, HasSubstr(GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(, ExperimentSlips,
                         testing::Values(Slip{"/version", 2, "version"}, Slip{"/swep", 1, "\"swep\""}, Slip{"/name", "", "name"}, Slip{"/sweeps", json::array(), "sweeps"},
                                         Slip{"/sweeps/0/unit", "furlongs", "furlongs"}, Slip{"/sweeps/0/values/1", 1.5, "1.5"}, Slip{"/sweeps/0/values", "all", "values"},
                                         Slip{"/sweeps/1/name", "Bytes", "\"Bytes\""}, Slip{"/sweeps/0/systems/1/name", "every head, alone", "two systems"},
                                         Slip{"/sweeps/0/systems/0/plan/method", "magic", "magic"}, Slip{"/sweeps/0/systems/0/plan/rank_step", 4, "\"rank_step\""},
                                         Slip{"/sweeps/0/systems/0/plan", "joint", "plan"}, Slip{"/sweeps/0/systems/0/plann", 1, "\"plann\""},
                                         Slip{"/sweeps/0/prompt", 16, "prompt"}, Slip{"/sweeps/0/systems/0/policy", {{"nam", "fp8"}}, "\"nam\""},
                                         Slip{"/sweeps/0/systems/0/policy", {{"name", "snapkv+fp9"}}, "fp9"}));

}  // namespace
}  // namespace kvista::test
