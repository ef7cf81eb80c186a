// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/comparison_presenter.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QPushButton>
#include <QTest>
#include <cmath>

#include "core/plan/plan_groups.h"
#include "tests/unit/studio/made_up_model.h"
#include "views/comparison_view.h"
#include "views/plan_comparison_view.h"

namespace kvista {
namespace {

/// Three layers of four heads; no engine.
class ComparisonPresenterTest : public ::testing::Test {
 protected:
  ComparisonPresenterTest() {
    document.startFrom(test::madeUpModel());
    if (!document.setStatistics(test::madeUpStatistics())) throw std::runtime_error("statistics");
    for (QWidget* view : std::initializer_list<QWidget*>{&plans, &matrices}) {
      view->resize(1200, 500);
      view->show();
    }
  }
  [[nodiscard]] const PlanComparisonRecord& record() const { return plans.record(); }
  /// All groups of the plan at this width.
  void edit(std::uint8_t width) {
    CompressionPlan plan = document.plan();
    for (Group& group : plan.groups) group.widths.assign(group.widths.size(), width);
    ASSERT_TRUE(document.edit(plan));
  }
  void addSimilarity(const std::string& measure, int layer, Side side, float value) {
    SimilarityRecord similarity{layer, side, {4, 4, std::vector<float>(16, value)}};
    document.addSimilarity(measure, similarity);
  }

