// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/experiment_view.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>

namespace kvista {
namespace {

ExperimentRecord twoTables() {
  ExperimentTable novels{"Bytes · novels", 10, {"1/4 of the bytes", "1/8 of the bytes"}, {"joint", "plain"}, {}};
  novels.cells = {{ExperimentCell{11, .25, .1, {}, "rounded", true}, ExperimentCell{12, .125, .2, {}, {}, true}},
                  {ExperimentCell{13.5, .26, .35}, ExperimentCell{0, 0, 0, "Too few bits."}}};
  ExperimentTable letters = novels;
  letters.title = "Bytes · letters";
  letters.cells[1][1].reset();
  return {{novels, letters}, "3 of 4", true, false, {}};
}

class ExperimentViewTest : public ::testing::Test {
 protected:
  ExperimentViewTest() {
    view.controls()->setParent(&view);
    view.resize(640, 480);
    view.show();
  }
  [[nodiscard]] QVariant cell(int row, int column, int role = Qt::DisplayRole) const {
    const QAbstractItemModel* model = view.findChild<QTableView*>("experimentCells")->model();
    return model->data(model->index(row, column), role);
  }
  [[nodiscard]] QPushButton& button(const char* name) const { return *view.findChild<QPushButton*>(name); }
  ExperimentView view;
};

TEST_F(ExperimentViewTest, ShowsFiguresTheBestInBoldAndWhyOneFailed) {
  view.setRecord(twoTables());
  EXPECT_EQ(cell(0, 0).toString(), "joint");
  EXPECT_EQ(cell(1, 1).toString(), "13.50");
  EXPECT_TRUE(cell(0, 1, Qt::FontRole).isValid());
  EXPECT_FALSE(cell(1, 1, Qt::FontRole).isValid());
  EXPECT_TRUE(cell(0, 1, Qt::ToolTipRole).toString().contains("rounded"));
  EXPECT_EQ(cell(1, 2).toString(), "failed");
  EXPECT_EQ(cell(1, 2, Qt::ToolTipRole).toString(), "Too few bits.");
  const PlainTable table = view.plainTable();
  EXPECT_EQ(table.header, (QStringList{"System", "1/4 of the bytes", "1/8 of the bytes"}));
  EXPECT_EQ(table.rows, (std::vector<QStringList>{{"joint", "11", "12"}, {"plain", "13.5", ""}}));
}

TEST_F(ExperimentViewTest, KeepsTheTableThatWasChosenWhileRowsCome) {
  view.setRecord(twoTables());
  auto* which = view.findChild<QComboBox*>("experimentTable");
  ASSERT_EQ(which->count(), 2);
  which->setCurrentIndex(1);
  EXPECT_FALSE(cell(1, 2).isValid());
  ExperimentRecord next = twoTables();
  next.tables[1].cells[1][1] = ExperimentCell{14, .125, .4};
  view.setRecord(next);
  EXPECT_EQ(which->currentIndex(), 1);
  EXPECT_EQ(cell(1, 2).toString(), "14.00");
}

TEST_F(ExperimentViewTest, OffersWhatCanBeDone) {
  view.setRecord(twoTables());
  EXPECT_TRUE(button("stopExperiment").isVisible());
  EXPECT_FALSE(button("experimentButton").isVisible());
  QSignalSpy stopped(&view, &ExperimentView::stopRequested);
  button("stopExperiment").click();
  EXPECT_EQ(stopped.count(), 1);
  EXPECT_FALSE(button("stopExperiment").isEnabled()) << "once is enough";

  ExperimentRecord done = twoTables();
  done.running = false;
  done.hasReport = true;
  view.setRecord(done);
  EXPECT_FALSE(button("stopExperiment").isVisible());
  EXPECT_TRUE(button("experimentReport").isVisible());
  EXPECT_TRUE(button("experimentButton").isEnabled());

  view.setRecord({{}, {}, false, false, "Calibrate the model first."});
  EXPECT_FALSE(button("experimentButton").isEnabled());
  EXPECT_FALSE(view.findChild<QTableView*>("experimentCells")->isVisible());
}

}  // namespace
}  // namespace kvista
