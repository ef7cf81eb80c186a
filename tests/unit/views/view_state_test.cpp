// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What a person has set up in a view comes back in another one, and what cannot be used is as usual.
#include "views/view_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QComboBox>
#include <QHeaderView>
#include <QJsonDocument>
#include <QMenu>
#include <QSignalSpy>
#include <QSplitter>
#include <QTableView>
#include <QTest>
#include <QToolButton>

#include "tests/unit/views/heatmap_cases.h"
#include "views/budget_model.h"
#include "views/budget_view.h"
#include "views/comparison_view.h"
#include "views/heatmap_view.h"
#include "views/plan_comparison_view.h"
#include "views/quality_cost_view.h"
#include "views/segmented_control.h"
#include "views/spectra_view.h"
#include "views/try_view.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

using ::testing::ElementsAre;

void choose(View& view, const char* segment) {
  QWidget* controls = view.controls();
  controls->setParent(&view);
  auto* control = qobject_cast<SegmentedControl*>(controls);
  if (!control) control = controls->findChild<SegmentedControl*>();
  ASSERT_NE(control, nullptr);
  QTest::mouseClick(control->segment(QLatin1String(segment)), Qt::LeftButton);
}

/// A heatmap of four heads, as large as a panel.
struct Heatmap {
  explicit Heatmap(bool withRecord = true) {
    view.resize(720, 400);
    view.show();
    if (withRecord) view.setRecord(test::fourHeads());
  }
  HeatmapView view;
};

TEST(ViewState, NothingIsKeptOfWhatIsAsUsual) {
  EXPECT_TRUE(Heatmap().view.viewState().isEmpty());
  EXPECT_TRUE(ComparisonView().viewState().isEmpty());
  EXPECT_TRUE(BudgetView().viewState().isEmpty());
  EXPECT_TRUE(WaterlineView().viewState().isEmpty());
  EXPECT_TRUE(SpectraView().viewState().isEmpty());
  EXPECT_TRUE(QualityCostView().viewState().isEmpty());
  EXPECT_TRUE(PlanComparisonView().viewState().isEmpty());
  EXPECT_TRUE(TryView().viewState().isEmpty());
}

TEST(ViewState, AHeatmapComesBackBeforeItsMatrixIsKnown) {
  Heatmap first;
  QSignalSpy said(&first.view, &View::viewStateChanged);
  choose(first.view, "mean");
  EXPECT_EQ(said.size(), 1);
  Q_EMIT first.view.rangeBar()->coloursChosen(ColourMap::cividis, true);
  Q_EMIT first.view.rangeBar()->rangeEdited({0.25, 0.75});
  QTest::keyClick(first.view.canvas(), Qt::Key_Plus);
  QTest::keyClick(first.view.canvas(), Qt::Key_Plus);
  const QRectF zoomed = first.view.canvas()->visibleCells();
  ASSERT_LT(zoomed.width(), 4);
  EXPECT_GE(said.size(), 4);

  Heatmap second(false);
  EXPECT_TRUE(second.view.setViewState(first.view.viewState()));
  second.view.setRecord(test::fourHeads());
  EXPECT_EQ(second.view.order(), HeatmapOrder::mean);
  EXPECT_EQ(second.view.canvas()->arrangement().headAt, first.view.canvas()->arrangement().headAt);
  EXPECT_EQ(second.view.range(), (Range{0.25, 0.75}));
  EXPECT_EQ(second.view.scale().map(), ColourMap::cividis);
  EXPECT_TRUE(second.view.scale().record().inverted);
  EXPECT_EQ(second.view.canvas()->visibleCells(), zoomed);
  EXPECT_EQ(second.view.viewState(), first.view.viewState());
  // A project without a state shows everything as usual.
  EXPECT_TRUE(second.view.setViewState({}));
  EXPECT_TRUE(second.view.viewState().isEmpty());
  EXPECT_EQ(second.view.canvas()->visibleCells(), QRectF(0, 0, 4, 4));
}

