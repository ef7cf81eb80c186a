// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/budget_view.h"

#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QHeaderView>
#include <QLineEdit>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QToolButton>
#include <QWheelEvent>

#include "views/budget_footer.h"
#include "views/budget_model.h"
#include "views/segmented_control.h"
#include "views/target_editor.h"
#include "views/theme.h"

namespace kvista {
namespace {

using Ranks = std::vector<std::pair<int, int>>;
using Locks = std::vector<std::pair<int, bool>>;

/// Six groups of 128 directions with ranks 16, 32, ... 96; group 3 is locked.
BudgetRecord record() {
  BudgetRecord result;
  for (int i = 0; i < 6; ++i) {
    BudgetRow row;
    row.group = i;
    for (int head = 0; head < 4; ++head) row.slots.push_back({i / 2, i % 2 == 0 ? Side::key : Side::value, head});
    row.directions = 128;
    row.rank = 16 * (i + 1);
    row.bands = {{8, 8}, {4, row.rank - 8}, {0, 128 - row.rank}};
    row.bytes = 8 + (row.rank - 8) / 2;
    row.kept = static_cast<double>(row.bytes) / 256;
    row.predictedLoss = 0.01 / (i + 1);
    row.locked = i == 3;
    result.rows.push_back(row);
  }
  result.target = {Target::Kind::bytesPerToken, 200};
  result.requestedBytes = 200;
  result.achievedBytes = 192;
  result.fullBytes = 6 * 256;
  result.allocators = {{"waterline", "One threshold."}, {"uniform", "The same share."}};
  result.allocator = "waterline";
  result.devices = {"h200"};
  result.device = "h200";
  return result;
}

class BudgetViewTest : public ::testing::Test {
 protected:
  BudgetViewTest() {
    view.resize(1000, 400);
    view.setRecord(record());
    view.controls()->setParent(&view);
    view.show();
    QApplication::setActiveWindow(&view);
    view.table()->setFocus();
    QObject::connect(&view, &BudgetView::ranksEdited, &view, [this](const Ranks& ranks) { edits.push_back(ranks); });
    QObject::connect(&view, &BudgetView::locksEdited, &view, [this](const Locks& each) { locks.push_back(each); });
  }
  QModelIndex cell(int row, int column) { return view.table()->model()->index(row, column); }
  void select(std::initializer_list<int> rows) {
    view.table()->clearSelection();
    view.table()->setCurrentIndex(cell(*rows.begin(), BudgetModel::rank));
    view.table()->clearSelection();
    for (const int row : rows)
      view.table()->selectionModel()->select(cell(row, 0), QItemSelectionModel::Select | QItemSelectionModel::Rows);
  }
  QLineEdit* line() {
    for (QLineEdit* each : view.table()->viewport()->findChildren<QLineEdit*>())
      if (each->isVisible()) return each;
    return nullptr;
  }
  void key(Qt::Key key) { QTest::keyClick(view.table(), key); }
  void typeInto(const char* text) {
    ASSERT_TRUE(line());
    line()->selectAll();
    QTest::keyClicks(line(), text);
  }
  void enter() {
    QTest::keyClick(line(), Qt::Key_Return);
    QCoreApplication::processEvents();  // Qt closes lines of tables from its event loop.
  }

  BudgetView view;
  std::vector<Ranks> edits;
  std::vector<Locks> locks;
};

TEST_F(BudgetViewTest, TheModelKeepsQtsRules) {
  QAbstractItemModelTester tester(view.model(), QAbstractItemModelTester::FailureReportingMode::Fatal);
  QAbstractItemModelTester sorted(view.table()->model(), QAbstractItemModelTester::FailureReportingMode::Fatal);
  view.setRecord(record());
  BudgetRecord fewer = record();
  fewer.rows.resize(2);
  view.setRecord(fewer);
  view.setRecord({});
  view.setRecord(record());
  view.table()->sortByColumn(BudgetModel::predicted, Qt::DescendingOrder);
  EXPECT_EQ(view.model()->rowCount(), 6);
}

TEST_F(BudgetViewTest, ANumberTypedIntoARankIsOneEdit) {
  select({1});
  key(Qt::Key_F2);
  typeInto("96");
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{1, 96}}}));
  EXPECT_EQ(view.model()->rows()[1].rank, 32) << "the view changes nothing itself";
}

