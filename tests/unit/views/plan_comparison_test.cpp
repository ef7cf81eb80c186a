// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <QApplication>
#include <QBuffer>
#include <QComboBox>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QSignalSpy>
#include <QSvgGenerator>
#include <QTest>
#include <QToolButton>
#include <cmath>

#include "views/colour_map.h"
#include "views/plan_comparison_view.h"
#include "views/segmented_control.h"

namespace kvista {
namespace {

using Cell = HeatTables::Cell;

/// Three layers of two heads.
PlanComparisonRecord recordOfTwo() {
  PlanComparisonRecord record;
  record.plans = {{"f1", "joint"}, {"f2", "coded"}, {"", "this plan"}};
  record.a.plan = record.plans[0];
  record.b.plan = record.plans[2];
  record.a.bytes = 2048;
  record.b.bytes = 1536;
  record.a.timesSmaller = 8;
  record.b.timesSmaller = 32.0 / 3;
  record.a.kept = 0.5;
  record.b.kept = 0.469;
  record.a.perplexity = {37.63, 37.57, true, "austen"};
  record.b.perplexity = {38.32, 37.57, true, "austen"};
  record.a.bits = {3, 4, {2, 2, 4, 4, 2, 2, 2, 2, 8, 8, 0, 0}};
  record.b.bits = {3, 4, {2, 3, 4, 4, 1, 2, 2, 2, 2, 8, 0, 0}};
  record.b.loss = {3, 2, {0.001F, 0.002F, 0.003F, 0.004F, 0.0F, 0.0005F}};
  record.layer = 1;
  return record;
}

class PlanComparisonTest : public ::testing::Test {
 protected:
  PlanComparisonTest() {
    view.resize(900, 600);
    view.setRecord(recordOfTwo());
    view.show();
    QApplication::setActiveWindow(&view);
    tables->setFocus();
  }
  QPoint place(HeatTables::Part part, Cell cell) { return tables->cellRect(part, cell).center().toPoint(); }
  QString differenceOf(int row) { return planFigures(record)[static_cast<std::size_t>(row)].difference; }
  PlanFigure::Verdict verdictOf(int row) { return planFigures(record)[static_cast<std::size_t>(row)].verdict; }

