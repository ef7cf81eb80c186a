// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/lab_view.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QJsonArray>
#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QToolButton>

#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

using Page = LabView::Page;

LabFindings twoLists() {
  const std::vector<LabColumn> columns = {{"Line"}, {"Question", "What is asked", false, true}};
  LabFindings found;
  found.summary = {{{"File", {}, false, true}, {"Plan, %", "Of those asked"}},
                   {{{"a.jsonl", "/x/a.jsonl", "/x/a.jsonl"}, {"62.5", "0.625"}}}};
  found.details = {
      {"changed", "Changed", {columns, {{{"2"}, {"Where?"}}}}},
      {"all", "All", {columns, {{{"1"}, {"Who, and\twhy?"}}, {{"2"}, {"Where?", {}, "Where is it?", true}}}}}};
  return found;
}

class LabViewTest : public ::testing::Test {
 protected:
  LabViewTest() {
    view.controls()->setParent(&view);
    view.resize(640, 480);
    view.show();
  }
  [[nodiscard]] QTableView& table(const char* name) const { return *view.findChild<QTableView*>(QLatin1String(name)); }
  [[nodiscard]] QPushButton& button(const char* name) const {
    return *view.findChild<QPushButton*>(QLatin1String(name));
  }
  [[nodiscard]] QComboBox& list() const { return *view.findChild<QComboBox*>(QStringLiteral("labList")); }
  LabView view;
};

TEST_F(LabViewTest, ShowsFiguresAndTheListThatIsChosen) {
  EXPECT_FALSE(table("labSummary").isVisible()) << "nothing is known";
  view.setFindings(Page::questions, twoLists());
  ASSERT_TRUE(table("labSummary").isVisible());
  EXPECT_EQ(table("labSummary").model()->index(0, 1).data().toString(), "62.5");
  EXPECT_EQ(table("labSummary").model()->headerData(1, Qt::Horizontal, Qt::ToolTipRole).toString(), "Of those asked");
  EXPECT_EQ(list().currentText(), "Changed (1)");
  EXPECT_EQ(table("labDetails").model()->rowCount(), 1);
  QSignalSpy changed(&view, &View::viewStateChanged);
  list().setCurrentIndex(1);
  Q_EMIT list().activated(1);
  EXPECT_EQ(changed.count(), 1);
  const QAbstractItemModel& all = *table("labDetails").model();
  ASSERT_EQ(all.rowCount(), 2);
  EXPECT_TRUE(all.index(1, 1).data(Qt::ToolTipRole).toString().contains("Where is it?"));
  EXPECT_EQ(all.index(1, 1).data(Qt::AccessibleTextRole).toString(), "Where is it?");
  EXPECT_TRUE(all.index(1, 1).data(Qt::FontRole).isValid());
  EXPECT_FALSE(all.index(0, 1).data(Qt::FontRole).isValid());
  LabFindings more = twoLists();
  more.details[1].table.rows.push_back({{"3"}, {"When?"}});
  view.setFindings(Page::questions, more);
  EXPECT_EQ(list().currentText(), "All (3)") << "the list that was chosen stays";
  view.setFindings(Page::questions, {});
  EXPECT_FALSE(table("labSummary").isVisible());
}

TEST_F(LabViewTest, BeginsWithTheFirstListThatHasAnythingInIt) {
  LabFindings found = twoLists();
  found.details[0].table.rows.clear();
  view.setFindings(Page::questions, found);
  EXPECT_EQ(list().currentText(), "All (2)");
  found.details[1].table.rows.clear();
  view.setFindings(Page::questions, found);
  EXPECT_EQ(list().currentText(), "Changed (0)");
}

