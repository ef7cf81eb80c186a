// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QGuiApplication>
#include <QHelpEvent>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>
#include <QToolTip>
#include <QWheelEvent>
#include <limits>
#include <set>

#include "heatmap_cases.h"
#include "views/heatmap_view.h"
#include "views/segmented_control.h"

namespace kvista {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HeatmapTest : public ::testing::Test {
 protected:
  HeatmapTest() {
    view.resize(800, 440);
    view.setOrder(HeatmapOrder::index);
    view.setRecord(test::fourHeads());
    view.show();
  }
  void press(Qt::Key key, Qt::KeyboardModifiers modifiers = Qt::NoModifier) { QTest::keyClick(canvas, key, modifiers); }
  [[nodiscard]] QPoint middleOf(int row, int column) const {
    return canvas->cellRect({row, column}).center().toPoint();
  }
  void drag(QPoint from, QPoint to) {
    QTest::mousePress(canvas, Qt::LeftButton, {}, from);
    QTest::mouseMove(canvas, (from + to) / 2);
    QTest::mouseMove(canvas, to);
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, to);
  }
  [[nodiscard]] QColor colourAt(int row, int column) {
    const QImage picture = canvas->grab().toImage();
    const QRectF cell = canvas->cellRect({row, column});
    return picture.pixelColor((cell.topLeft() + QPointF(6, 6)).toPoint());
  }

  HeatmapView view;
  HeatmapCanvas* canvas = view.canvas();
  QSignalSpy selected{&view, &HeatmapView::selectionChanged};
  QSignalSpy hovered{&view, &HeatmapView::cellHovered};
};

TEST_F(HeatmapTest, TheRangeLeavesTheDiagonalOut) {
  EXPECT_NEAR(view.range().low, 0.11, 0.06);
  EXPECT_NEAR(view.range().high, 0.9, 0.06);
  EXPECT_LE(view.range().low, 0.11F);
  EXPECT_GE(view.range().high, 0.9F);
}

TEST_F(HeatmapTest, ASharedRangeHoldsUntilItIsTakenBack) {
  const Range fitted = view.range();
  view.setSharedRange(Range{-1, 2});
  HeatmapRecord other = test::fourHeads();
  other.layer = 4;
  view.setRecord(other);
  EXPECT_EQ(view.range(), (Range{-1, 2}));
  view.setSharedRange(std::nullopt);
  EXPECT_EQ(view.range(), fitted);
}

TEST_F(HeatmapTest, EqualValuesHaveEqualColoursAndDifferentOnesDifferent) {
  EXPECT_EQ(colourAt(0, 2), colourAt(2, 0));
  EXPECT_NE(colourAt(0, 2), colourAt(0, 1));
  EXPECT_GT(colourAt(0, 2).lightness(), colourAt(0, 1).lightness());
  view.setColours(ColourMap::viridis, true);
  EXPECT_LT(colourAt(0, 2).lightness(), colourAt(0, 1).lightness());
}

TEST_F(HeatmapTest, UnknownCellsAreCountedAndHatched) {
  HeatmapRecord record = test::fourHeads();
  record.matrix.values[1] = record.matrix.values[4] = record.matrix.values[6] = std::numeric_limits<float>::quiet_NaN();
  view.setRecord(record);
  EXPECT_EQ(view.rangeBar()->record().unknown, 3);
  const QImage cell = canvas->grab().toImage().copy(canvas->cellRect({0, 1}).toAlignedRect().adjusted(4, 4, -4, -4));
  std::set<QRgb> colours;
  for (int y = 0; y < cell.height(); ++y)
    for (int x = 0; x < cell.width(); ++x) colours.insert(cell.pixel(x, y));
  EXPECT_EQ(colours.size(), 2U) << "lines on the panel's ground";
  EXPECT_THAT(canvas->describe({0, 1}).toStdString(), ::testing::HasSubstr("not known"));
}

