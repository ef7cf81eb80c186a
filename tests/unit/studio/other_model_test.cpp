// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Another model or project beside the one that is open: from the menu to the matrices, with an engine that makes them
// up.
#include "app/studio/other_model.h"

#include <gmock/gmock.h>

#include <QComboBox>
#include <QLineEdit>
#include <QMessageBox>
#include <QTest>
#include <algorithm>
#include <cmath>

#include "core/plan/edit.h"
#include "core/plan/plan_groups.h"
#include "tests/unit/studio/window_case.h"
#include "views/comparison_view.h"
#include "views/plan_comparison_view.h"

namespace kvista {
namespace {

using test::madeUpModelAt;
using test::waitFor;
using ::testing::HasSubstr;

/// What the engine makes up of a model.
Matrix similarityOf(const std::string& model, int layer, Side side) {
  for (const SimilarityRecord& record : test::madeUpSimilarities(madeUpModelAt(model).shape))
    if (record.layer == layer && record.side == side) return record.matrix;
  throw std::runtime_error("layer");
}

/// A project of the model of this name, whose heads are grouped by twos.
std::filesystem::path saveOther(const std::filesystem::path& folder, const std::string& name) {
  const ModelRecord model = madeUpModelAt((folder / name).string());
  Document document;
  document.startFrom(model);
  StatisticsRecord statistics = test::madeUpStatistics();
  statistics.modelHash = model.hash;
  if (!document.setStatistics(statistics)) throw std::runtime_error("statistics");
  CompressionPlan plan = document.plan();
  HeadGroups pairs;
  for (int head = 0; head + 1 < model.shape.kvHeads; head += 2) pairs.push_back({head, head + 1});
  plan.groups.clear();
  for (int layer = 0; layer < model.shape.layers; ++layer)
    for (Group& group : groupsOf(model.shape, layer, pairs, pairs)) plan.groups.push_back(group);
  if (!document.edit(plan)) throw std::runtime_error("plan");
  const std::filesystem::path file = folder / (name + ".kvista");
  if (!saveProject(file, document.project())) throw std::runtime_error("project");
  return file;
}

class OtherModelInWindow : public test::WindowCase {
 protected:
  void SetUp() override { openProject(); }
  /// Types the file's name: the dialog's list may not know yet what was written a moment ago.
  void compareWith(const std::filesystem::path& file) {
    QTimer answer;
    QObject::connect(&answer, &QTimer::timeout, &answer, [&] {
      if (auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget())) return box->reject();
      auto* dialog = qobject_cast<QFileDialog*>(QApplication::activeModalWidget());
      if (!dialog) return;
      dialog->findChild<QLineEdit*>()->setText(QString::fromStdString(file.string()));
      QMetaObject::invokeMethod(dialog, "accept", Qt::QueuedConnection);
    });
    answer.start(10);
    trigger("plan.compare");
  }
  [[nodiscard]] ComparisonView& view() const { return *window->findChild<ComparisonView*>(); }
  [[nodiscard]] const ComparisonRecord& record() const { return view().record(); }
  [[nodiscard]] bool shows(const QString& title) const {
    return waitFor([&] { return record().right.title == title; });
  }
  [[nodiscard]] QComboBox* chooser() const {
    for (auto* each : window->findChildren<QComboBox*>())
      if (each->accessibleName() == QStringLiteral("What is compared")) return each;
    return nullptr;
  }
};

TEST_F(OtherModelInWindow, AProjectsHeadsStandBesideThoseOfTheOpenOneInTheSameColours) {
  const std::string before = test::bytesOf(window->document().plan());
  compareWith(saveOther(home.path(), "deeper"));
  EXPECT_EQ(fact("layout"), "compare");
  ASSERT_TRUE(shows("deeper · layer 0")) << window->facts().dump(1);
  EXPECT_FALSE(view().visibleRegion().isEmpty());
  EXPECT_EQ(record().title, "made-up and deeper · keys");
  EXPECT_EQ(record().left.title, "made-up · layer 0");
  EXPECT_EQ(record().left.matrix, similarityOf("made-up", 0, Side::key));
  EXPECT_EQ(record().right.matrix, similarityOf("deeper", 0, Side::key));
  EXPECT_EQ(record().right.groups, (std::vector<std::vector<int>>{{0, 1}, {2, 3}})) << "the groups of its own plan";
  EXPECT_EQ(record().left.groups.size(), 4U);
  const Range shared = view().range();
  EXPECT_LE(shared.low, similarityOf("deeper", 0, Side::key).at(0, 3)) << "the lowest of both";
  EXPECT_GE(shared.high, similarityOf("made-up", 0, Side::key).at(0, 1)) << "the highest of both";
  EXPECT_FLOAT_EQ(view().canvas(ComparisonView::difference)->record().matrix.at(0, 2),
                  similarityOf("deeper", 0, Side::key).at(0, 2) - similarityOf("made-up", 0, Side::key).at(0, 2));

  EXPECT_EQ(test::bytesOf(window->document().plan()), before);
  EXPECT_EQ(fact("steps"), 0) << "nothing to undo";
  EXPECT_FALSE(fact("modified").get<bool>());
  EXPECT_TRUE(fact("problems").empty());
}

TEST_F(OtherModelInWindow, TheSameLayerFollowsTheSelectionAndAnyOtherCanBeChosen) {
  compareWith(saveOther(home.path(), "deeper"));
  ASSERT_TRUE(shows("deeper · layer 0"));
  window->document().setSelection({2, Side::value, {}});
  EXPECT_EQ(record().right.title, "deeper · layer 2");
  EXPECT_EQ(record().right.matrix, similarityOf("deeper", 2, Side::value));
  ASSERT_TRUE(chooser());
  EXPECT_EQ(chooser()->currentText(), "deeper · same layer");
  QTest::keyClick(chooser(), Qt::Key_End);
  EXPECT_EQ(chooser()->currentText(), "deeper · layer 4") << "one that the open model does not have";
  EXPECT_EQ(record().right.matrix, similarityOf("deeper", 4, Side::value));
  window->document().setSelection({1, Side::value, {}});
  EXPECT_EQ(record().left.title, "made-up · layer 1");
  EXPECT_EQ(record().right.title, "deeper · layer 4");
}

TEST_F(OtherModelInWindow, PlansOfModelsOfOneFormStandBesideEachOther) {
  const std::filesystem::path file = saveOther(home.path(), "finetuned");
  auto other = loadProject(file);
  ASSERT_TRUE(other);
  for (Group& group : other->plan.groups) group.widths.assign(group.widths.size(), 4);
  other->predictedLoss = 0.25;
  ASSERT_TRUE(saveProject(file, *other));
  compareWith(file);
  ASSERT_TRUE(shows("finetuned · layer 0"));
  dock("plans")->raise();
  const PlanComparisonRecord& plans = window->findChild<PlanComparisonView*>()->record();
  ASSERT_TRUE(waitFor([&] { return plans.canBeDrawn(); }));
  EXPECT_EQ(plans.a.plan.name, "finetuned");
  EXPECT_EQ(plans.b.plan.name, "this plan");
  EXPECT_EQ(plans.a.bits.values, std::vector<float>(24, 4.0F));
  EXPECT_EQ(plans.a.bytes, bytesPerToken(other->plan));
  ASSERT_TRUE(plans.a.perplexity);
  EXPECT_DOUBLE_EQ(plans.a.perplexity->value, std::exp(3.25));

  // Measured perplexities take the place of predicted ones, the newest first.
  for (const double after : {31.0, 32.0})
    other->results.push_back({.text = "emma",
                              .tokensHash = "cc",
                              .planFingerprint = fingerprint(other->plan),
                              .perplexityBefore = 20,
                              .perplexityAfter = after,
                              .predictions = 100});
  ASSERT_TRUE(saveProject(file, *other));
  compareWith(file);
  dock("plans")->raise();
  ASSERT_TRUE(waitFor([&] { return plans.canBeDrawn() && plans.a.perplexity && plans.a.perplexity->measured; }));
  EXPECT_EQ(plans.a.perplexity, (ComparedPerplexity{32, 20, true, "cc"}));

  trigger("plan.compareNoMore");
  EXPECT_FALSE(plans.canBeDrawn());
  compareWith(saveOther(home.path(), "deeper"));
  ASSERT_TRUE(shows("deeper · layer 0"));
  dock("plans")->raise();
  QCoreApplication::processEvents();
  EXPECT_FALSE(plans.canBeDrawn()) << "it has other layers";
}

TEST_F(OtherModelInWindow, HeadsOfAnotherNumberAreRefusedByTheView) {
  compareWith(saveOther(home.path(), "wider"));
  ASSERT_TRUE(shows("wider · layer 0"));
  EXPECT_EQ(record().right.heads(), 6);
  for (const auto part : {ComparisonView::left, ComparisonView::right, ComparisonView::difference})
    EXPECT_FALSE(view().canvas(part)->isVisible());
  EXPECT_TRUE(view().plainTable().rows.empty());
}

TEST_F(OtherModelInWindow, TheProjectsSessionKnowsWhatItIsComparedWith) {
  compareWith(saveOther(home.path(), "deeper"));
  ASSERT_TRUE(shows("deeper · layer 0"));
  close();
  open();
  openProject();
  ASSERT_TRUE(shows("deeper · layer 0")) << "the layout is the session's too";
  trigger("plan.compareNoMore");
  EXPECT_EQ(record().title, "Layer 0 · keys and values");
  EXPECT_FALSE(window->actions().action(QStringLiteral("plan.compareNoMore"))->isEnabled());
  close();
  open();
  openProject();
  EXPECT_FALSE(window->actions().action(QStringLiteral("plan.compareNoMore"))->isEnabled());
  EXPECT_EQ(record().title, "Layer 0 · keys and values");
}

TEST_F(OtherModelInWindow, WhatCannotBeComparedIsNamed) {
  const auto problem = [&](const std::filesystem::path& file) {
    const std::size_t before = fact("problems").size();
    compareWith(file);
    EXPECT_TRUE(waitFor([&] { return fact("problems").size() > before; }));
    return fact("problems").dump();
  };
  const std::filesystem::path other = saveOther(home.path(), "deeper");
  auto saved = loadProject(other);
  ASSERT_TRUE(saved);
  Project changed = *saved;
  changed.modelHash = "another";
  ASSERT_TRUE(saveProject(other, changed));
  EXPECT_THAT(problem(other), HasSubstr("hash deeper instead of another"));
  changed = *saved;
  changed.plan.groups.pop_back();
  ASSERT_TRUE(saveProject(other, changed));
  EXPECT_THAT(problem(other), HasSubstr("plan does not fit its model"));
  changed = *saved;
  changed.statistics.clear();
  ASSERT_TRUE(saveProject(other, changed));
  EXPECT_THAT(problem(other), HasSubstr("deeper.kvista is not calibrated"));
  EXPECT_EQ(record().title, "Layer 0 · keys and values");
}

/// Without a window.
class OtherModelTest : public ::testing::Test {
 protected:
  OtherModelTest() {
    engine.start({QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"), {}});
    QObject::connect(&other, &OtherModel::statisticsWanted, &other, [this](const QString& path) { wanted = path; });
    QObject::connect(&other, &OtherModel::failed, &other,
                     [](const QString&, const Error& error) { FAIL() << error.message; });
  }
  [[nodiscard]] QString at(const std::string& name) const { return QString::fromStdString((folder / name).string()); }

  test::TemporaryFolder folder;
  EngineClient engine;
  JobList jobs;
  OtherModel other{engine, jobs};
  QString wanted;
};

TEST_F(OtherModelTest, AModelsStatisticsAreThoseBesideItOrAskedFor) {
  other.open(at("deeper-1.5"));
  ASSERT_TRUE(waitFor([&] { return !wanted.isEmpty(); }));
  EXPECT_EQ(wanted, at("deeper-1.5"));
  EXPECT_EQ(other.model(), nullptr);
  other.open(at("deeper-1.5"), at("elsewhere.kvstats"));
  ASSERT_TRUE(waitFor([&] { return other.model(); }));
  EXPECT_EQ(other.model()->statistics.path, at("elsewhere.kvstats").toStdString());

  wanted.clear();
  test::writeText(folder / "deeper-1.5.kvstats", "of a calibration");
  other.open(at("deeper-1.5"));
  ASSERT_TRUE(waitFor([&] { return other.model(); }));
  EXPECT_EQ(other.model()->statistics.path, at("deeper-1.5.kvstats").toStdString());
  EXPECT_EQ(other.model()->name, "deeper-1.5");
  EXPECT_FALSE(other.model()->project);
  EXPECT_TRUE(wanted.isEmpty());
  EXPECT_FALSE(jobs.isRunning());
}

TEST_F(OtherModelTest, EachMeasureIsAskedForOnce) {
  other.open(at("deeper"), at("deeper.kvstats"));
  ASSERT_TRUE(waitFor([&] { return other.model(); }));
  EXPECT_EQ(other.similarity("cosine", 0, Side::key), nullptr);
  other.want("cosine");
  other.want("linear");  // Takes its place.
  ASSERT_TRUE(waitFor([&] { return other.similarity("linear", 4, Side::value); }));
  EXPECT_EQ(*other.similarity("linear", 4, Side::value), similarityOf("deeper", 4, Side::value));
  EXPECT_EQ(other.similarity("linear", 5, Side::value), nullptr);
  EXPECT_EQ(other.similarity("cosine", 0, Side::key), nullptr);
  other.want("cosine");
  ASSERT_TRUE(waitFor([&] { return other.similarity("cosine", 0, Side::key); }));
  other.want("linear");
  EXPECT_FALSE(jobs.isRunning()) << "it is known";
}

TEST_F(OtherModelTest, OfSeveralWishesTheNewestCounts) {
  const QString project = QString::fromStdString(saveOther(folder.path(), "deeper").string());
  other.open(project);
  other.open(at("wider"), at("wider.kvstats"));
  other.open(at("plain"), at("plain.kvstats"));
  ASSERT_TRUE(waitFor([&] { return other.model(); }));
  EXPECT_EQ(other.model()->name, "plain");
  other.open(project);
  EXPECT_EQ(other.model(), nullptr);
  other.close();
  engine.request("echo", nlohmann::json::object(), &engine, [this](const auto&) { wanted = "echo"; });
  finishDiskWork();
  ASSERT_TRUE(waitFor([&] { return wanted == "echo"; }));
  EXPECT_EQ(other.model(), nullptr) << "closed before it was read";
}

}  // namespace
}  // namespace kvista
