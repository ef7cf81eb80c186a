// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <QApplication>
#include <QClipboard>
#include <QMenu>
#include <QTableView>

#include "app/studio/window/table_file.h"
#include "tests/unit/studio/window_case.h"
#include "views/budget_view.h"
#include "views/heatmap_view.h"

namespace kvista {
namespace {

using test::readText;

TEST(TableFile, AnotherEndingIsRefusedAndAFolderThatIsNotThereIsSaid) {
  const test::TemporaryFolder folder;
  const PlainTable table{{"a"}, {{"1"}}};
  const auto ending = writeTable(QString::fromStdString((folder / "a.xlsx").string()), table);
  ASSERT_FALSE(ending);
  EXPECT_EQ(ending.error().code, ErrorCode::invalidArgument);
  EXPECT_NE(ending.error().message.find("a.xlsx"), std::string::npos);
  EXPECT_NE(ending.error().hint.find(".csv"), std::string::npos);
  EXPECT_FALSE(writeTable(QString::fromStdString((folder / "none" / "a.csv").string()), table));
  EXPECT_TRUE(test::namesIn(folder.path()).empty());
}

class TableExport : public test::WindowCase {};

TEST_F(TableExport, TheBudgetGoesToFilesAsItGoesToTheClipboard) {
  openProject();
  trigger("view.layout.edit");
  dock("budget")->raise();
  auto* view = window->findChild<BudgetView*>();
  ASSERT_TRUE(test::waitFor([&] { return view->isVisible() && !view->visibleRegion().isEmpty(); }));
  view->table()->setFocus();
  triggerAndChoose("file.table", home / "budget.tsv");
  EXPECT_EQ(readText(home / "budget.tsv"), view->selectedAsTsv().toStdString());
  triggerAndChoose("file.table", home / "budget.csv");
  const std::string csv = readText(home / "budget.csv");
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "Layer,Heads,Rank,Bits,Bytes a token,Kept,Predicted loss,Lock");
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 3 * 2 * 4);  // A header and a row a group.
  EXPECT_TRUE(fact("problems").empty());
}

TEST_F(TableExport, ThePanelWithTheFocusIsTheOneWritten) {
  openProject();
  trigger("view.layout.analyse");
  dock("heads")->widget()->setFocus();
  for (QWidget* each : dock("heads")->findChildren<QWidget*>())
    if (each->focusPolicy() != Qt::NoFocus && each->isVisible()) each->setFocus();
  triggerAndChoose("file.table", home / "heads.csv");
  const std::string heads = readText(home / "heads.csv");
  EXPECT_EQ(heads.substr(0, heads.find('\n')), ",K0,K1,K2,K3");
  for (QWidget* each : dock("provenance")->findChildren<QWidget*>())
    if (each->focusPolicy() != Qt::NoFocus && each->isVisible()) each->setFocus();
  triggerAndChoose("file.table", home / "provenance.csv");
  EXPECT_NE(readText(home / "provenance.csv").find("Content hash," + test::madeUpModel().hash), std::string::npos);
}

TEST_F(TableExport, ABlockOfTheHeatmapIsWrittenFromItsMenu) {
  openProject();
  auto* heatmap = window->findChild<HeatmapView*>();
  ASSERT_TRUE(test::waitFor([&] { return heatmap->record().canBeDrawn(); }));
  heatmap->setOrder(HeatmapOrder::index);
  HeatmapCanvas* canvas = heatmap->canvas();
  const auto middle = [&](int row, int column) { return canvas->cellRect({row, column}).center().toPoint(); };
  QTest::mousePress(canvas, Qt::LeftButton, {}, middle(0, 1));
  QTest::mouseMove(canvas, middle(1, 3));
  QTest::mouseRelease(canvas, Qt::LeftButton, {}, middle(1, 3));
  const std::unique_ptr<QMenu> menu(heatmap->makeMenu());
  for (QAction* action : menu->actions())
    if (action->text().startsWith("Export the numbers")) chooseWhile(home / "block.csv", [&] { action->trigger(); });
  const std::string block = readText(home / "block.csv");
  EXPECT_EQ(block.substr(0, block.find('\n')), ",K1,K2,K3");
  EXPECT_EQ(std::ranges::count(block, '\n'), 3);
  EXPECT_NE(block.find("\nK1,"), std::string::npos);
}

}  // namespace
}  // namespace kvista