TEST_F(BudgetViewTest, TypingStartsTheEditWhereverInTheRowOneIs) {
  select({2});
  view.table()->selectionModel()->setCurrentIndex(cell(2, BudgetModel::bytes), QItemSelectionModel::NoUpdate);
  QTest::keyClicks(view.table(), "7");
  ASSERT_TRUE(line());
  QTest::keyClicks(line(), "2");
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{2, 72}}}));
}

TEST_F(BudgetViewTest, ArrowsStepInTheLineAndEscapeLeavesEverything) {
  select({1});
  key(Qt::Key_F2);
  ASSERT_TRUE(line());
  QTest::keyClick(line(), Qt::Key_Up);
  EXPECT_EQ(line()->text(), "40");
  QTest::keyClick(line(), Qt::Key_PageUp);
  EXPECT_EQ(line()->text(), "104");
  QTest::keyClick(line(), Qt::Key_Down);
  EXPECT_EQ(line()->text(), "96");
  QTest::keyClick(line(), Qt::Key_Escape);
  EXPECT_TRUE(edits.empty());
  EXPECT_FALSE(line());
}

TEST_F(BudgetViewTest, BadInputStaysWithAReason) {
  select({1});
  key(Qt::Key_F2);
  typeInto("many");
  enter();
  ASSERT_TRUE(line()) << "the line stays";
  EXPECT_EQ(line()->text(), "many");
  EXPECT_TRUE(view.reason().contains("'many' is no rank")) << view.reason().toStdString();
  EXPECT_TRUE(edits.empty());
  typeInto("64");
  EXPECT_TRUE(view.reason().isEmpty()) << "mending takes the reason away";
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{1, 64}}}));
}

TEST_F(BudgetViewTest, AChangeOfManyIsOneEdit) {
  select({0, 2, 4});
  key(Qt::Key_F2);
  typeInto("+10 %");
  enter();
  // 16 and 48 grow by less than a step and take one; 80 becomes 88.
  EXPECT_EQ(edits, (std::vector<Ranks>{{{0, 24}, {2, 56}, {4, 88}}}));
  edits.clear();
  key(Qt::Key_F2);
  typeInto("48");
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{0, 48}, {4, 48}}})) << "what is 48 already is no part of the edit";
}

TEST_F(BudgetViewTest, WheelWithControlSteps) {
  select({1, 2});
  const QPointF place = view.table()->visualRect(cell(1, BudgetModel::rank)).center();
  const auto turn = [&](int delta, Qt::KeyboardModifiers modifiers) {
    QWheelEvent wheel(place, view.table()->viewport()->mapToGlobal(place), {}, {0, delta}, Qt::NoButton, modifiers,
                      Qt::NoScrollPhase, false);
    QApplication::sendEvent(view.table()->viewport(), &wheel);
  };
  turn(120, Qt::NoModifier);
  EXPECT_TRUE(edits.empty()) << "without Ctrl it scrolls";
  turn(120, Qt::ControlModifier);
  turn(-120, Qt::ControlModifier);
  EXPECT_EQ(edits, (std::vector<Ranks>{{{1, 40}, {2, 56}}, {{1, 24}, {2, 40}}}));
}

TEST_F(BudgetViewTest, ASpreadsheetsColumnIsPastedAsOneEdit) {
  select({1});
  QApplication::clipboard()->setText("40\r\n48\r\n72\r\n");
  QTest::keySequence(view.table(), QKeySequence::Paste);
  EXPECT_EQ(edits, (std::vector<Ranks>{{{1, 40}, {3, 72}}})) << "row 2 has 48 already";
  edits.clear();
  select({0, 5});
  view.pasteRanks("24");
  EXPECT_EQ(edits, (std::vector<Ranks>{{{0, 24}, {5, 24}}}));
}