TEST_F(HeatmapTest, AClickSelectsAPairAndSaysSo) {
  QTest::mouseClick(canvas, Qt::LeftButton, {}, middleOf(1, 2));
  EXPECT_THAT(view.selection(), ElementsAre(1, 2));
  ASSERT_EQ(selected.size(), 1);
  EXPECT_EQ(view.facts()->facts().front().what, "K1 and K2");
  EXPECT_EQ(view.facts()->facts().front().value, "0.1300");
  EXPECT_EQ(view.facts()->facts().at(1).what, "mean of groups 1 and 2");
  QTest::mouseClick(canvas, Qt::LeftButton, {}, middleOf(0, 2));
  EXPECT_EQ(view.facts()->facts().at(1), (Fact{"mean in group 2", "0.9000"}));
}

TEST_F(HeatmapTest, ADragSelectsABlockAndItsLinksCarryTheHeads) {
  drag(middleOf(0, 1), middleOf(1, 3));
  EXPECT_THAT(canvas->selection().rows, ElementsAre(0, 1));
  EXPECT_THAT(canvas->selection().columns, ElementsAre(1, 2, 3));
  EXPECT_THAT(view.selection(), ElementsAre(0, 1, 2, 3));
  QSignalSpy group(&view, &HeatmapView::makeGroupRequested), spectra(&view, &HeatmapView::showSpectraRequested);
  QTest::mouseClick(view.facts()->groupLink(), Qt::LeftButton);
  QTest::mouseClick(view.facts()->spectraLink(), Qt::LeftButton);
  ASSERT_EQ(group.size(), 1);
  ASSERT_EQ(spectra.size(), 1);
  EXPECT_THAT(group.front().front().value<std::vector<int>>(), ElementsAre(0, 1, 2, 3));
}

TEST_F(HeatmapTest, SelectionSurvivesEveryOrder) {
  drag(middleOf(0, 0), middleOf(1, 1));
  const HeadBlock block = canvas->selection();
  const auto said = selected.size();
  for (const HeatmapOrder order :
       {HeatmapOrder::cluster, HeatmapOrder::group, HeatmapOrder::mean, HeatmapOrder::custom}) {
    view.setOrder(order);
    EXPECT_EQ(canvas->selection(), block);
  }
  EXPECT_EQ(selected.size(), said);
  HeatmapRecord fewer = test::fourHeads();
  fewer.matrix = {2, 2, {1, 0.5F, 0.5F, 1}};
  view.setRecord(fewer);
  EXPECT_THAT(view.selection(), IsEmpty());
}

TEST_F(HeatmapTest, OrdersByGroupClusterMeanAndHand) {
  auto* orders = view.controls()->findChild<SegmentedControl*>();
  QSignalSpy ordered(&view, &View::viewStateChanged);
  QTest::mouseClick(orders->segment("group"), Qt::LeftButton);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(1, 3, 0, 2));
  EXPECT_THAT(canvas->arrangement().runs, ElementsAre(Arrangement::Run{0, 0, 2}, Arrangement::Run{1, 2, 2}));
  QTest::mouseClick(orders->segment("cluster"), Qt::LeftButton);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(0, 2, 1, 3));
  EXPECT_EQ(canvas->arrangement().tree.merges.size(), 3U);
  QTest::mouseClick(orders->segment("mean"), Qt::LeftButton);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(2, 0, 3, 1));  // 0.393, 0.38, 0.367, 0.347
  EXPECT_EQ(ordered.size(), 3);
  view.setCustomOrder({3, 3, 9, 0});
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(3, 0, 1, 2));
  EXPECT_EQ(orders->current(), "custom");
}

TEST_F(HeatmapTest, WithoutGroupsThereIsNoOrderByGroup) {
  auto* orders = view.controls()->findChild<SegmentedControl*>();
  HeatmapRecord record = test::fourHeads();
  record.groups.clear();
  view.setOrder(HeatmapOrder::group);
  view.setRecord(record);
  EXPECT_FALSE(orders->segment("group")->isEnabled());
  EXPECT_EQ(orders->current(), "index");
}

