// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <QComboBox>
#include <QDialog>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <map>
#include <utility>

#include "app/studio/places.h"
#include "tests/unit/studio/choose_file.h"
#include "tests/unit/studio/real_window.h"
#include "views/job_row.h"

namespace kvista::test {

/// The whole window with the engine of this build and the demo model.
class RealEngine : public RealWindow {
 protected:
  /// An engine that computes has to share the machine with whatever else runs.
  static bool waitFor(const std::function<bool()>& happened) { return QTest::qWaitFor(happened, 300'000); }
  void startWithEngine(const QStringList& before = {}) {
    const QString program = QCoreApplication::applicationDirPath() + QStringLiteral("/kvista");
    EngineCommand command{program, {QStringLiteral("engine")}};
    if (!before.isEmpty()) command = {before.front(), before.mid(1) + QStringList{program, QStringLiteral("engine")}};
    window = std::make_unique<MainWindow>(command);
    window->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window.get()));
    QApplication::setActiveWindow(window.get());
    watch();
  }
  /// The dialog of this name, once it is there.
  QDialog* dialog(const char* name) const {
    QDialog* found = nullptr;
    waitFor([&] { return (found = window->findChild<QDialog*>(QLatin1String(name))) && found->isVisible(); });
    return found;
  }
  /// Fills numbers in by the names of their boxes and presses the button that goes on.
  void answer(const char* action, const char* name, const std::map<const char*, int>& numbers) {
    this->action(action)->trigger();
    QDialog* asked = dialog(name);
    ASSERT_TRUE(asked) << name;
    for (const auto& [box, value] : numbers) {
      auto* number = asked->findChild<QSpinBox*>(QLatin1String(box));
      ASSERT_TRUE(number) << box;
      number->setValue(value);
    }
    auto* start = asked->findChild<QPushButton*>(QStringLiteral("startButton"));
    ASSERT_TRUE(start->isEnabled());
    start->click();
  }
  /// Plans anew by a method; without a target, for that which the plan has.
  void makePlan(const char* method, const QString& target = {}) {
    action("plan.make")->trigger();
    QDialog* asked = dialog("planDialog");
    ASSERT_TRUE(asked);
    asked->findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QLatin1String(method));
    if (!target.isEmpty()) asked->findChild<QLineEdit*>(QStringLiteral("target"))->setText(target);
    asked->findChild<QPushButton*>(QStringLiteral("startButton"))->click();
  }
  /// The demo model, calibrated on a little of its text, with a first plan. Calibrating takes longer than most tests:
  /// the first one does it as a person would, and the others open what that wrote, where they would have written it.
  void calibrateDemo() {
    window->openDemo();
    ASSERT_TRUE(waitFor([this] { return document().hasModel(); }));
    const auto hasFirstPlan = [this] { return isIdle() && document().undoStack().count() == 1; };
    if (!QFile::exists(calibratedOnce())) {
      answer("plan.calibrate", "calibrateDialog", {{"window", 64}, {"windows", 8}});
      ASSERT_TRUE(waitFor(hasFirstPlan)) << window->facts().dump(1);
      const auto jobs = window->findChildren<JobRow*>();
      ASSERT_EQ(jobs.size(), 2) << "calibration, and the plan that follows by itself";
      for (const JobRow* job : jobs)
        EXPECT_TRUE(job->record().memory.contains("free on CPU")) << job->record().memory.toStdString();
      ASSERT_TRUE(QFile::copy(QString::fromStdString(document().statistics()->path), calibratedOnce()));
      return;
    }
    const auto model = QString::fromStdString(document().modelPath().string());
    const QString own = calibrationFile(model, QString::fromStdString(document().modelHash()));
    ASSERT_TRUE(QDir().mkpath(QFileInfo(own).absolutePath()) && QFile::copy(calibratedOnce(), own));
    ASSERT_TRUE(answerFileDialog(own.toStdString(), [this] { action("plan.openStatistics")->trigger(); }));
    ASSERT_TRUE(waitFor([this] { return isIdle(); })) << window->facts().dump(1);
    makePlan("coded", QStringLiteral("12.5%"));
    ASSERT_TRUE(waitFor(hasFirstPlan)) << window->facts().dump(1);
  }

 private:
  static QString calibratedOnce() {
    static const QTemporaryDir folder;
    return folder.filePath(QStringLiteral("demo.kvstats"));
  }
};

}  // namespace kvista::test