TEST_F(BudgetViewTest, WhatWasCopiedCanBePastedBack) {
  select({0, 1});
  QTest::keySequence(view.table(), QKeySequence::Copy);
  QString text = QApplication::clipboard()->text();
  EXPECT_TRUE(
      text.startsWith("Layer\tHeads\tRank\tBits\tBytes a token\tKept\tPredicted "
                      "loss\tLock\n0\tK0–K3\t16\t8x8 8x4 112x0\t12\t0.046875\t0.01\t\n"))
      << text.toStdString();
  view.pasteRanks(text);
  EXPECT_TRUE(edits.empty()) << "nothing is different";
  view.pasteRanks(text.replace("\t16\t", "\t17\t"));
  EXPECT_EQ(edits, (std::vector<Ranks>{{{0, 17}}}));
}

TEST_F(BudgetViewTest, AWrongPasteChangesNothingAndSaysWhy) {
  select({4});
  for (const auto& [text, reason] :
       std::vector<std::pair<const char*, const char*>>{{"8\nx\n", "Line 2: 'x' is no rank."},
                                                        {"8\n8\n8\n", "3 ranks were pasted and there are 2 rows"},
                                                        {"1\t2\n3\t4\n", "2 columns were pasted"},
                                                        {"", "nothing to paste"},
                                                        {"8.5", "no whole number"}}) {
    view.pasteRanks(text);
    EXPECT_TRUE(view.reason().contains(reason)) << view.reason().toStdString();
  }
  EXPECT_TRUE(edits.empty());
}

TEST_F(BudgetViewTest, LocksAreToggledByClickAndForAllSelected) {
  QTest::mouseClick(view.table()->viewport(), Qt::LeftButton, {},
                    view.table()->visualRect(cell(3, BudgetModel::lock)).center());
  EXPECT_EQ(locks, (std::vector<Locks>{{{3, false}}}));
  locks.clear();
  select({2, 3, 4});
  key(Qt::Key_Space);
  EXPECT_EQ(locks, (std::vector<Locks>{{{2, true}, {4, true}}}));
  locks.clear();
  BudgetRecord reading = record();
  reading.rows[4].instead = QStringLiteral("reads layer 2");
  view.setRecord(reading);
  select({4});
  key(Qt::Key_Space);
  EXPECT_TRUE(locks.empty()) << "a group without bits of its own has none to keep";
  EXPECT_TRUE(cell(4, BudgetModel::lock).data(Qt::ToolTipRole).toString().contains("no bits to share out"));
}

TEST_F(BudgetViewTest, SortsByNumbersAndEditsTheRowsThatAreMeant) {
  view.table()->sortByColumn(BudgetModel::bytes, Qt::DescendingOrder);
  EXPECT_EQ(cell(0, BudgetModel::bytes).data().toString(), "52");
  EXPECT_EQ(cell(5, BudgetModel::bytes).data().toString(), "12") << "as text 8 would come after 52";
  select({0});
  key(Qt::Key_F2);
  typeInto("8");
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{5, 8}}}));
}

TEST_F(BudgetViewTest, ANewRecordKeepsSelectionAndTheLineThatIsTyped) {
  select({1, 2});
  key(Qt::Key_F2);
  typeInto("7");
  BudgetRecord next = record();
  for (BudgetRow& row : next.rows) row.rank += 8;
  view.setRecord(next);
  ASSERT_TRUE(line());
  EXPECT_EQ(line()->text(), "7");
  EXPECT_EQ(view.table()->selectionModel()->selectedRows().size(), 2);
}

TEST_F(BudgetViewTest, SelectionIsSharedWithoutEcho) {
  std::vector<std::vector<int>> selected;
  QObject::connect(&view, &BudgetView::groupsSelected, &view,
                   [&](const std::vector<int>& groups) { selected.push_back(groups); });
  view.selectGroups({2, 4});
  EXPECT_TRUE(selected.empty());
  EXPECT_EQ(view.table()->selectionModel()->selectedRows().size(), 2);
  QTest::mouseClick(view.table()->viewport(), Qt::LeftButton, {},
                    view.table()->visualRect(cell(1, BudgetModel::heads)).center());
  ASSERT_EQ(selected.size(), 1U);
  EXPECT_EQ(selected.back(), std::vector<int>{1});
}

