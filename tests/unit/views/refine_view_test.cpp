// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/refine_view.h"

#include <gtest/gtest.h>

#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <cmath>

namespace kvista {
namespace {

RefineCurve running() {
  RefineCurve record;
  record.running = true;
  record.status = QStringLiteral("Step 4 of 8");
  record.steps = {{1, 0.4, 0.5}, {2, 0.3, {}}, {3, 0.2, 0.25}, {4, 0.1, {}}};
  return record;
}

class RefineViewTest : public ::testing::Test {
 protected:
  RefineViewTest() {
    view.resize(480, 360);
    view.show();
  }
  [[nodiscard]] bool sees(const char* name) const { return view.findChild<QWidget*>(QLatin1String(name))->isVisible(); }
  RefineView view;
};

TEST_F(RefineViewTest, DrawsTheLossFallingWithTheSteps) {
  view.setRecord(running());
  const auto& steps = view.record().steps;
  for (std::size_t i = 1; i < steps.size(); ++i) {
    EXPECT_GT(view.placeOf(steps[i])->x(), view.placeOf(steps[i - 1])->x());
    EXPECT_GT(view.placeOf(steps[i])->y(), view.placeOf(steps[i - 1])->y()) << "lower loss, lower in the picture";
  }
  EXPECT_EQ(view.describe(steps[0]), "Step 1: training 0.4, held out 0.5 nats a token");
  EXPECT_EQ(view.describe(steps[1]), "Step 2: training 0.3 nats a token");
  EXPECT_EQ(view.plainTable().rows.size(), 4U);
  EXPECT_EQ(view.plainTable().rows[1], (QStringList{"2", "0.3", ""}));
}

TEST_F(RefineViewTest, ALossWithoutALogarithmIsLeftOut) {
  RefineCurve record = running();
  record.steps[1].training = 0;
  record.steps[2].training = NAN;
  view.setRecord(record);
  EXPECT_FALSE(view.placeOf(record.steps[1]));
  EXPECT_FALSE(view.placeOf(record.steps[2]));
  EXPECT_TRUE(view.placeOf(record.steps[3]));
}

TEST_F(RefineViewTest, CanBeStoppedWhileItRunsAndStartedOtherwise) {
  EXPECT_TRUE(sees("refineButton"));
  EXPECT_FALSE(sees("stopRefining"));
  QSignalSpy refine(&view, &RefineView::refineRequested), stop(&view, &RefineView::stopRequested);
  QTest::mouseClick(view.findChild<QPushButton*>("refineButton"), Qt::LeftButton);
  EXPECT_EQ(refine.size(), 1);
  view.setRecord(running());
  EXPECT_FALSE(sees("refineButton"));
  auto* button = view.findChild<QPushButton*>("stopRefining");
  QTest::mouseClick(button, Qt::LeftButton);
  EXPECT_EQ(stop.size(), 1);
  EXPECT_FALSE(button->isEnabled()) << "it was asked to stop already";
  RefineCurve done = running();
  done.running = false;
  view.setRecord(done);
  view.setRecord(running());
  EXPECT_TRUE(button->isEnabled());
}

TEST_F(RefineViewTest, SaysWhyThereIsNothingToRefine) {
  RefineCurve record;
  record.unavailable = QStringLiteral("Open a model first.");
  view.setRecord(record);
  EXPECT_FALSE(view.findChild<QPushButton*>("refineButton")->isEnabled());
  bool said = false;
  for (const auto* label : view.findChildren<QLabel*>())
    said = said || (label->isVisible() && label->text() == record.unavailable);
  EXPECT_TRUE(said);
}

TEST_F(RefineViewTest, ShowsPerplexitiesOnBothTexts) {
  RefineCurve record = running();
  record.running = false;
  record.perplexities = {{"text refined on", "novels.txt", 17.41, 21.02, 17.77},
                         {"other text", "wikitext.txt", 18.32, 24.24, 18.97}};
  view.setRecord(record);
  QStringList shown;
  for (const auto* label : view.findChild<QWidget*>("refinePerplexities")->findChildren<QLabel*>())
    shown << label->text();
  for (const char* text : {"text refined on", "other text", "21.02", "17.77", "24.24", "18.97"})
    EXPECT_TRUE(shown.contains(QLatin1String(text))) << text;
}

}  // namespace
}  // namespace kvista
