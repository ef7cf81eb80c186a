// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What is done in one panel is seen in the others.
#include <gtest/gtest.h>

#include <QAction>
#include <QMenu>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QToolButton>
#include <cmath>

#include "app/studio/window/analysis_presenter.h"
#include "app/studio/window/budget_presenter.h"
#include "app/studio/window/groups_presenter.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"
#include "views/budget_footer.h"
#include "views/budget_view.h"
#include "views/error_view.h"
#include "views/groups_view.h"
#include "views/segmented_control.h"
#include "views/spectra_view.h"

namespace kvista {
namespace {

/// Three layers of four heads, each a group of its own, with made-up spectra.
class LinkedPanels : public ::testing::Test {
 protected:
  LinkedPanels() {
    document.startFrom(test::madeUpModel());
    if (!document.setStatistics(test::madeUpStatistics())) throw std::runtime_error("statistics");
    Catalogue catalogue;
    for (const Grouping& grouping : groupings())
      catalogue.groupings.push_back({std::string(grouping.name), std::string(grouping.summary), {}, {}, {}});
    document.setCatalogue(catalogue);
    document.addSpectra(document.plan(), test::madeUpSpectra(document.plan()));
    budget.resize(1000, 400);
    budget.show();
    errors.resize(900, 400);
    errors.show();
  }
  [[nodiscard]] int groupOf(const Slot& slot) const {
    const auto& all = document.plan().groups;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (std::ranges::find(all[i].slots, slot) != all[i].slots.end()) return static_cast<int>(i);
    return -1;
  }
  void startEngine(const QStringList& behaviour = {}) {
    engine.start({QCoreApplication::applicationDirPath() + "/kvista-fake-engine", behaviour});
    ASSERT_TRUE(test::waitFor([&] { return engine.state() == EngineClient::State::ready; }));
  }
  void edit(std::uint8_t width) {
    CompressionPlan plan = document.plan();
    for (Group& group : plan.groups) group.widths.assign(group.widths.size(), width);
    ASSERT_TRUE(document.edit(plan));
  }
  void measure(double after) {
    document.addResult({.text = "emma",
                        .tokensHash = "cc",
                        .planFingerprint = document.planFingerprint(),
                        .predictions = 100,
                        .perplexityBefore = 20,
                        .perplexityAfter = after,
                        .seconds = 1});
  }