TEST_F(HeatmapTest, AMeasureIsChosenByTheTitleAndExplainsItself) {
  auto* box = view.controls()->findChild<QComboBox*>("similarityMeasure");
  ASSERT_NE(box, nullptr);
  EXPECT_TRUE(box->isHidden()) << "there is nothing to choose from";
  EXPECT_EQ(view.remark(), "linear CKA");
  view.setMeasures({{"cosine", "Formula: a b"}, {"linear CKA", "Formula: a² b²"}, {"centred CKA", "Formula: a c"}});
  EXPECT_FALSE(box->isHidden());
  EXPECT_EQ(view.remark(), "") << "it is not said twice";
  EXPECT_EQ(box->currentText(), "linear CKA");
  EXPECT_EQ(box->toolTip(), "Formula: a² b²");
  EXPECT_EQ(box->itemData(0, Qt::ToolTipRole).toString(), "Formula: a b");
  EXPECT_FALSE(box->accessibleName().isEmpty());
  EXPECT_TRUE(box->focusPolicy() & Qt::TabFocus);
  QSignalSpy chosen(&view, &HeatmapView::measureChosen);
  QTest::keyClick(box, Qt::Key_Down);
  ASSERT_EQ(chosen.size(), 1);
  EXPECT_EQ(chosen.front().front().toString(), "centred CKA");
  EXPECT_EQ(box->currentText(), "linear CKA") << "that is what is shown";
  HeatmapRecord record = test::fourHeads();
  record.measure = "centred CKA";
  view.setRecord(record);
  EXPECT_EQ(box->currentText(), "centred CKA");
  EXPECT_EQ(box->toolTip(), "Formula: a c");
  EXPECT_EQ(chosen.size(), 1) << "a record is nobody's choice";
}

TEST_F(HeatmapTest, HoverSaysBothHeadsValueLayerAndGroups) {
  QTest::mouseMove(canvas, middleOf(2, 1));
  ASSERT_FALSE(hovered.empty());
  EXPECT_EQ(hovered.back().front().toString(), "Layer 3 · K2 and K1 · linear CKA 0.1300 · groups 2 and 1");
}

TEST_F(HeatmapTest, TheKeyboardReachesAndDescribesEveryCell) {
  press(Qt::Key_Right);
  EXPECT_EQ(canvas->cursor(), (HeadPair{0, 0})) << "the first key shows where one is";
  press(Qt::Key_Right);
  press(Qt::Key_Down);
  EXPECT_EQ(canvas->cursor(), (HeadPair{1, 1}));
  EXPECT_EQ(hovered.back().front().toString(), "Layer 3 · K1 · linear CKA 5.0000 · group 1");
  press(Qt::Key_End);
  EXPECT_EQ(canvas->cursor(), (HeadPair{1, 3}));
  press(Qt::Key_Home, Qt::ControlModifier);
  EXPECT_EQ(canvas->cursor(), (HeadPair{0, 0}));
  press(Qt::Key_Up);
  EXPECT_EQ(canvas->cursor(), (HeadPair{0, 0}));
  EXPECT_TRUE(selected.empty());
  press(Qt::Key_Space);
  EXPECT_THAT(view.selection(), ElementsAre(0));
  press(Qt::Key_Right, Qt::ShiftModifier);
  press(Qt::Key_Down, Qt::ShiftModifier);
  EXPECT_THAT(view.selection(), ElementsAre(0, 1));
  EXPECT_EQ(canvas->selection().columns.size(), 2U);
  press(Qt::Key_Escape);
  EXPECT_THAT(view.selection(), IsEmpty());
}