TEST(ViewState, AnOrderOfOnesOwnIsMadeAndComesBack) {
  Heatmap heatmap;
  HeatmapView& view = heatmap.view;
  choose(view, "index");
  HeatmapCanvas* canvas = view.canvas();
  QTest::mouseClick(canvas, Qt::LeftButton, {}, canvas->cellRect({2, 3}).center().toPoint());
  const std::unique_ptr<QMenu> menu(view.makeMenu());
  for (QAction* action : menu->actions())
    if (action->text() == "Order as selected") action->trigger();
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(2, 3, 0, 1));
  QTest::keyClick(canvas, Qt::Key_Right, Qt::AltModifier);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(0, 2, 3, 1)) << "both selected heads go on";
  QTest::keyClick(canvas, Qt::Key_Right, Qt::AltModifier);
  QTest::keyClick(canvas, Qt::Key_Right, Qt::AltModifier);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(0, 1, 2, 3)) << "and stop at the end";
  QTest::keyClick(canvas, Qt::Key_Left, Qt::AltModifier);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(0, 2, 3, 1));
  EXPECT_THAT(view.selection(), ElementsAre(2, 3)) << "the selection survives";

  choose(view, "index");
  choose(view, "custom");
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(0, 2, 3, 1)) << "it is still there";
  Heatmap other;
  EXPECT_TRUE(other.view.setViewState(view.viewState()));
  EXPECT_THAT(other.view.canvas()->arrangement().headAt, ElementsAre(0, 2, 3, 1));
}

TEST(ViewState, AHeatmapThatCannotBeSetUpIsAsUsualAndSaysSo) {
  for (const char* text :
       {R"({"order": 7})", R"({"order": "by name"})", R"({"custom": "all"})", R"({"custom": [1, "two"]})",
        R"({"range": [2, 1]})", R"({"range": [0, 1, 2]})", R"({"range": {}})", R"({"percentile": [90]})",
        R"({"colours": "rainbow"})", R"({"inverted": "yes"})", R"({"shared": 1})", R"({"zoom": [0, 0, 0, 4]})",
        R"({"zoom": [0, 0, 2, 3.5]})", R"({"zoom": 2})"}) {
    Heatmap heatmap;
    EXPECT_FALSE(heatmap.view.setViewState(QJsonDocument::fromJson(text).object())) << text;
    EXPECT_TRUE(heatmap.view.viewState().isEmpty()) << text;
  }
  // A zoom of another model: nothing is wrong with it, but it is of no use here.
  Heatmap heatmap;
  EXPECT_TRUE(heatmap.view.setViewState(QJsonDocument::fromJson(R"({"zoom": [10, 10, 20, 64]})").object()));
  EXPECT_EQ(heatmap.view.canvas()->visibleCells(), QRectF(0, 0, 4, 4));
}

TEST(ViewState, AComparisonComesBack) {
  const ComparisonRecord record{test::fourHeads(), test::fourHeads(), "Layer 3 · keys"};
  ComparisonView first, second;
  for (ComparisonView* view : {&first, &second}) {
    view->resize(1000, 400);
    view->show();
  }
  first.setRecord(record);
  choose(first, "cluster");
  QTest::keyClick(first.canvas(ComparisonView::left), Qt::Key_Plus);
  EXPECT_TRUE(second.setViewState(first.viewState()));
  second.setRecord(record);
  EXPECT_EQ(second.order(), HeatmapOrder::cluster);
  for (const auto part : {ComparisonView::left, ComparisonView::right, ComparisonView::difference})
    EXPECT_EQ(second.canvas(part)->visibleCells(), first.canvas(ComparisonView::left)->visibleCells()) << part;
  EXPECT_FALSE(second.setViewState({{"difference", 1}}));
  EXPECT_EQ(second.order(), HeatmapOrder::group);
}