  Document document;
  EngineClient engine;
  JobList jobs;
  Workflow workflow{document, engine, jobs};
  BudgetView budget;
  SpectraView spectra;
  ErrorView errors;
  GroupsView groups;
  BudgetPresenter budgetPresenter{document, workflow, budget};
  AnalysisPresenter analysisPresenter{document, workflow, spectra, errors};
  GroupsPresenter groupsPresenter{document, workflow, groups};
};

TEST_F(LinkedPanels, HeadsSelectedAnywhereAreRowsOfTheBudget) {
  const Slot a{1, Side::value, 2}, b{1, Side::value, 3};
  document.setSelection({1, Side::value, {a, b}});
  EXPECT_EQ(budget.selectedGroups(), (std::vector<int>{groupOf(a), groupOf(b)}));
  edit(4);
  EXPECT_EQ(budget.selectedGroups(), (std::vector<int>{groupOf(a), groupOf(b)})) << "an edit selects nothing else";
  document.setSelection({2, Side::key, {}});
  EXPECT_TRUE(budget.selectedGroups().empty());
}

TEST_F(LinkedPanels, RowsSelectedByHandAreHeadsSelectedAnywhere) {
  const QModelIndex cell = budget.table()->model()->index(3, 0);
  QTest::mouseClick(budget.table()->viewport(), Qt::LeftButton, {}, budget.table()->visualRect(cell).center());
  ASSERT_EQ(budget.selectedGroups().size(), 1U);
  EXPECT_EQ(document.selection().slots,
            document.plan().groups[static_cast<std::size_t>(budget.selectedGroups().front())].slots);
}

TEST_F(LinkedPanels, WhatWasMeasuredOfThisPlanStandsUnderTheBudget) {
  const auto* footer = budget.findChild<BudgetFooter*>();
  edit(8);
  EXPECT_FALSE(footer->budgetText().contains("measured"));
  measure(20 * std::exp(0.0125));
  EXPECT_TRUE(footer->budgetText().contains("measured 0.0125 nats a token")) << footer->budgetText().toStdString();
  edit(4);
  EXPECT_FALSE(footer->budgetText().contains("measured")) << "of another plan";
}

TEST_F(LinkedPanels, APlanClickedInPredictedAgainstMeasuredComesBack) {
  edit(8);
  document.keepPlan("eight");
  measure(20 * std::exp(0.0005));
  const std::string eight = document.planFingerprint();
  edit(2);
  document.keepPlan("two");
  measure(20 * std::exp(0.2));
  int clicked = 0;
  for (int plan = 0; plan < 2; ++plan) {
    const auto place = errors.placeOf(plan);
    ASSERT_TRUE(place);
    QTest::mouseClick(&errors, Qt::LeftButton, {}, place->toPoint());
    if (document.planFingerprint() == eight) ++clicked;
  }
  EXPECT_GE(clicked, 1);
  EXPECT_EQ(document.undoStack().undoText(), "Bring back eight");
  document.undo();
  EXPECT_NE(document.planFingerprint(), eight);
}

/// What the menu of automatic groupings offers under this name.
QAction* grouping(GroupsView& view, const QString& name) {
  QMenu* menu = view.makeMenu(&view);
  for (QAction* action : menu->findChildren<QAction*>())
    if (action->text().startsWith(name + QLatin1Char('\t'))) return action;
  return nullptr;
}

TEST_F(LinkedPanels, GroupsWeighedByTheirLossAreAskedOfTheEngine) {
  startEngine();
  QAction* swapLoss = grouping(groups, "swap-loss");
  ASSERT_NE(swapLoss, nullptr);
  EXPECT_TRUE(swapLoss->text().contains("All layers")) << swapLoss->text().toStdString();
  swapLoss->trigger();
  ASSERT_TRUE(test::waitFor([&] { return document.plan().grouping == "swap-loss"; }));
  EXPECT_EQ(document.plan().groups.front().slots.size(), 2U) << "the made-up engine pairs heads";
  EXPECT_EQ(document.undoStack().undoText(), "Group all layers by swap-loss");
  EXPECT_TRUE(document.staleLayers().empty()) << "their spectra came along";
  const auto job = std::ranges::find(jobs.jobs(), QStringLiteral("Groups by swap-loss"), &Job::name);
  ASSERT_NE(job, jobs.jobs().end());
  EXPECT_EQ(job->memory, "about 1.0 GB of 8.0 GB free on CPU, 2 cores");
}

TEST_F(LinkedPanels, GroupsThatCannotBeWeighedInTheMemoryThereIsAreNotBegun) {
  startEngine({"scarce"});
  const std::string before = test::bytesOf(document.plan());
  grouping(groups, "swap-loss")->trigger();
  ASSERT_TRUE(jobs.isBusy()) << "what it takes is being asked";
  ASSERT_TRUE(test::waitFor([&] { return !jobs.isBusy(); }));
  ASSERT_EQ(jobs.jobs().size(), 1U);
  const Job& job = jobs.jobs().front();
  EXPECT_EQ(job.name, "Groups by swap-loss");
  EXPECT_EQ(job.state, Job::State::failed);
  EXPECT_EQ(job.error.code, ErrorCode::outOfMemory);
  EXPECT_EQ(job.error.message, "It was not started: it would take about 20.0 GB of 8.0 GB free on CPU, 2 cores.");
  EXPECT_EQ(job.error.hint, "Close other programs, or take an engine with more memory.");
  EXPECT_EQ(test::bytesOf(document.plan()), before);
  EXPECT_EQ(document.undoStack().count(), 0);
}

TEST_F(LinkedPanels, AStorageThatDoesNotFitLeavesTheOldOneChosen) {
  startEngine({"scarce"});
  ASSERT_EQ(document.plan().storage, Storage::coded);
  SegmentedControl* storage = nullptr;
  for (SegmentedControl* each : budget.controls()->findChildren<SegmentedControl*>())
    if (each->segment("ranks")) storage = each;
  ASSERT_NE(storage, nullptr);
  QSignalSpy failed(&jobs, &JobList::failed);
  storage->segment("ranks")->click();
  EXPECT_EQ(storage->current(), "ranks");
  ASSERT_TRUE(test::waitFor([&] { return failed.size() == 1; }));
  EXPECT_EQ(storage->current(), "coded") << "as the plan is stored";
  EXPECT_EQ(document.plan().storage, Storage::coded);
}

TEST_F(LinkedPanels, WorkCancelledWhileItsMemoryIsAskedForIsNotBegun) {
  startEngine({"vague"});
  grouping(groups, "swap-loss")->trigger();
  const Job& job = jobs.jobs().front();
  ASSERT_EQ(job.name, "Groups by swap-loss");
  workflow.work().cancel(job.id);
  ASSERT_TRUE(test::waitFor([&] { return !jobs.isBusy(); }));
  ASSERT_EQ(jobs.jobs().size(), 1U);
  EXPECT_EQ(jobs.jobs().front().state, Job::State::cancelled);
  EXPECT_EQ(document.undoStack().count(), 0);
}

TEST_F(LinkedPanels, GroupsWeighedByTheirLossLeaveLocksAlone) {
  CompressionPlan plan = document.plan();
  plan.groups.front().locked = true;
  ASSERT_TRUE(document.edit(plan));
  QSignalSpy said(&groupsPresenter, &GroupsPresenter::message);
  grouping(groups, "swap-loss")->trigger();
  ASSERT_EQ(said.size(), 1);
  EXPECT_TRUE(said.front().front().toString().contains("Unlock")) << said.front().front().toString().toStdString();
  EXPECT_FALSE(jobs.isBusy());
}

}  // namespace
}  // namespace kvista
