// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QApplication>
#include <QClipboard>
#include <QLabel>
#include <QListView>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QUndoCommand>
#include <QUndoStack>
#include <QUndoView>

#include "views/history_view.h"
#include "views/job_row.h"
#include "views/jobs_view.h"
#include "views/problem_bar.h"
#include "views/problems_view.h"
#include "views/words.h"
#include "views/work_line.h"

namespace kvista {
namespace {

QStringList visibleTexts(const QWidget& widget) {
  QStringList texts;
  for (const QLabel* label : widget.findChildren<QLabel*>())
    if (label->isVisible() && !label->text().isEmpty()) texts << label->text();
  return texts;
}

QPushButton* button(const QWidget* parent, const QString& text) {
  for (auto* each : parent->findChildren<QPushButton*>())
    if (each->text() == text && each->isVisible()) return each;
  return nullptr;
}

JobRecord running(const QString& id) {
  JobRecord job;
  job.id = id;
  job.name = "Calibrate demo";
  job.stage = "layer 3 of 8";
  job.share = 0.42;
  job.elapsedSeconds = 83;
  job.remainingSeconds = 115;
  return job;
}

TEST(Words, DurationsAreShort) {
  EXPECT_EQ(durationText(0), "0 s");
  EXPECT_EQ(durationText(1.44), "1.4 s");
  EXPECT_EQ(durationText(59.4), "59 s");
  EXPECT_EQ(durationText(200), "3 min 20 s");
  EXPECT_EQ(durationText(3900), "1 h 05 min");
  EXPECT_EQ(durationText(-1), "");
}

TEST(JobsView, ShowsHowFarAJobIsAndCancelsItOnce) {
  JobsView view;
  view.show();
  EXPECT_TRUE(visibleTexts(view).first().startsWith("No jobs."));
  view.setRecord({running("7")});
  EXPECT_EQ(visibleTexts(view).join('|'), "Calibrate demo|layer 3 of 8|42 % · 1 min 23 s · 1 min 55 s left");
  EXPECT_EQ(view.findChild<QProgressBar*>()->value(), 420);
  view.findChild<JobRow*>()->showTimes(120);
  EXPECT_TRUE(visibleTexts(view).contains("42 % · 3 min 23 s · 0 s left"))
      << "time goes on without news, and is never negative";
  QSignalSpy cancelled(&view, &JobsView::cancelRequested);
  ASSERT_NE(button(&view, "Cancel"), nullptr);
  QTest::mouseClick(button(&view, "Cancel"), Qt::LeftButton);
  ASSERT_EQ(cancelled.size(), 1);
  EXPECT_EQ(cancelled[0][0].toString(), "7");
  EXPECT_FALSE(button(&view, "Cancelling…")->isEnabled());
  JobRecord vague = running("7");
  vague.share.reset();
  view.setRecord({vague});
  EXPECT_EQ(view.findChild<QProgressBar*>()->maximum(), 0) << "busy, not a made-up share";
}

TEST(JobsView, SaysWhatAJobTakesOfTheMemory) {
  JobsView view;
  view.show();
  JobRecord job = running("7");
  job.memory = "about 2.1 GB of 8.0 GB free on CPU";
  view.setRecord({job});
  EXPECT_TRUE(visibleTexts(view).contains(job.memory)) << visibleTexts(view).join('|').toStdString();
  WorkLine line;
  line.show();
  line.setJobs({job});
  EXPECT_EQ(line.findChild<QLabel*>("runningProgress")->toolTip(), "layer 3 of 8\nabout 2.1 GB of 8.0 GB free on CPU");
  job.state = JobRecord::State::done;
  view.setRecord({job});
  EXPECT_FALSE(visibleTexts(view).contains(job.memory)) << "it has been given back";
}

TEST(JobsView, ALongNameLeavesRoomForTheTime) {
  JobsView view;
  view.resize(220, 200);
  view.show();
  JobRecord job = running("7");
  job.name = "Calibrate on a-long-name-of-a-text-that-nobody-can-read.txt";
  job.state = JobRecord::State::done;
  view.setRecord({job});
  QApplication::processEvents();
  const QLabel* took = nullptr;
  for (const QLabel* label : view.findChildren<QLabel*>())
    if (label->text() == "1 min 23 s") took = label;
  ASSERT_TRUE(took && took->isVisible());
  EXPECT_LE(took->mapTo(&view, QPoint(took->width(), 0)).x(), view.width());
  EXPECT_GE(took->width(), took->fontMetrics().horizontalAdvance(took->text()));
}

TEST(JobsView, AFailureKeepsItsSentenceUntilItIsDismissed) {
  JobsView view;
  view.resize(600, 400);
  view.show();
  JobRecord job = running("7");
  view.setRecord({job});
  job.state = JobRecord::State::failed;
  job.sentence = "The text has 812 tokens; a window needs 2,048.";
  job.hint = "Choose a longer file.";
  job.details = "engine 1.0";
  view.setRecord({job});
  EXPECT_TRUE(visibleTexts(view).contains(job.sentence));
  EXPECT_TRUE(visibleTexts(view).contains("Failed"));
  EXPECT_FALSE(view.findChild<QProgressBar*>()->isVisible()) << "the busy mark ends";
  EXPECT_EQ(button(&view, "Cancel"), nullptr);
  QSignalSpy copied(&view, &JobsView::copyRequested), dismissed(&view, &JobsView::dismissed);
  QTest::mouseClick(button(&view, "Copy report"), Qt::LeftButton);
  QTest::mouseClick(button(&view, "Dismiss"), Qt::LeftButton);
  EXPECT_EQ(copied.value(0).value(0).toString(), "7");
  EXPECT_EQ(dismissed.value(0).value(0).toString(), "7");
  view.setRecord({});
  EXPECT_TRUE(visibleTexts(view).first().startsWith("No jobs."));
  EXPECT_EQ(view.findChild<JobRow*>(), nullptr);
}

TEST(JobsView, WhatIsFinishedGoesBelow) {
  JobsView view;
  view.resize(600, 400);
  view.show();
  JobRecord first = running("1"), second = running("2");
  view.setRecord({first, second});
  first.state = JobRecord::State::done;
  view.setRecord({first, second});
  ASSERT_TRUE(QTest::qWaitFor([&] { return visibleTexts(view).contains("Earlier"); }));
  QApplication::processEvents();
  const auto rows = view.findChildren<JobRow*>();
  const auto done = std::find_if(rows.begin(), rows.end(), [](const JobRow* row) { return row->record().id == "1"; });
  const auto open = std::find_if(rows.begin(), rows.end(), [](const JobRow* row) { return row->record().id == "2"; });
  EXPECT_GT((*done)->y(), (*open)->y());
  EXPECT_EQ((*done)->graphicsEffect(), nullptr) << "it can be seen again";
  view.setRecord({second});  // And goes while nothing holds it.
  EXPECT_EQ(view.findChildren<JobRow*>().size(), 1);
}

TEST(JobsView, OffersToContinueWhatTheEngineDiedOver) {
  JobsView view;
  view.show();
  JobRecord job = running("7");
  job.state = JobRecord::State::failed;
  view.setRecord({job});
  EXPECT_EQ(button(&view, "Continue"), nullptr);
  job.canContinue = true;
  view.setRecord({job});
  // What hears of it takes the row away, with the button that is being pressed.
  QStringList again;
  QObject::connect(&view, &JobsView::againRequested, [&](const QString& id) {
    again << id;
    view.setRecord({});
  });
  ASSERT_NE(button(&view, "Continue"), nullptr);
  QTest::mouseClick(button(&view, "Continue"), Qt::LeftButton);
  EXPECT_EQ(again, QStringList{"7"});
  EXPECT_EQ(view.findChild<JobRow*>(), nullptr);
}

TEST(WorkLine, ShowsTheNewestRunningJobAndCancelsItOnce) {
  WorkLine line;
  line.show();
  EXPECT_EQ(visibleTexts(line), QStringList{});
  EXPECT_EQ(line.findChild<QProgressBar*>()->isVisible(), false);
  JobRecord first = running("1"), newest = running("2");
  newest.name = "Measure on emma.txt";
  line.setJobs({first, newest});
  EXPECT_NE(button(&line, "Measure on emma.txt and 1 more"), nullptr);
  EXPECT_EQ(visibleTexts(line), QStringList{"42 % · 1 min 23 s · 1 min 55 s left"});
  EXPECT_EQ(line.findChild<QProgressBar*>()->value(), 420);
  QSignalSpy cancelled(&line, &WorkLine::cancelRequested), jobs(&line, &WorkLine::jobsWanted);
  QTest::mouseClick(button(&line, "Cancel"), Qt::LeftButton);
  ASSERT_EQ(cancelled.size(), 1);
  EXPECT_EQ(cancelled[0][0].toString(), "2");
  line.setJobs({first, newest});  // Progress still comes in.
  ASSERT_NE(button(&line, "Cancelling…"), nullptr);
  EXPECT_FALSE(button(&line, "Cancelling…")->isEnabled());
  newest.state = JobRecord::State::cancelled;
  line.setJobs({first, newest});
  ASSERT_NE(button(&line, "Cancel"), nullptr);
  EXPECT_TRUE(button(&line, "Cancel")->isEnabled()) << "the other job is another one";
  QTest::mouseClick(button(&line, "Calibrate demo"), Qt::LeftButton);
  EXPECT_EQ(jobs.size(), 1);
  first.state = JobRecord::State::failed;
  line.setJobs({first, newest});
  EXPECT_EQ(button(&line, "Cancel"), nullptr);
}

TEST(WorkLine, ANarrowLineShortensItsBarAndNoWords) {
  WorkLine line;
  line.setJobs({running("1")});
  line.show();
  QCoreApplication::processEvents();
  const int wide = line.sizeHint().width();
  const auto barAt = [&](int width) {
    line.resize(width, line.height());
    QCoreApplication::processEvents();
    return line.findChild<QProgressBar*>()->width();
  };
  const int bar = barAt(wide);
  EXPECT_EQ(barAt(wide - 90), bar - 90);
  for (const auto* label : line.findChildren<QLabel*>())
    EXPECT_GE(label->width(), label->fontMetrics().horizontalAdvance(label->text())) << label->text().toStdString();
}

TEST(WorkLine, CountsProblems) {
  WorkLine line;
  line.show();
  line.setProblems(2);
  QSignalSpy wanted(&line, &WorkLine::problemsWanted);
  const auto* count = line.findChild<QPushButton*>("problemCount");
  EXPECT_TRUE(count->isVisible());
  EXPECT_EQ(count->text(), "2 problems");
  QTest::mouseClick(line.findChild<QPushButton*>("problemCount"), Qt::LeftButton);
  EXPECT_EQ(wanted.size(), 1);
  line.setProblems(0);
  EXPECT_FALSE(count->isVisible());
}

std::vector<ProblemRecord> someProblems() {
  return {{"a", ProblemRecord::Severity::note, "Few tokens.", "Take more.", ""},
          {"b", ProblemRecord::Severity::error, "The file is cut off.", "Download it again.", "/m/a.safetensors"},
          {"c", ProblemRecord::Severity::error, "The file is cut off.", "Download it again.", "/m/a.safetensors"},
          {"d", ProblemRecord::Severity::error, "The file is cut off.", "Download it again.", "/m/b.safetensors"}};
}

TEST(ProblemsModel, IsAModelThatShowsEachProblemOnce) {
  ProblemsModel model;
  const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.setProblems(someProblems());
  ASSERT_EQ(model.rowCount(), 3);
  EXPECT_EQ(model.at(0).id, "b");
  EXPECT_EQ(model.at(1).id, "d") << "another path is another problem";
  EXPECT_EQ(model.at(2).id, "a") << "the gravest first";
  EXPECT_EQ(model.index(0).data().toString(), "Error: The file is cut off. Download it again. /m/a.safetensors");
  model.setProblems({});
  EXPECT_EQ(model.rowCount(), 0);
}

TEST(ProblemsView, EnterAndADoubleClickJump) {
  ProblemsView view;
  view.resize(600, 300);
  view.show();
  ASSERT_TRUE(QTest::qWaitForWindowExposed(&view));
  EXPECT_EQ(visibleTexts(view).join('|'), "No problems.");
  view.setRecord(someProblems());
  EXPECT_EQ(view.remark(), "3");
  QStringList jumps;
  QObject::connect(&view, &ProblemsView::jumpRequested, [&](const QString& id) { jumps << id; });
  auto* list = view.findChild<QListView*>();
  list->setFocus();
  QTest::keyClick(list, Qt::Key_Down);
  QTest::keyClick(list, Qt::Key_Return);
  const QPoint third = list->visualRect(list->model()->index(2, 0)).center();
  QTest::mouseClick(list->viewport(), Qt::LeftButton, {}, third);
  QTest::mouseDClick(list->viewport(), Qt::LeftButton, {}, third);
  EXPECT_EQ(jumps, (QStringList{"d", "a"}));
  QTest::keyClick(list, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QApplication::clipboard()->text(), "Note: Few tokens. Take more.");
}

TEST(ProblemBar, ShowsTheNewestFailureUntilItIsDismissed) {
  QWidget window;
  ProblemBar bar(&window);
  window.show();
  EXPECT_FALSE(bar.isVisible());
  std::vector<ProblemRecord> problems = someProblems();
  problems.push_back({.id = "7",
                      .sentence = "The engine was killed by signal 9.",
                      .hint = "Your edits are safe.",
                      .path = "",
                      .title = "Calibrate on emma.txt was interrupted",
                      .report = "everything",
                      .again = "Continue"});
  problems.push_back({"w", ProblemRecord::Severity::warning, "Few tokens.", "", ""});
  bar.setRecord(problems);
  EXPECT_TRUE(bar.isVisible());
  EXPECT_EQ(visibleTexts(bar).filter(" ").join('|'),
            "Calibrate on emma.txt was interrupted|The engine was killed by signal 9.|Your edits are safe.");
  QSignalSpy dismissed(&bar, &ProblemBar::dismissed), again(&bar, &ProblemBar::againRequested);
  QTest::mouseClick(button(&bar, "Copy report"), Qt::LeftButton);
  EXPECT_EQ(QApplication::clipboard()->text(), "everything");
  QTest::mouseClick(button(&bar, "Continue"), Qt::LeftButton);
  EXPECT_EQ(again.value(0).value(0).toString(), "7");
  QTest::mouseClick(button(&bar, "Dismiss"), Qt::LeftButton);
  EXPECT_EQ(dismissed.value(0).value(0).toString(), "7");
  problems.erase(problems.end() - 2);
  bar.setRecord(problems);
  EXPECT_TRUE(visibleTexts(bar).contains("/m/b.safetensors")) << "the one before it";
  EXPECT_EQ(button(&bar, "Continue"), nullptr);
  bar.setRecord({problems.front(), problems.back()});
  EXPECT_FALSE(bar.isVisible()) << "notes and warnings stand in nobody's way";
}

TEST(HistoryView, ListsWhatWasDoneAndGoesBack) {
  HistoryView view;
  view.resize(300, 300);
  view.show();
  EXPECT_EQ(visibleTexts(view).size(), 1) << "the empty state";
  {
    QUndoStack stack;
    view.setStack(&stack);
    stack.push(new QUndoCommand("Move K9 to group 2"));
    stack.push(new QUndoCommand("Lock layer 3 group 1"));
    auto* list = view.findChild<QUndoView*>();
    ASSERT_TRUE(list->isVisible());
    const QAbstractItemModelTester tester(list->model(), QAbstractItemModelTester::FailureReportingMode::Fatal);
    ASSERT_EQ(list->model()->rowCount(), 3);
    EXPECT_EQ(list->model()->index(1, 0).data().toString(), "Move K9 to group 2");
    QTest::mouseClick(list->viewport(), Qt::LeftButton, {}, list->visualRect(list->model()->index(0, 0)).center());
    EXPECT_EQ(stack.index(), 0);
    QTest::keyClick(list, Qt::Key_Down);
    EXPECT_EQ(stack.index(), 1);
  }
  EXPECT_EQ(visibleTexts(view).size(), 1) << "a stack that is gone leaves nothing";
}

}  // namespace
}  // namespace kvista