TEST_F(LabViewTest, APlotSaysHowManyTextsAreStillTheSame) {
  auto* plot = view.findChild<LabPlot*>();
  ASSERT_TRUE(plot);
  view.setFindings(Page::questions, twoLists());
  EXPECT_FALSE(plot->isVisible()) << "answers have none";
  LabFindings found = twoLists();
  found.curve = LabCurve{16, {0, 4, 16, 7}};
  view.setFindings(Page::agreement, found);
  view.showPage(Page::agreement);
  ASSERT_TRUE(plot->isVisible());
  EXPECT_EQ(found.curve->after(1), 3);
  EXPECT_EQ(found.curve->after(4), 3);
  EXPECT_EQ(found.curve->after(5), 2);
  EXPECT_EQ(found.curve->after(16), 1);
  EXPECT_EQ(plot->describe(8), "After 8 of 16 tokens 1 of 4 texts are still the same.");
  EXPECT_EQ(plot->accessibleDescription(), plot->describe(16));
  EXPECT_LT(plot->placeOf(4).y(), plot->placeOf(5).y());
  EXPECT_EQ(plot->placeOf(9).y(), plot->placeOf(16).y());
  const double octave = plot->placeOf(2).x() - plot->placeOf(1).x();
  EXPECT_NEAR(plot->placeOf(16).x() - plot->placeOf(8).x(), octave, 1e-9);
  // The line is where it says, in the colour of the theme.
  const QImage image = plot->grab().toImage();
  const QPoint place = (plot->placeOf(12) * image.devicePixelRatio()).toPoint();
  const auto isLine = [&](int below) {
    return image.pixelColor(place + QPoint(0, below)).rgb() == colours().accent.rgb();
  };
  EXPECT_TRUE(isLine(-1) || isLine(0) || isLine(1));  // It is two pixels wide, and one of them whole.
  EXPECT_FALSE(isLine(-4) || isLine(4));
  // Of texts of which none is the same any more the line goes to the bottom.
  found.curve = LabCurve{16, {3, 3}};
  view.setFindings(Page::agreement, found);
  EXPECT_EQ(plot->placeOf(16).y(), plot->placeOf(4).y());
  EXPECT_GT(plot->placeOf(4).y(), plot->placeOf(3).y());
}

TEST_F(LabViewTest, CellsOfAHeatTableHaveTheColoursOfTheirValues) {
  LabFindings found = twoLists();
  LabCell cold{"0.050"}, hot{"0.950"};
  cold.heat = 0.05;
  hot.heat = 0.95;
  found.details = {{"heat", "Heat", {{{"Layer"}, {"keys"}}, {{{"0"}, cold}, {{"1"}, hot}}}}};
  view.setFindings(Page::ranks, found);
  view.showPage(Page::ranks);
  QTableView& table = this->table("labDetails");
  const auto ground = [&](int row) { return table.model()->index(row, 1).data(Qt::BackgroundRole).value<QColor>(); };
  const auto letters = [&](int row) { return table.model()->index(row, 1).data(Qt::ForegroundRole).value<QColor>(); };
  EXPECT_FALSE(table.model()->index(0, 0).data(Qt::BackgroundRole).isValid());
  EXPECT_LT(qGray(ground(0).rgb()), qGray(ground(1).rgb()));
  for (const int row : {0, 1})
    EXPECT_GT(std::abs(qGray(ground(row).rgb()) - qGray(letters(row).rgb())), 100) << "letters can be read";
  QApplication::processEvents();  // The splitter lays out what it shows.
  const QImage image = table.viewport()->grab().toImage();
  const auto seen = [&](int row) {
    const QRect cell = table.visualRect(table.model()->index(row, 1));
    return image.pixelColor((QPointF(cell.left() + 3, cell.center().y()) * image.devicePixelRatio()).toPoint());
  };
  for (const int row : {0, 1}) EXPECT_EQ(seen(row).rgb(), ground(row).rgb());
}

TEST_F(LabViewTest, EachPageSaysOfWhatItsFiguresAre) {
  view.showPage(Page::questions);
  EXPECT_EQ(view.remark(), "the original and the plan");
  QSignalSpy renamed(&view, &View::titleChanged);
  view.showPage(Page::ranks);
  EXPECT_EQ(view.remark(), "of the model itself");
  view.showPage(Page::variants);
  EXPECT_EQ(view.remark(), "at the plan's ranks");
  EXPECT_EQ(renamed.size(), 2);
  EXPECT_EQ(view.title(), "Evaluation lab");
}

TEST_F(LabViewTest, AScatterShowsWhatTruncationCostsOverRanks) {
  auto* scatter = view.findChild<LabScatter*>();
  ASSERT_TRUE(scatter);
  LabFindings found = twoLists();
  found.points = LabPoints{"50 %",
                           {"a", "b"},
                           {{"layer 0 keys", 0.25, 0.0123, true, 0},
                            {"layer 0 values", 0.5, 0.1, false, 0},
                            {"layer 1 keys", 0.5, -0.00125, true, 1},
                            {"layer 1 values", 0.5, 0, false, 1}}};
  view.setFindings(Page::ranks, found);
  EXPECT_FALSE(scatter->isVisible()) << "another page is shown";
  view.showPage(Page::ranks);
  ASSERT_TRUE(scatter->isVisible());
  EXPECT_EQ(scatter->describe(0).toStdString(),
            "a · layer 0 keys · rank 25.0 % · +0.0123 nats a token with 50 % of the directions");
  EXPECT_EQ(scatter->describe(2).toStdString(),
            "b · layer 1 keys · rank 50.0 % · −0.00125 nats a token with 50 % of the directions");
  EXPECT_LT(scatter->placeOf(0).x(), scatter->placeOf(1).x());
  EXPECT_GT(scatter->placeOf(0).y(), scatter->placeOf(1).y()) << "what costs more is higher";
  EXPECT_EQ(scatter->placeOf(2).y(), scatter->placeOf(3).y()) << "what costs nothing lies at the bottom";
  EXPECT_GT(scatter->placeOf(2).y(), scatter->placeOf(0).y());
  EXPECT_EQ(scatter->pointAt(scatter->placeOf(1) + QPointF(2, 2)), 1U);
  EXPECT_FALSE(scatter->pointAt({-100, -100}));
  const QImage image = scatter->grab().toImage();
  const auto colourAt = [&](std::size_t point) {
    return image.pixelColor((scatter->placeOf(point) * image.devicePixelRatio()).toPoint()).rgb();
  };
  EXPECT_EQ(colourAt(0), colours().accent.rgb()) << "keys";
  EXPECT_EQ(colourAt(1), colours().valueText.rgb()) << "values";
  EXPECT_EQ(colourAt(2), colours().panel.rgb()) << "of the second text: hollow";
}

