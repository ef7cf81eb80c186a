// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Methods compared in the window, with a real engine on the demo model.
#include <QLabel>
#include <QTableView>
#include <filesystem>

#include "app/studio/window/experiment_dialog.h"
#include "app/studio/window/experiment_presenter.h"
#include "tests/unit/studio/real_engine.h"
#include "views/experiment_view.h"

namespace kvista::test {
namespace {

class ExperimentWindow : public RealEngine {
 protected:
  [[nodiscard]] const QAbstractItemModel& cells() const { return *window->findChild<QTableView*>("experimentCells")->model(); }
  [[nodiscard]] QPushButton& stop() const { return *window->findChild<QPushButton*>("stopExperiment"); }
  [[nodiscard]] int measured() const {
    int count = 0;
    for (int row = 0; row < cells().rowCount(); ++row)
      for (int column = 1; column < cells().columnCount(); ++column) count += cells().data(cells().index(row, column), Qt::DisplayRole).isValid();
    return count;
  }
};

TEST_F(ExperimentWindow, IsFollowedStoppedAndGoneOnWith) {
  startWithEngine();
  EXPECT_FALSE(action("plan.experiment")->isEnabled());
  calibrateDemo();
  ASSERT_TRUE(action("plan.experiment")->isEnabled());
  answer("plan.experiment", "experimentDialog", {{"experimentWindows", 4}});
  ASSERT_TRUE(waitFor([this] { return measured() > 0; })) << window->facts().dump(1);
  ASSERT_TRUE(stop().isEnabled());
  stop().click();
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  const int before = measured();
  EXPECT_GT(before, 0) << "what is measured stays";
  EXPECT_LT(before, 8);
  EXPECT_TRUE(window->findChild<QLabel*>("experimentStatus")->text().contains("Stopped"));
  EXPECT_TRUE(window->findChild<QPushButton*>("experimentReport")->isVisibleTo(window->findChild<ExperimentView*>())) << "of what there is";
  const QString first = cells().data(cells().index(0, 1), Qt::DisplayRole).toString();

  answer("plan.experiment", "experimentDialog", {{"experimentWindows", 4}});
  ASSERT_TRUE(waitFor([this] { return isIdle() && measured() == 8; })) << window->facts().dump(1);
  EXPECT_EQ(cells().rowCount(), 4);
  EXPECT_EQ(cells().data(cells().index(0, 1), Qt::DisplayRole).toString(), first);
  EXPECT_TRUE(window->findChild<QPushButton*>("experimentReport")->isVisibleTo(window->findChild<ExperimentView*>()));
  const std::filesystem::path folder = std::filesystem::path(document().statistics()->path).parent_path() / "model-experiment";
  for (const char* file : {"results.html", "results.csv", "results.md", "results.json"}) EXPECT_TRUE(std::filesystem::exists(folder / file)) << file;
  EXPECT_TRUE(window->facts().at("problems").empty());
}

TEST(ExperimentTables, MarkTheBestOfThoseThatKeptToTheirColumn) {
  const auto row = [](const char* system, double share, double loss) {
    return ExperimentRow{"Bytes", system, "novels", {Target::Kind::share, .25}, "", ExperimentRow::Figures{1, share, loss, 2, {}, 1, 1, ""}, ""};
  };
  const auto tables = experimentTablesOf({row("above", .4, 2.1), row("within", .25, 2.2), row("as good", .2, 2.2), row("worse", .25, 2.3)});
  ASSERT_EQ(tables.size(), 1U);
  const std::vector<bool> best = {false, true, true, false};
  for (std::size_t i = 0; i < best.size(); ++i) {
    EXPECT_EQ(tables[0].cells[i][0]->isBest, best[i]) << i;
    EXPECT_EQ(tables[0].cells[i][0]->isAbove, i == 0);
  }
}

TEST(ExperimentDialogTest, ReadsTextsAsCalibrationDid) {
  TextSelection text;
  text.paths = {"/texts/novel.txt"};
  text.window = 512;
  text.beginWithBos = true;
  text.windows = 7;
  const ExperimentDialog dialog(ModelRecord{}, text, "/results", nullptr);
  EXPECT_EQ(dialog.wish().texts, std::vector{text});
}

}  // namespace
}  // namespace kvista::test