TEST_F(BudgetViewTest, ControlsSayWhatWasChosen) {
  QSignalSpy allocator(&view, &BudgetView::allocatorChosen), target(&view, &BudgetView::targetEntered),
      cost(&view, &BudgetView::costModelChosen);
  std::vector<Storage> storages;
  QObject::connect(&view, &BudgetView::storageChosen, &view, [&](Storage storage) { storages.push_back(storage); });
  auto* box = view.controls()->findChild<QComboBox*>();
  QTest::keyClick(box, Qt::Key_Down);
  ASSERT_EQ(allocator.size(), 1);
  EXPECT_EQ(allocator.front().front().toString(), "uniform");
  QTest::mouseClick(view.controls()->findChild<SegmentedControl*>()->segment("ranks"), Qt::LeftButton);
  EXPECT_EQ(storages, std::vector<Storage>{Storage::lowRank16});
  auto* editor = view.controls()->findChild<TargetEditor*>();
  EXPECT_EQ(editor->text().toStdString(), QString("200 B").replace(' ', QChar(0x00A0)).toStdString());
  editor->setFocus();
  editor->selectAll();
  QTest::keyClicks(editor, "16x");
  QTest::keyClick(editor, Qt::Key_Return);
  ASSERT_EQ(target.size(), 1);
  EXPECT_EQ(target.front().front().value<Target>(), (Target{Target::Kind::share, 1.0 / 16}));
}

TEST_F(BudgetViewTest, ARankAboveTheMaximumIsCutAndSaidWithTheNumbers) {
  select({1});
  key(Qt::Key_F2);
  typeInto("500");
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{1, 128}}}));
  EXPECT_TRUE(view.reason().contains("500") && view.reason().contains("128")) << view.reason().toStdString();
  select({1});
  key(Qt::Key_F2);
  typeInto("128");
  EXPECT_TRUE(view.reason().isEmpty()) << "until the next is typed";
  enter();
  EXPECT_TRUE(view.reason().isEmpty()) << "all is not too many";
  edits.clear();
  BudgetRecord smaller = record();
  smaller.rows[0].directions = 64;
  view.setRecord(smaller);
  select({0, 1, 2});
  key(Qt::Key_F2);
  typeInto("100");
  enter();
  EXPECT_EQ(edits, (std::vector<Ranks>{{{0, 64}, {1, 100}, {2, 100}}}));
  EXPECT_TRUE(view.reason().contains("64")) << view.reason().toStdString();
  select({0});
  view.pasteRanks("200\n300\n");
  EXPECT_TRUE(view.reason().contains("2 groups") && view.reason().contains("64 to 128")) << view.reason().toStdString();
}

/// The sums under their columns and the line below, in the pixels they take.
TEST_F(BudgetViewTest, NothingOfTheTotalsIsCutInANarrowPanel) {
  auto* footer = view.findChild<BudgetFooter*>();
  BudgetRecord long_ = record();
  long_.note = "two groups are locked at more than their share";
  view.setRecord(long_);
  for (const int width : {1000, 622, 360}) {
    view.resize(width, 400);
    QCoreApplication::processEvents();
    const QFontMetrics metrics(textFont(TextRole::body));
    const QRect line = footer->linePlace();
    EXPECT_TRUE(footer->rect().contains(line)) << width;
    EXPECT_LE(metrics.boundingRect(line, Qt::TextWordWrap, footer->line()).height(), line.height()) << width;
    EXPECT_LE(metrics.boundingRect(line, Qt::TextWordWrap, footer->line()).width(), line.width()) << width;
    for (const QWidget* control : footer->findChildren<QWidget*>())
      if (control->parentWidget() == footer) {
        EXPECT_TRUE(footer->rect().contains(control->geometry())) << width;
        EXPECT_FALSE(control->geometry().intersects(line)) << width;
      }
    if (width < 622) continue;
    // As narrow as beside the quality-cost plot of a laptop: every number is in sight, and only their picture gives
    // way.
    const QHeaderView* header = view.table()->horizontalHeader();
    EXPECT_LE(header->length(), view.table()->viewport()->width()) << width;
    EXPECT_EQ(header->isSectionHidden(BudgetModel::bits), width == 622);
    EXPECT_GE(header->sectionSize(BudgetModel::heads), 112) << width;
  }
  EXPECT_TRUE(view.viewState().isEmpty()) << "what there was no room for was not put away by hand";
}

