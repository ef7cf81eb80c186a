// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/experiment_view.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>

#include "views/quality_cost_view.h"
#include "views/theme.h"

namespace kvista {
namespace {

ExperimentRecord twoTables() {
  ExperimentTable novels{"Bytes · novels", 10, {"1/4 of the bytes", "1/8 of the bytes"}, {"joint", "plain"}, {}};
  novels.cells = {{ExperimentCell{11, .25, .1, {}, "rounded", true}, ExperimentCell{12, .125, .2, {}, {}, true}},
                  {ExperimentCell{13.5, .26, .35}, ExperimentCell{0, 0, 0, "Too few bits."}}};
  novels.cells[0][0]->riseError = .0021;
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
  const QString facts = cell(0, 1, Qt::ToolTipRole).toString().replace(QChar::Nbsp, QLatin1Char(' '));
  EXPECT_TRUE(facts.contains("+10.0 % ± 0.2 %")) << facts.toStdString();
  EXPECT_FALSE(cell(0, 2, Qt::ToolTipRole).toString().contains("±"));
  EXPECT_EQ(cell(1, 2).toString(), "failed");
  EXPECT_EQ(cell(1, 2, Qt::ToolTipRole).toString(), "Too few bits.");
  const PlainTable table = view.plainTable();
  EXPECT_EQ(table.header, (QStringList{"System", "1/4 of the bytes", "1/8 of the bytes"}));
  EXPECT_EQ(table.rows, (std::vector<QStringList>{{"joint", "11", "12"}, {"plain", "13.5", ""}}));
}

TEST_F(ExperimentViewTest, GreysWhatTookMoreThanItsColumnSays) {
  ExperimentRecord record = twoTables();
  record.tables[0].cells[1][0]->isAbove = true;
  view.setRecord(record);
  EXPECT_EQ(cell(1, 1, Qt::ForegroundRole).value<QColor>(), colours().soft);
  EXPECT_TRUE(cell(1, 1, Qt::ToolTipRole).toString().contains("More than its column says"));
  EXPECT_FALSE(cell(0, 1, Qt::ForegroundRole).isValid());
}

TEST(ExperimentPlot, OfManySystemsThoseThatNoOtherBeatsStandOut) {
  ExperimentTable table{"Bytes", 10, {"1/4 of the bytes"}, {}, {}};
  for (int i = 0; i < 30; ++i) {
    table.systems << QString::number(i);
    // All at the same bytes but the last two, of which one takes fewer.
    table.cells.push_back({ExperimentCell{10, i == 29 ? .2 : i == 28 ? .3 : .25, i >= 28 ? .5 : .01 * (30 - i)}});
  }
  const QualityCostRecord plot = experimentPlot(table);
  ASSERT_EQ(plot.others.size(), 30U);
  EXPECT_EQ(plot.others[0].label, "27");
  EXPECT_EQ(plot.others[1].label, "29");
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(plot.others[i].isContext, i > 1) << i;
  table.systems.resize(8);
  table.cells.resize(8);
  for (const QualityCostSeries& series : experimentPlot(table).others) EXPECT_FALSE(series.isContext);
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

TEST_F(ExperimentViewTest, PutsThePlotBesideTheTableWhereThereIsLittleHeight) {
  view.setRecord(twoTables());
  const auto* table = view.findChild<QTableView*>("experimentCells");
  const auto* plot = view.findChild<QualityCostView*>();
  const auto isBeside = [&] { return plot->mapTo(&view, QPoint()).x() > table->mapTo(&view, QPoint()).x(); };
  EXPECT_FALSE(isBeside());
  view.resize(1000, 240);
  EXPECT_TRUE(isBeside());
  EXPECT_GE(plot->height(), plot->minimumSizeHint().height());
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