  Document document;
  EngineClient engine;
  JobList jobs;
  Workflow workflow{document, engine, jobs};
  OtherModel other{engine, jobs};
  PlanComparisonView plans;
  ComparisonView matrices;
  ComparisonPresenter presenter{document, workflow, other, plans, matrices};
};

TEST_F(ComparisonPresenterTest, TheFirstPlanKeptIsComparedWithThePlanUnderEdit) {
  EXPECT_FALSE(record().canBeDrawn());
  edit(8);
  document.keepPlan("eight");
  EXPECT_TRUE(record().canBeDrawn());
  EXPECT_EQ(record().a.plan.name, "eight");
  EXPECT_EQ(record().b.plan.id, "");
  EXPECT_EQ(record().a.bytes, record().b.bytes);
  edit(4);
  EXPECT_EQ(record().a.bits.values, std::vector<float>(24, 8.0F));
  EXPECT_EQ(record().b.bits.values, std::vector<float>(24, 4.0F));
  EXPECT_DOUBLE_EQ(record().a.timesSmaller, 2);
  EXPECT_DOUBLE_EQ(record().b.timesSmaller, 4);
  document.keepPlan("four");
  EXPECT_EQ(record().a.plan.name, "eight");
  EXPECT_EQ(record().plans.size(), 3U);
}

TEST_F(ComparisonPresenterTest, AChoiceHoldsUntilThePlanIsGone) {
  edit(8);
  document.keepPlan("eight");
  edit(4);
  document.keepPlan("four");
  edit(2);
  QTest::mouseClick(plans.findChild<QPushButton*>(), Qt::LeftButton);
  EXPECT_EQ(record().a.plan.id, "");
  EXPECT_EQ(record().b.plan.name, "eight");
  QTest::keyClick(plans.findChildren<QComboBox*>()[1], Qt::Key_Down);
  EXPECT_EQ(record().b.plan.name, "four");
  edit(1);
  EXPECT_EQ(record().a.bits.at(0, 0), 1);
  EXPECT_EQ(record().b.plan.name, "four");
  document.dropPlan(1);
  EXPECT_EQ(record().b.plan.id, "") << "the usual one again";
}

TEST_F(ComparisonPresenterTest, MeasuredPerplexitiesTakeThePlaceOfPredictedOnes) {
  document.addSpectra(document.plan(), test::madeUpSpectra(document.plan()));
  edit(8);
  document.keepPlan("eight");
  edit(4);
  ASSERT_TRUE(record().a.perplexity && record().b.perplexity);
  EXPECT_FALSE(record().b.perplexity->measured);
  EXPECT_DOUBLE_EQ(record().b.perplexity->original, std::exp(3.0));
  EXPECT_DOUBLE_EQ(record().b.perplexity->value, std::exp(3.0 + *document.planned().loss()));
  EXPECT_LT(record().a.perplexity->value, record().b.perplexity->value);
  document.addResult({.text = "emma",
                      .tokensHash = "cc",
                      .planFingerprint = document.triedFingerprints()[0],
                      .predictions = 100,
                      .perplexityBefore = 20,
                      .perplexityAfter = 21,
                      .seconds = 1});
  EXPECT_EQ(record().a.perplexity, (ComparedPerplexity{21, 20, true, "cc"}));
  EXPECT_FALSE(record().b.perplexity->measured);
}

TEST_F(ComparisonPresenterTest, LossesByLayerAddUpToThePredictionOfEitherPlan) {
  document.addSpectra(document.plan(), test::madeUpSpectra(document.plan()));
  edit(2);
  const double lossOfA = *document.planned().predictedLoss;
  document.keepPlan("two");
  edit(1);
  const auto sum = [](const Matrix& losses) {
    double all = 0;
    for (const float loss : losses.values) all += loss;
    return all;
  };
  EXPECT_NEAR(sum(record().a.loss), lossOfA, 1e-6 * lossOfA);
  EXPECT_NEAR(sum(record().b.loss), *document.planned().predictedLoss, 1e-6 * *document.planned().predictedLoss);
  EXPECT_LT(record().a.loss.at(1, 0), record().b.loss.at(1, 0));

  // Groups of their own have spectra of their own: of the plan kept nothing is known where they differ.
  CompressionPlan joined = document.plan();
  const ModelShape& shape = document.model().shape;
  std::erase_if(joined.groups, [](const Group& group) { return group.slots.front().layer == 1; });
  for (Group& group : groupsOf(shape, 1, {{0, 1, 2, 3}}, {{0, 1, 2, 3}})) joined.groups.push_back(group);
  ASSERT_TRUE(document.edit(joined));
  document.addSpectra(document.plan(), test::madeUpSpectra(document.plan()));
  EXPECT_TRUE(std::isnan(record().a.loss.at(1, 0)));
  EXPECT_FALSE(std::isnan(record().a.loss.at(0, 0)));
  EXPECT_FALSE(std::isnan(record().b.loss.at(1, 0)));
}

TEST_F(ComparisonPresenterTest, WhatIsOutOfSightIsShownWhenItComesBack) {
  edit(8);
  document.keepPlan("eight");
  plans.hide();
  edit(4);
  EXPECT_EQ(record().b.bits.at(0, 0), 8);
  plans.show();
  EXPECT_EQ(record().b.bits.at(0, 0), 4);
}

TEST_F(ComparisonPresenterTest, ALayerThatIsClickedIsSelected) {
  edit(8);
  document.keepPlan("eight");
  const QPoint place = plans.tables()->cellRect(HeatTables::b, {2, 1}).center().toPoint();
  QTest::mouseClick(plans.tables(), Qt::LeftButton, {}, place);
  EXPECT_EQ(document.selection().layer, 2);
  EXPECT_EQ(record().layer, 2);
}

TEST_F(ComparisonPresenterTest, MatricesAreComparedWithWhatIsKnown) {
  EXPECT_FALSE(matrices.record().left.canBeDrawn());
  for (int layer = 0; layer < 3; ++layer) {
    addSimilarity(workflow.measureShown(), layer, Side::key, 0.5F + 0.1F * static_cast<float>(layer));
    addSimilarity(workflow.measureShown(), layer, Side::value, 0.25F);
  }
  document.setSelection({1, Side::key, {}});
  matrices.controls()->setParent(&matrices);
  auto* chooser = matrices.findChild<QComboBox*>();
  ASSERT_NE(chooser, nullptr);
  EXPECT_EQ(chooser->currentText(), "keys with values");
  EXPECT_FLOAT_EQ(matrices.record().left.matrix.at(0, 1), 0.6F);
  EXPECT_FLOAT_EQ(matrices.record().right.matrix.at(0, 1), 0.25F);
  ASSERT_EQ(chooser->count(), 3);  // The other two layers; no other measure was asked for.

  QTest::keyClick(chooser, Qt::Key_End);
  EXPECT_EQ(chooser->currentText(), "with layer 2");
  EXPECT_EQ(matrices.record().title, QStringLiteral("Layers 1 and 2 · keys"));
  EXPECT_FLOAT_EQ(matrices.record().right.matrix.at(0, 1), 0.7F);
  // The layer that it was compared with is the selected one now.
  document.setSelection({2, Side::key, {}});
  EXPECT_EQ(chooser->currentText(), "keys with values");

  Catalogue catalogue;
  catalogue.measures = {{"cosine", {}, {}, {}, {}}, {workflow.measureShown(), {}, {}, {}, {}}};
  document.setCatalogue(catalogue);
  addSimilarity("cosine", 2, Side::key, 0.125F);
  ASSERT_EQ(chooser->count(), 4);
  QTest::keyClick(chooser, Qt::Key_End);
  EXPECT_EQ(chooser->currentText(), "with cosine");
  EXPECT_FLOAT_EQ(matrices.record().right.matrix.at(0, 1), 0.125F);
}

TEST_F(ComparisonPresenterTest, HeadsThatAreSelectedInAMatrixAreSelectedEverywhere) {
  addSimilarity(workflow.measureShown(), 0, Side::key, 0.5F);
  addSimilarity(workflow.measureShown(), 0, Side::value, 0.25F);
  matrices.setOrder(HeatmapOrder::index);
  QTest::mouseClick(matrices.canvas(ComparisonView::right), Qt::LeftButton, {},
                    matrices.canvas(ComparisonView::right)->cellRect({1, 3}).center().toPoint());
  EXPECT_EQ(document.selection().slots, (std::vector<Slot>{{0, Side::key, 1}, {0, Side::key, 3}}));
  document.setSelection({0, Side::key, {{0, Side::key, 2}}});
  EXPECT_EQ(matrices.canvas(ComparisonView::left)->selection().heads(), std::vector<int>{2});
}

}  // namespace
}  // namespace kvista
