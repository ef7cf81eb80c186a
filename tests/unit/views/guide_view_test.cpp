// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/guide_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QApplication>
#include <QClipboard>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QLabel>
#include <QMimeData>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QTreeView>
#include <set>

#include "views/provenance_view.h"

namespace kvista {
namespace {

QPushButton* button(const QWidget& parent, const QString& text) {
  for (auto* each : parent.findChildren<QPushButton*>())
    if (each->text() == text && each->isVisible()) return each;
  return nullptr;
}

GuideRecord someRecord() {
  GuideRecord record;
  record.steps = {GuideRecord::Progress::done, GuideRecord::Progress::current, GuideRecord::Progress::later,
                  GuideRecord::Progress::later};
  record.recent = {{.path = "/m/austen", .name = "austen", .when = "today"},
                   {.path = "/gone/qwen", .name = "qwen", .missing = true}};
  return record;
}

class GuideWindow : public ::testing::Test {
 protected:
  GuideWindow() {
    view.resize(900, 640);
    view.show();
    EXPECT_TRUE(QTest::qWaitForWindowExposed(&view));
    view.setRecord(someRecord());
    QApplication::processEvents();
  }
  GuideView view;
};
class DragGuide : public GuideWindow {};

TEST_F(GuideWindow, EveryButtonSaysWhatIsWanted) {
  QSignalSpy opened(&view, &GuideView::openRequested), demo(&view, &GuideView::demoRequested),
      recent(&view, &GuideView::recentChosen), locate(&view, &GuideView::locateRequested),
      removed(&view, &GuideView::removeRequested);
  std::vector<GuideView::Step> steps;
  QObject::connect(&view, &GuideView::stepRequested, [&](GuideView::Step step) { steps.push_back(step); });
  for (const char* text :
       {"Open a model…", "Open the demo model", "austen", "Locate…", "Remove", "Open…", "Calibrate…"}) {
    ASSERT_NE(button(view, text), nullptr) << text;
    QTest::mouseClick(button(view, text), Qt::LeftButton);
  }
  EXPECT_EQ(opened.size(), 1);
  EXPECT_EQ(demo.size(), 1);
  EXPECT_EQ(recent.value(0).value(0).toString(), "/m/austen");
  EXPECT_EQ(locate.value(0).value(0).toString(), "/gone/qwen");
  EXPECT_EQ(removed.value(0).value(0).toString(), "/m/austen");
  EXPECT_THAT(steps, ::testing::ElementsAre(GuideView::open, GuideView::calibrate));
  EXPECT_FALSE(button(view, "Edit the plan")->isEnabled());
  EXPECT_EQ(button(view, "qwen"), nullptr) << "what is missing cannot be opened";
}

TEST_F(GuideWindow, WhatLiesOnAnotherMachineIsSaidAndCanBeOpened) {
  GuideRecord record = someRecord();
  record.recent = {{.path = "/models/llama", .name = "llama", .when = "today", .host = "gpu-server"}};
  view.setRecord(record);
  QApplication::processEvents();
  QStringList words;
  for (const QLabel* label : view.findChildren<QLabel*>())
    if (label->isVisible()) words << label->text();
  EXPECT_TRUE(words.contains("gpu-server:/models/llama"));
  EXPECT_FALSE(words.contains("missing"));
  QSignalSpy chosen(&view, &GuideView::recentChosen);
  ASSERT_NE(button(view, "llama"), nullptr);
  QTest::mouseClick(button(view, "llama"), Qt::LeftButton);
  EXPECT_EQ(chosen.value(0).value(0).toString(), "/models/llama");
}

TEST_F(GuideWindow, TheStepsSayHowFarOneIs) {
  QStringList words;
  for (const QLabel* label : view.findChildren<QLabel*>()) words << label->text();
  EXPECT_EQ(words.count("done"), 1);
  EXPECT_EQ(words.count("now"), 1);
  EXPECT_EQ(words.count("later"), 2);
}

TEST_F(GuideWindow, TheKeyboardReachesEverything) {
  std::set<QString> reached;
  button(view, "Open a model…")->setFocus();
  for (int i = 0; i < 20; ++i) {
    if (const auto* focused = qobject_cast<QPushButton*>(QApplication::focusWidget())) reached.insert(focused->text());
    QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
  }
  EXPECT_THAT(reached,
              ::testing::IsSupersetOf({QString("Open a model…"), QString("Open the demo model"), QString("Calibrate…"),
                                       QString("austen"), QString("Locate…"), QString("Remove")}));
}

TEST_F(GuideWindow, AStepThatRunsSaysHowFarItIsAndIsNotBegunTwice) {
  const auto says = [&](const QString& words) {
    const auto labels = view.findChildren<QLabel*>();
    return std::any_of(labels.begin(), labels.end(), [&](const QLabel* label) { return label->text() == words; });
  };
  view.setUnderWay("42 %");
  EXPECT_TRUE(says("42 %"));
  EXPECT_FALSE(says("now"));
  EXPECT_FALSE(button(view, "Calibrate…")->isEnabled());
  EXPECT_TRUE(button(view, "Open…")->isEnabled());
  view.setUnderWay({});
  EXPECT_TRUE(says("now"));
  EXPECT_TRUE(button(view, "Calibrate…")->isEnabled());
}

TEST_F(DragGuide, TakesFoldersAndNothingElse) {
  QSignalSpy dropped(&view, &GuideView::dropped);
  QMimeData folder, words;
  folder.setUrls({QUrl::fromLocalFile("/m/austen")});
  words.setText("hello");
  QDragEnterEvent foreign({9, 9}, Qt::CopyAction, &words, Qt::LeftButton, {});
  foreign.ignore();
  QApplication::sendEvent(&view, &foreign);
  EXPECT_FALSE(foreign.isAccepted());
  QDragEnterEvent enter({9, 9}, Qt::CopyAction, &folder, Qt::LeftButton, {});
  enter.ignore();
  QApplication::sendEvent(&view, &enter);
  EXPECT_TRUE(enter.isAccepted());
  QDropEvent drop({9, 9}, Qt::CopyAction, &folder, Qt::LeftButton, {});
  QApplication::sendEvent(&view, &drop);
  ASSERT_EQ(dropped.size(), 1);
  EXPECT_EQ(dropped[0][0].toStringList(), QStringList{"/m/austen"});
}

TEST(ProvenanceView, CopiesFactsAsLines) {
  ProvenanceView view;
  view.resize(400, 300);
  view.show();
  ASSERT_TRUE(QTest::qWaitForWindowExposed(&view));
  auto* copy = qobject_cast<QPushButton*>(view.controls());
  EXPECT_FALSE(copy->isEnabled());
  view.setRecord({{"Model", {{"Hash", "4f2a"}, {"Family", "llama"}}}, {"Made with", {{"KVista", "1.0.0"}}}});
  auto* tree = view.findChild<QTreeView*>();
  const QAbstractItemModelTester tester(tree->model(), QAbstractItemModelTester::FailureReportingMode::Fatal);
  copy->click();
  EXPECT_EQ(QApplication::clipboard()->text(), "Model\nHash\t4f2a\nFamily\tllama\nMade with\nKVista\t1.0.0\n");
  tree->setFocus();
  tree->setCurrentIndex(tree->model()->index(1, 0, tree->model()->index(0, 0)));
  QTest::keyClick(tree, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QApplication::clipboard()->text(), "Family\tllama");
}

}  // namespace
}  // namespace kvista