TEST_F(BudgetViewTest, OverBudgetIsSaidInColourAndWords) {
  const auto warned = [&] {
    const QImage picture = view.grab().toImage();
    for (int y = 330; y < 400; ++y)
      for (int x = 0; x < 400; ++x)
        if (picture.pixelColor(x, y) == colours().warning) return true;
    return false;
  };
  EXPECT_FALSE(warned());
  BudgetRecord over = record();
  over.achievedBytes = 224;
  view.setRecord(over);
  EXPECT_TRUE(warned());
}

CompressionPlan planOfLayers(int layers) {
  CompressionPlan plan;
  for (int layer = 0; layer < layers; ++layer)
    plan.groups.push_back(
        {{{layer, Side::key, 0}, {layer, Side::value, 0}}, std::vector<std::uint8_t>(16, layer == 0 ? 0 : 4)});
  return plan;
}

TEST(BudgetRows, NumbersOfTokensCountAndStandForDirections) {
  CompressionPlan plan = planOfLayers(3);
  plan.tokenNumbers = true;
  BudgetModel model;
  model.setRows(budgetRows(plan, {}));
  std::int64_t sum = 0;
  for (const BudgetRow& row : model.rows()) sum += row.bytes;
  EXPECT_EQ(sum, bytesPerToken(plan));
  EXPECT_EQ(sum, 4 + 2 * 8);
  const auto cell = [&](int row, int column) { return model.index(row, column).data().toString(); };
  EXPECT_EQ(cell(0, BudgetModel::heads), "numbers of tokens");
  EXPECT_EQ(cell(0, BudgetModel::bytes), "4");
  EXPECT_EQ(cell(0, BudgetModel::rank), "–");
  EXPECT_EQ(model.index(0, BudgetModel::heads).data(BudgetModel::plainRole).toString(), "K0 V0");
  EXPECT_EQ(cell(1, BudgetModel::heads), "K0 V0");
  EXPECT_FALSE(model.index(0, BudgetModel::rank).flags() & Qt::ItemIsEditable);
  EXPECT_TRUE(model.index(1, BudgetModel::rank).flags() & Qt::ItemIsEditable);
}

TEST(BudgetRows, AReaderSaysWhoseCacheItReads) {
  CompressionPlan plan = planOfLayers(3);
  std::swap(plan.groups[0].widths, plan.groups[2].widths);
  plan.sharedFrom = {0, 1, 1};
  BudgetModel model;
  model.setRows(budgetRows(plan, {}));
  const auto cell = [&](int row, int column) { return model.index(row, column).data().toString(); };
  EXPECT_EQ(cell(2, BudgetModel::heads), "reads layer 1");
  for (const int column : {BudgetModel::rank, BudgetModel::bytes, BudgetModel::kept}) EXPECT_EQ(cell(2, column), "–");
  EXPECT_EQ(cell(1, BudgetModel::rank), "16");
}

TEST(RankChangeTest, EveryWayToSayIt) {
  BudgetRow row;
  row.directions = 128;
  row.rank = 40;
  const auto rank = [&](const char* text) {
    const auto change = rankChangeFromText(QString::fromUtf8(text));
    return change ? change->of(row, 8) : -1;
  };
  EXPECT_EQ(rank("96"), 96);
  EXPECT_EQ(rank(" 97 "), 97);
  EXPECT_EQ(rank("+8"), 48);
  EXPECT_EQ(rank("-8"), 32);
  EXPECT_EQ(rank("−8"), 32);
  EXPECT_EQ(rank("+100 %"), 80);
  EXPECT_EQ(rank("-50%"), 24) << "20 directions are 2.5 steps";
  EXPECT_EQ(rank("+1 %"), 48) << "a change that is asked for is seen";
  EXPECT_EQ(rank("50 %"), 64);
  EXPECT_EQ(rank("1000"), 128);
  EXPECT_EQ(rank("-1000"), 0);
  for (const char* wrong : {"", "x", "%", "+", "110 %", "1.5", "nan", "inf", "8 B"})
    EXPECT_EQ(rank(wrong), -1) << wrong;
}

}  // namespace
}  // namespace kvista
