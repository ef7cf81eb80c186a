// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Methods compared in the window, with a real engine on the demo model.
#include <QCheckBox>
#include <QLabel>
#include <QListWidget>
#include <QProcess>
#include <QTableView>
#include <filesystem>

#include "app/studio/window/experiment_presenter.h"
#include "app/studio/window/file_list.h"
#include "app/studio/window/policy_list.h"
#include "core/io/json_file.h"
#include "tests/unit/studio/choose_file.h"
#include "tests/unit/studio/real_engine.h"
#include "tests/unit/studio/tick_systems.h"
#include "views/experiment_view.h"

namespace kvista::test {
namespace {

using nlohmann::json;

class ExperimentWindow : public RealEngine {
 protected:
  [[nodiscard]] const QAbstractItemModel& cells() const {
    return *window->findChild<QTableView*>("experimentCells")->model();
  }
  [[nodiscard]] QPushButton& stop() const { return *window->findChild<QPushButton*>("stopExperiment"); }
  [[nodiscard]] QDialog* ask() const {
    action("plan.experiment")->trigger();
    return dialog("experimentDialog");
  }
  static void start(QDialog& asked) {
    ASSERT_TRUE(asked.findChild<QPushButton*>("startButton")->isEnabled());
    asked.findChild<QPushButton*>("startButton")->click();
  }
  [[nodiscard]] int measured() const {
    int count = 0;
    for (int row = 0; row < cells().rowCount(); ++row)
      for (int column = 1; column < cells().columnCount(); ++column)
        count += cells().data(cells().index(row, column), Qt::DisplayRole).isValid();
    return count;
  }
};

TEST_F(ExperimentWindow, IsFollowedStoppedAndGoneOnWithAndTickedAsWell) {
  startWithEngine();
  EXPECT_FALSE(action("plan.experiment")->isEnabled());
  calibrateDemo();
  ASSERT_TRUE(action("plan.experiment")->isEnabled());
  QDialog* asked = ask();
  ASSERT_TRUE(asked);
  auto* which = asked->findChild<QComboBox*>("experimentFile");
  which->setFocus();
  QTest::keyClick(which, Qt::Key_Down);
  EXPECT_EQ(which->currentText(), "A first comparison");
  EXPECT_TRUE(asked->findChild<QLabel*>("experimentSaid")->text().startsWith("8 rows on 1 text"));
  asked->findChild<QSpinBox*>("experimentWindows")->setValue(4);
  start(*asked);
  ASSERT_TRUE(waitFor([this] { return measured() > 0; })) << window->facts().dump(1);
  ASSERT_TRUE(stop().isEnabled());
  stop().click();
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  const int before = measured();
  EXPECT_GT(before, 0) << "what is measured stays";
  EXPECT_LT(before, 8);
  EXPECT_TRUE(window->findChild<QLabel*>("experimentStatus")->text().contains("Stopped"));
  EXPECT_TRUE(window->findChild<QPushButton*>("experimentReport")->isVisibleTo(window->findChild<ExperimentView*>()))
      << "of what there is";
  const QString first = cells().data(cells().index(0, 1), Qt::DisplayRole).toString();

  answer("plan.experiment", "experimentDialog", {});  // As it was filled in.
  ASSERT_TRUE(waitFor([this] { return isIdle() && measured() == 8; })) << window->facts().dump(1);
  EXPECT_EQ(cells().rowCount(), 4);
  EXPECT_EQ(cells().data(cells().index(0, 1), Qt::DisplayRole).toString(), first);
  EXPECT_TRUE(window->findChild<QPushButton*>("experimentReport")->isVisibleTo(window->findChild<ExperimentView*>()));
  const std::filesystem::path folder =
      std::filesystem::path(document().statistics()->path).parent_path() / "model-experiment";
  for (const char* file : {"results.html", "results.csv", "results.md", "results.json"})
    EXPECT_TRUE(std::filesystem::exists(folder / file)) << file;

  // What is ticked has the rows that its file has on the command line.
  asked = ask();
  EXPECT_EQ(asked->findChild<QComboBox*>("experimentFile")->currentText(), "A first comparison")
      << "as of the last time";
  asked->findChild<QComboBox*>("experimentFile")->setFocus();
  QTest::keyClick(asked->findChild<QComboBox*>("experimentFile"), Qt::Key_Up);
  auto* systems = asked->findChild<QTreeWidget*>("experimentSystems");
  for (int section = 0; section < systems->topLevelItemCount(); ++section)
    systems->topLevelItem(section)->setCheckState(0, Qt::Unchecked);
  for (const char* name : {"joint", "streaming-llm"}) press(*asked, itemOf(*asked, name));
  press(*asked, itemOf(*asked, "cskv", 1));  // The policy, whose plan comes with it.
  auto* lines = asked->findChild<PolicyList*>("morePolicies");
  lines->setFocus();
  QTest::keyClicks(lines, "snapkv+hadamrd bits=3");
  const auto said = [asked] { return asked->findChild<QLabel*>("experimentSaid")->text(); };
  ASSERT_TRUE(waitFor([&] { return said().contains("hadamrd"); })) << said().toStdString();
  EXPECT_FALSE(asked->findChild<QPushButton*>("startButton")->isEnabled()) << "a slip";
  lines->clear();
  QTest::keyClicks(lines, "snapkv+hadamard bits=3");
  asked->findChild<QPushButton*>("addVariant")->click();
  QDialog* variant = dialog("planDialog");
  ASSERT_TRUE(variant);
  EXPECT_FALSE(variant->findChild<QLineEdit*>("target")->isVisible()) << "the sizes are those of the experiment";
  variant->findChild<QComboBox*>("method")->setFocus();
  QTest::keyClicks(variant->findChild<QComboBox*>("method"), "joint");
  QTest::keyClick(variant->findChild<QCheckBox*>("centred"), Qt::Key_Space);
  variant->findChild<QPushButton*>("startButton")->click();
  ASSERT_TRUE(waitFor([&] { return asked->findChild<QListWidget*>("variants")->count() == 1; }));
  EXPECT_EQ(asked->findChild<QListWidget*>("variants")->item(0)->text(), "joint, centred");
  line(*asked, "keptFractions").setText("0.5");
  line(*asked, "shares").setText("3/4");  // Of windows of 64 tokens, of which it keeps 32 exact.
  const QString file = home.filePath("ticked.json"), text = asked->findChild<FileList*>()->paths().front();
  ASSERT_TRUE(answerFileDialog(file.toStdString(), [&] { asked->findChild<QPushButton*>("saveExperiment")->click(); }));
  start(*asked);
  const auto rows = [&] {
    return readJsonFile(folder / "results.json").value_or(json::object()).value("rows", json());
  };
  ASSERT_TRUE(waitFor([&] { return isIdle() && rows().size() == 9; })) << window->facts().dump(1) << rows().dump(1);
  const json measuredHere = rows();
  for (const json& row : measuredHere) {
    ASSERT_TRUE(row.contains("figures")) << row.dump(1);
    if (row.at("system") != "cskv") continue;
    EXPECT_NEAR(row.at("figures").at("share").get<double>(), 0.75, 0.05);
  }
  QProcess program;
  program.start(QCoreApplication::applicationDirPath() + "/kvista",
                {"experiment", file, QString::fromStdString(document().modelPath().string()), "--stats",
                 QString::fromStdString(document().statistics()->path), "--evaluate-on", text, "--evaluate-windows",
                 "4", "-o", QString::fromStdString(folder.string()), "--json"});
  ASSERT_TRUE(waitFor([&] { return program.state() == QProcess::NotRunning; }));
  ASSERT_EQ(program.exitCode(), 0) << program.readAllStandardError().toStdString();
  EXPECT_EQ(json::parse(program.readAllStandardOutput().toStdString()).at("rows"), measuredHere)
      << "the seconds that it took among them";
  asked = ask();
  EXPECT_EQ(line(*asked, "shares").text(), "3/4") << "as of the last time";
  EXPECT_EQ(asked->findChild<QListWidget*>("variants")->count(), 1);
  EXPECT_EQ(asked->findChild<PolicyList*>("morePolicies")->lines(), QStringList("snapkv+hadamard bits=3"));
  EXPECT_EQ(itemOf(*asked, "joint")->checkState(0), Qt::Checked);
  EXPECT_EQ(itemOf(*asked, "separate")->checkState(0), Qt::Unchecked);
  EXPECT_TRUE(window->facts().at("problems").empty());
}

TEST(ExperimentTables, MarkTheBestOfThoseThatKeptToTheirColumn) {
  const auto row = [](const char* system, double share, double loss) {
    return ExperimentRow{"Bytes",  system,
                         "novels", {Target::Kind::share, .25},
                         "",       ExperimentRow::Figures{1, share, loss, 2, {}, 1, 1, ""},
                         ""};
  };
  const auto tables = experimentTablesOf(
      {row("above", .4, 2.1), row("within", .25, 2.2), row("as good", .2, 2.2), row("worse", .25, 2.3)});
  ASSERT_EQ(tables.size(), 1U);
  const std::vector<bool> best = {false, true, true, false};
  for (std::size_t i = 0; i < best.size(); ++i) {
    EXPECT_EQ(tables[0].cells[i][0]->isBest, best[i]) << i;
    EXPECT_EQ(tables[0].cells[i][0]->isAbove, i == 0);
  }
}

}  // namespace
}  // namespace kvista::test