TEST(ViewState, TheBudgetsColumnsComeBack) {
  BudgetView first, second;
  BudgetRecord record;
  for (int group = 0; group < 3; ++group)
    record.rows.push_back(
        {.group = group, .slots = {{group, Side::key, 0}}, .directions = 8, .rank = 8 - group, .bytes = 8});
  for (BudgetView* view : {&first, &second}) {
    view->resize(1000, 300);
    view->setRecord(record);
    view->show();
  }
  QSignalSpy said(&first, &View::viewStateChanged);
  first.table()->sortByColumn(BudgetModel::rank, Qt::AscendingOrder);
  first.table()->setColumnWidth(BudgetModel::bits, 222);
  EXPECT_GE(said.size(), 2);
  EXPECT_TRUE(second.setViewState(first.viewState()));
  EXPECT_EQ(second.table()->model()->index(0, BudgetModel::rank).data().toString(), "6");
  EXPECT_EQ(second.table()->columnWidth(BudgetModel::bits), 222);
  EXPECT_FALSE(second.setViewState({{"sort", QJsonArray{99, 1}}}));
  EXPECT_EQ(second.table()->model()->index(0, BudgetModel::rank).data().toString(), "8");
  EXPECT_TRUE(second.viewState().isEmpty());
}

/// Views with one choice: it comes back, is as usual without a state, and a wrong one is refused.
template <class ViewType>
void expectChoiceComesBack(const char* segment, const char* name) {
  ViewType first, second;
  QSignalSpy said(&first, &View::viewStateChanged);
  choose(first, segment);
  EXPECT_EQ(said.size(), 1) << segment;
  ASSERT_FALSE(first.viewState().isEmpty()) << segment;
  EXPECT_TRUE(second.setViewState(first.viewState()));
  EXPECT_EQ(second.viewState(), first.viewState());
  EXPECT_EQ(second.title(), first.title());
  EXPECT_EQ(second.remark(), first.remark());
  EXPECT_FALSE(second.setViewState({{QLatin1String(name), "nonsense"}})) << segment;
  EXPECT_TRUE(second.viewState().isEmpty()) << segment;
}

TEST(ViewState, ChoicesComeBack) {
  expectChoiceComesBack<WaterlineView>("sorted", "arrangement");
  expectChoiceComesBack<SpectraView>("tails", "shown");
  expectChoiceComesBack<QualityCostView>("time", "axis");
  expectChoiceComesBack<PlanComparisonView>("loss", "shown");
}

TEST(ViewState, SplittersComeBack) {
  for (const char* name : {"split", "prompt", "texts"}) {
    TryView first, second;
    for (TryView* view : {&first, &second}) {
      view->resize(1200, 800);
      view->show();
    }
    auto* splitter = first.findChild<QSplitter*>(QLatin1String(name));
    ASSERT_TRUE(splitter) << name;
    const QPoint by = splitter->orientation() == Qt::Vertical ? QPoint(0, 60) : QPoint(60, 0);
    const QPoint handle = splitter->handle(1)->rect().center();
    QTest::mousePress(splitter->handle(1), Qt::LeftButton, {}, handle);
    QTest::mouseMove(splitter->handle(1), handle + by);
    QTest::mouseRelease(splitter->handle(1), Qt::LeftButton, {}, handle + by);
    EXPECT_EQ(first.viewState().keys(), QStringList{QLatin1String(name)}) << "what was not dragged is not kept";
    EXPECT_TRUE(second.setViewState(first.viewState()));
    EXPECT_EQ(second.findChild<QSplitter*>(QLatin1String(name))->sizes(), splitter->sizes()) << name;
    EXPECT_FALSE(second.setViewState({{QLatin1String(name), QJsonArray{-1, 5}}}));
    EXPECT_TRUE(second.viewState().isEmpty());
  }
}

/// A large window has more room for the prompt, too.
TEST(ViewState, APromptThatWasNotDraggedIsAsWideAsTheWindowAllows) {
  TryView view;
  view.show();
  const auto share = [&](int width) {
    view.resize(width, 800);
    QTest::qWait(0);
    const QList<int> sizes = view.findChild<QSplitter*>(QStringLiteral("prompt"))->sizes();
    return sizes[0] / static_cast<double>(sizes[0] + sizes[1]);
  };
  EXPECT_NEAR(share(1200), 0.24, 0.02);
  EXPECT_NEAR(share(2400), 0.24, 0.02);
}

}  // namespace
}  // namespace kvista