TEST_F(LabViewTest, TheTableWithTheFocusLeavesTheWindow) {
  view.setFindings(Page::questions, twoLists());
  QApplication::setActiveWindow(&view);
  table("labDetails").setFocus();
  EXPECT_EQ(view.plainTable().header, (QStringList{"Line", "Question"}));
  table("labSummary").setFocus();
  EXPECT_EQ(view.plainTable().rows, (std::vector<QStringList>{{"/x/a.jsonl", "0.625"}})) << "exact, and whole";
  list().setCurrentIndex(1);
  Q_EMIT list().activated(1);
  QTableView& details = table("labDetails");
  details.setFocus();
  details.clearSelection();
  QTest::keyClick(&details, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QApplication::clipboard()->text(), "Line\tQuestion\n1\tWho, and why?\n2\tWhere?\n");
  details.selectRow(1);
  QTest::keyClick(&details, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QApplication::clipboard()->text(), "Line\tQuestion\n2\tWhere?\n");
}

TEST_F(LabViewTest, EachPageIsBegunAndStoppedByItself) {
  QSignalSpy begun(&view, &LabView::startRequested), stopped(&view, &LabView::stopRequested),
      asked(&view, &LabView::helpRequested);
  view.setWork(Page::agreement, {true, "write · 3 of 8", {}});
  EXPECT_TRUE(button("startLab").isVisible());
  EXPECT_FALSE(button("stopLab").isVisible());
  button("startLab").click();
  EXPECT_EQ(begun.takeFirst().at(0).value<Page>(), Page::questions);
  auto* which = view.findChild<SegmentedControl*>();
  which->segment(QStringLiteral("agreement"))->click();
  EXPECT_EQ(view.page(), Page::agreement);
  EXPECT_EQ(view.findChild<QLabel*>(QStringLiteral("labStatus"))->text(), "write · 3 of 8");
  EXPECT_FALSE(button("startLab").isVisible());
  button("stopLab").click();
  EXPECT_EQ(stopped.takeFirst().at(0).value<Page>(), Page::agreement);
  EXPECT_FALSE(button("stopLab").isEnabled()) << "once is enough";
  button("labHelp").click();
  EXPECT_EQ(asked.takeFirst().at(0).toString(), "evaluation#Agreement");
  view.setWork(Page::agreement, {false, {}, "Calibrate the model first."});
  EXPECT_TRUE(button("startLab").isVisible());
  EXPECT_FALSE(button("startLab").isEnabled());
  view.showPage(Page::predictors);
  EXPECT_TRUE(button("startLab").isEnabled());
}

TEST_F(LabViewTest, ComesBackAsItWas) {
  EXPECT_TRUE(view.viewState().isEmpty());
  view.setFindings(Page::questions, twoLists());
  list().setCurrentIndex(1);
  Q_EMIT list().activated(1);
  view.showPage(Page::predictors);
  const QJsonObject state = view.viewState();
  LabView other;
  other.setFindings(Page::questions, twoLists());
  EXPECT_TRUE(other.setViewState(state));
  EXPECT_EQ(other.page(), Page::predictors);
  EXPECT_EQ(other.viewState(), state);
  other.showPage(Page::questions);
  EXPECT_EQ(other.findChild<QComboBox*>(QStringLiteral("labList"))->currentText(), "All (2)");
  EXPECT_FALSE(other.setViewState({{"page", "cellar"}}));
  EXPECT_FALSE(other.setViewState({{"split", QJsonArray{-1, 3}}}));
  EXPECT_TRUE(other.setViewState({}));
  EXPECT_EQ(other.page(), Page::questions);
}

}  // namespace
}  // namespace kvista