TEST_F(HeatmapTest, CopiesTheBlockInTheOrderShown) {
  QSignalSpy copied(&view, &HeatmapView::copied);
  view.setOrder(HeatmapOrder::cluster);  // 0 2 1 3
  drag(middleOf(0, 2), middleOf(2, 1));
  press(Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QGuiApplication::clipboard()->text(), "\tK2\tK1\nK0\t0.899999976\t0.109999999\nK2\t5\t0.129999995\n");
  ASSERT_EQ(copied.size(), 1);
  EXPECT_EQ(copied.front().front().toInt(), 4);
}

TEST_F(HeatmapTest, ZoomsAtThePointerPansAndFits) {
  const QPointF at = middleOf(3, 3);
  QWheelEvent wheel(at, canvas->mapToGlobal(at), {}, {0, 240}, Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
  QCoreApplication::sendEvent(canvas, &wheel);
  EXPECT_NEAR(canvas->visibleCells().width(), 4 / (1.25 * 1.25), 1e-9);
  EXPECT_EQ(canvas->pairAt(at), (HeadPair{3, 3})) << "what was under the pointer still is";
  const QRectF before = canvas->visibleCells();
  QTest::mousePress(canvas, Qt::MiddleButton, {}, middleOf(2, 2));
  QTest::mouseMove(canvas, middleOf(2, 2) + QPoint(30, 10));
  QTest::mouseRelease(canvas, Qt::MiddleButton, {}, middleOf(2, 2) + QPoint(30, 10));
  EXPECT_LT(canvas->visibleCells().left(), before.left());
  EXPECT_TRUE(QRectF(0, 0, 4, 4).contains(canvas->visibleCells()));
  press(Qt::Key_Plus);
  press(Qt::Key_Plus);
  EXPECT_DOUBLE_EQ(canvas->visibleCells().width(), HeatmapCanvas::kFewestCells);
  press(Qt::Key_Home, Qt::ControlModifier);
  EXPECT_EQ(canvas->visibleCells().topLeft(), QPointF(0, 0)) << "the cursor is brought into sight";
  press(Qt::Key_0);
  EXPECT_EQ(canvas->visibleCells(), QRectF(0, 0, 4, 4));
}

TEST_F(HeatmapTest, AFactExplainsItselfUnderThePointer) {
  view.setSelection({2, 3});
  const auto own = static_cast<int>(view.facts()->facts().size());
  view.setSelectionFacts({{"NER of layer", "0.912", "Formula: exp(entropy) / n"}, {"energy kept", "99.1 %"}});
  const auto pointAt = [&](int line) {
    const QPoint place(20, 24 + line * 24 + 12);
    QHelpEvent help(QEvent::ToolTip, place, view.facts()->mapToGlobal(place));
    QApplication::sendEvent(view.facts(), &help);
    return QToolTip::isVisible() ? QToolTip::text() : QString();
  };
  EXPECT_EQ(pointAt(own), "Formula: exp(entropy) / n");
  EXPECT_TRUE(view.facts()->accessibleDescription().contains("Formula: exp(entropy) / n"));
}

TEST_F(HeatmapTest, SelectingFromOutsideSaysNothing) {
  view.setSelection({2, 3, 17});
  view.setSelectionFacts({{"energy kept", "99.1 %"}});
  EXPECT_THAT(view.selection(), ElementsAre(2, 3));
  EXPECT_EQ(view.facts()->facts().back().value, "99.1 %");
  EXPECT_TRUE(selected.empty());
  QTest::mouseClick(canvas, Qt::LeftButton, {}, middleOf(0, 1));
  EXPECT_NE(view.facts()->facts().back().value, "99.1 %") << "facts of another selection";
}

TEST_F(HeatmapTest, AssistiveTechnologyReadsATableInTheOrderShown) {
  view.setOrder(HeatmapOrder::cluster);  // 0 2 1 3
  view.setSelection({1});
  QAccessibleInterface* heatmap = QAccessible::queryAccessibleInterface(canvas);
  ASSERT_TRUE(heatmap && heatmap->tableInterface());
  QAccessibleTableInterface* table = heatmap->tableInterface();
  EXPECT_EQ(heatmap->role(), QAccessible::Table);
  EXPECT_EQ(heatmap->text(QAccessible::Name), "Layer 3 · keys, linear CKA");
  EXPECT_EQ(table->rowCount(), 4);
  EXPECT_EQ(table->columnCount(), 4);
  EXPECT_EQ(table->columnDescription(1), "K2");
  EXPECT_EQ(table->rowDescription(2), "K1");
  EXPECT_THAT(table->selectedRows(), ElementsAre(2));
  QAccessibleInterface* cell = table->cellAt(0, 1);
  ASSERT_TRUE(cell);
  EXPECT_EQ(cell->text(QAccessible::Name), "Layer 3 · K0 and K2 · linear CKA 0.9000 · group 2");
  EXPECT_EQ(cell->text(QAccessible::Value), "0.9000");
  EXPECT_FALSE(cell->state().selected);
  EXPECT_TRUE(table->cellAt(2, 2)->state().selected);
  EXPECT_EQ(heatmap->indexOfChild(cell), 1);
  EXPECT_EQ(heatmap->child(1), cell);
  EXPECT_EQ(table->cellAt(4, 0), nullptr);
  EXPECT_EQ(heatmap->childAt(cell->rect().center().x(), cell->rect().center().y()), cell);
}

TEST_F(HeatmapTest, TheEchoOfASelectionLeavesItsShape) {
  QObject::connect(&view, &HeatmapView::selectionChanged, &view, [this](const std::vector<int>& heads) {
    view.setRecord(test::fourHeads());
    view.setSelection({heads.rbegin(), heads.rend()});
    view.setSelectionFacts({{"energy kept", "99.1 %"}});
  });
  drag(middleOf(0, 2), middleOf(1, 3));
  EXPECT_THAT(canvas->selection().rows, ElementsAre(0, 1));
  EXPECT_THAT(canvas->selection().columns, ElementsAre(2, 3));
  EXPECT_EQ(view.facts()->facts().back().what, "energy kept");
}

TEST_F(HeatmapTest, OneHeadAlone) {
  HeatmapRecord record = test::fourHeads();
  record.matrix = {1, 1, {1}};
  record.groups = {{0}};
  view.setRecord(record);
  view.setOrder(HeatmapOrder::cluster);
  EXPECT_EQ(view.range(), (Range{0, 1}));
  for (const Qt::Key key : {Qt::Key_Right, Qt::Key_Down, Qt::Key_Plus, Qt::Key_Minus, Qt::Key_0, Qt::Key_Space})
    press(key);
  EXPECT_THAT(view.selection(), ElementsAre(0));
  EXPECT_EQ(canvas->visibleCells(), QRectF(0, 0, 1, 1));
  EXPECT_EQ(colourAt(0, 0), QColor(colourTable(ColourMap::viridis, false).back()));
}

TEST_F(HeatmapTest, GroupsThatNameHeadsThereAreNot) {
  HeatmapRecord record = test::fourHeads();
  record.groups = {{0, 9, -1}, {}, {2, 3}};
  view.setRecord(record);
  view.setOrder(HeatmapOrder::group);
  EXPECT_THAT(canvas->arrangement().headAt, ElementsAre(0, 2, 3, 1));
  QTest::mouseClick(canvas, Qt::LeftButton, {}, middleOf(0, 3));
  EXPECT_EQ(view.facts()->facts().front().value, "0.1300");
  view.grab();
}

TEST_F(HeatmapTest, WhatCannotBeDrawnIsNotDrawn) {
  HeatmapRecord broken = test::fourHeads();
  broken.matrix.values.pop_back();
  for (const HeatmapRecord& record : {HeatmapRecord{}, broken}) {
    view.setRecord(record);
    EXPECT_FALSE(canvas->isVisible());
    press(Qt::Key_Right);
    EXPECT_FALSE(canvas->cursor());
    view.grab();
  }
}

}  // namespace
}  // namespace kvista