  PlanComparisonRecord record = recordOfTwo();
  PlanComparisonView view;
  HeatTables* tables = view.tables();
  QSignalSpy chosen{&view, &PlanComparisonView::plansChosen};
  QSignalSpy activated{&view, &PlanComparisonView::layerActivated};
  QSignalSpy hovered{&view, &PlanComparisonView::hovered};
};

TEST_F(PlanComparisonTest, NothingLiesOverTheFiguresWhereThereIsLittleRoom) {
  for (const int width : {700, 1100}) {
    view.resize(width, 600);
    QApplication::processEvents();
    view.resize(width, view.minimumSizeHint().height());
    QApplication::processEvents();
    for (const QObject* each : tables->parent()->children())
      if (const auto* other = qobject_cast<const QWidget*>(each); other && other != tables && other->isVisible())
        EXPECT_FALSE(other->geometry().intersects(tables->geometry())) << width << " wide";
    EXPECT_GE(tables->height(), tables->minimumSizeHint().height());
  }
}

TEST_F(PlanComparisonTest, FiguresSayBySignAndWordWhichIsBetter) {
  using Verdict = PlanFigure::Verdict;
  EXPECT_EQ(differenceOf(0), QStringLiteral("−512 B"));
  EXPECT_EQ(verdictOf(0), Verdict::better);
  EXPECT_EQ(differenceOf(1), "+2.67");
  EXPECT_EQ(verdictOf(1), Verdict::better);
  EXPECT_EQ(differenceOf(2), QStringLiteral("−3.1 points"));
  EXPECT_EQ(verdictOf(2), Verdict::none);
  EXPECT_EQ(differenceOf(3), "+0.69");
  EXPECT_EQ(verdictOf(3), Verdict::worse);
  EXPECT_EQ(differenceOf(4), "+1.84 points");  // 100 (38.32 - 37.63) / 37.57
  EXPECT_EQ(verdictOf(4), Verdict::worse);

  record.b = record.a;
  for (int row = 0; row < 5; ++row) {
    EXPECT_EQ(differenceOf(row), "same");
    EXPECT_EQ(verdictOf(row), Verdict::none);
  }
}

TEST_F(PlanComparisonTest, OnlyPerplexitiesOfOneTextAreSubtracted) {
  record.b.perplexity = {38.0, 37.57, false, "emma"};
  EXPECT_EQ(planFigures(record)[3].b, "~ 38.00");
  EXPECT_EQ(differenceOf(3), "of other texts");
  EXPECT_EQ(verdictOf(3), PlanFigure::Verdict::none);
  EXPECT_EQ(differenceOf(4), QStringLiteral("~ +0.98 points"));  // 100 (38.00 - 37.63) / 37.57
  record.b.perplexity.reset();
  EXPECT_EQ(planFigures(record)[3].b, "not known");
  EXPECT_EQ(differenceOf(3), "");
  EXPECT_EQ(differenceOf(4), "");
}

TEST_F(PlanComparisonTest, BothPlansHaveTheSameColoursAndTheDifferenceItsOwn) {
  EXPECT_EQ(tables->range(), (Range{0, 8}));
  EXPECT_EQ(tables->differenceRange(), (Range{-6, 6}));
  EXPECT_EQ(tables->value(HeatTables::difference, {2, 0}), -6);
  const QImage picture = tables->grab().toImage();
  // Off the middle: nothing else is drawn there.
  const auto colour = [&](HeatTables::Part part, Cell cell) { return picture.pixel(place(part, cell) + QPoint(0, 8)); };
  EXPECT_EQ(colour(HeatTables::a, {2, 0}), colourTable(ColourMap::viridis, false).back());
  EXPECT_EQ(colour(HeatTables::a, {2, 2}), colourTable(ColourMap::viridis, false).front());
  EXPECT_EQ(colour(HeatTables::b, {0, 0}), colour(HeatTables::a, {0, 0}));
  EXPECT_EQ(colour(HeatTables::difference, {2, 0}), colourTable(ColourMap::difference, false).front());
  EXPECT_EQ(colour(HeatTables::difference, {0, 0}), colourTable(ColourMap::difference, false)[128]);
}

TEST_F(PlanComparisonTest, ThePointerTellsBothValuesInAnyTable) {
  for (const auto part : {HeatTables::a, HeatTables::b, HeatTables::difference}) {
    QTest::mouseMove(tables, QPoint(1, 1));
    QTest::mouseMove(tables, place(part, {2, 0}));
    ASSERT_FALSE(hovered.isEmpty());
    EXPECT_EQ(hovered.back().front().toString(),
              QStringLiteral("Layer 2 · K0 · A 8.00 bits, B 2.00 bits · difference −6.00"));
  }
  QTest::mouseMove(tables, place(HeatTables::a, {0, 3}));
  EXPECT_EQ(hovered.back().front().toString(),
            QStringLiteral("Layer 0 · V1 · A 4.00 bits, B 4.00 bits · difference 0.00"));
  QTest::mouseMove(tables, QPoint(1, 1));
  EXPECT_EQ(hovered.back().front().toString(), "");
}

TEST_F(PlanComparisonTest, AClickChoosesTheLayer) {
  QTest::mouseClick(tables, Qt::LeftButton, {}, place(HeatTables::difference, {2, 3}));
  ASSERT_EQ(activated.size(), 1);
  EXPECT_EQ(activated.front().front().toInt(), 2);
  QTest::mouseClick(tables, Qt::LeftButton, {}, QPoint(1, 1));
  EXPECT_EQ(activated.size(), 1);
}

TEST_F(PlanComparisonTest, ArrowsMoveTheCursorFromTheChosenLayer) {
  QTest::keyClick(tables, Qt::Key_Return);
  EXPECT_TRUE(activated.isEmpty()) << "nothing is pointed at yet";
  QTest::keyClick(tables, Qt::Key_Right);
  EXPECT_EQ(tables->pointed(), (Cell{1, 0}));
  QTest::keyClick(tables, Qt::Key_Right);
  QTest::keyClick(tables, Qt::Key_Down);
  EXPECT_EQ(tables->pointed(), (Cell{2, 1}));
  EXPECT_TRUE(hovered.back().front().toString().startsWith(QStringLiteral("Layer 2 · K1")));
  EXPECT_EQ(tables->accessibleDescription(), hovered.back().front().toString());
  QTest::keyClick(tables, Qt::Key_Down);
  QTest::keyClick(tables, Qt::Key_End);
  EXPECT_EQ(tables->pointed(), (Cell{2, 3}));
  QTest::keyClick(tables, Qt::Key_Home, Qt::ControlModifier);
  EXPECT_EQ(tables->pointed(), (Cell{0, 0}));
  QTest::keyClick(tables, Qt::Key_Return);
  ASSERT_EQ(activated.size(), 1);
  EXPECT_EQ(activated.front().front().toInt(), 0);
}

TEST_F(PlanComparisonTest, ChoosersAndSwapSayWhichPair) {
  const auto boxes = view.findChildren<QComboBox*>();
  ASSERT_EQ(boxes.size(), 2);
  EXPECT_EQ(boxes[0]->currentText(), "joint");
  EXPECT_EQ(boxes[1]->currentText(), "this plan");
  QTest::keyClick(boxes[0], Qt::Key_Down);
  ASSERT_EQ(chosen.size(), 1);
  EXPECT_EQ(chosen[0], (QVariantList{"f2", ""}));
  view.setRecord(recordOfTwo());
  EXPECT_EQ(boxes[0]->currentText(), "joint") << "what is shown, not what was asked for";
  QTest::mouseClick(view.findChild<QPushButton*>(), Qt::LeftButton);
  ASSERT_EQ(chosen.size(), 2);
  EXPECT_EQ(chosen[1].front().toString(), "");
  record.a.plan = record.plans[1];
  view.setRecord(record);
  EXPECT_EQ(boxes[0]->currentText(), "coded");
}

TEST_F(PlanComparisonTest, LossesOfOnePlanOnlyAreShownAsSuch) {
  view.controls()->setParent(&view);
  QTest::mouseClick(view.findChild<SegmentedControl*>()->segment("loss"), Qt::LeftButton);
  EXPECT_EQ(tables->columns(), 2);
  EXPECT_TRUE(std::isnan(tables->value(HeatTables::difference, {0, 0})));
  EXPECT_EQ(view.describe({1, 0}),
            QStringLiteral("Layer 1 · keys · A not known, B ~ 0.003 nats · difference not known"));
  record.a.loss = {3, 2, {0.002F, 0.002F, 0.003F, 0.001F, 0.0F, 0.0F}};
  view.setRecord(record);
  EXPECT_FLOAT_EQ(tables->value(HeatTables::difference, {1, 1}), 3);  // Thousandths.
  EXPECT_EQ(view.describe({1, 1}),
            QStringLiteral("Layer 1 · values · A ~ 0.001 nats, B ~ 0.004 nats · difference +0.003"));
  record.a.loss = record.b.loss = {};
  view.setRecord(record);
  EXPECT_FALSE(tables->isVisible());
  view.grab();
}

TEST_F(PlanComparisonTest, WithoutASecondPlanItSaysHowOneComes) {
  const auto words = [&] {
    for (const QLabel* label : view.findChildren<QLabel*>())
      if (label->isVisible() && label->text().contains("Ctrl+D")) return true;
    return false;
  };
  EXPECT_FALSE(words());
  view.setRecord({});
  EXPECT_TRUE(words());
  EXPECT_FALSE(tables->isVisible());
  record.b.bits = {2, 4, std::vector<float>(8, 1)};  // Of another model.
  view.setRecord(record);
  EXPECT_TRUE(words());
  view.setRecord(recordOfTwo());
  EXPECT_FALSE(words());
  EXPECT_TRUE(tables->isVisible());
}

TEST_F(PlanComparisonTest, OnPaperStandsAllThatIsOnTheScreen) {
  QBuffer buffer;
  QSvgGenerator svg;
  svg.setOutputDevice(&buffer);
  svg.setSize({900, 600});
  {
    QPainter painter(&svg);
    view.paintFigure(painter, QRectF(0, 0, 900, 600));
  }
  for (const char* text : {"A: joint", "Cache per token", "better", "worse", "Difference", "bits a number"})
    EXPECT_TRUE(buffer.data().contains(text)) << text;
}

}  // namespace
}  // namespace kvista
