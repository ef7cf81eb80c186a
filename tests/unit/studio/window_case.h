// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QDockWidget>
#include <functional>
#include <memory>
#include <string>

#include "app/studio/background.h"
#include "app/studio/watchdog.h"
#include "app/studio/window/main_window.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/choose_file.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"

namespace kvista::test {

/// The real window in a home of its own, with an engine that says of every model what made_up_model.h makes up.
class WindowCase : public ::testing::Test {
 protected:
  WindowCase() : homeBefore_(qgetenv("HOME")) {
    qputenv("HOME", QByteArray::fromStdString(home.path().string()));
    open();
  }
  ~WindowCase() override {
    close();
    qputenv("HOME", homeBefore_);
  }
  void open() {
    window = std::make_unique<MainWindow>(
        EngineCommand{QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"), {}});
    window->show();
    EXPECT_TRUE(QTest::qWaitForWindowExposed(window.get()));
    watchdog_ = std::make_unique<Watchdog>();
  }
  void close() {
    window.reset();
    if (watchdog_) {
      EXPECT_LE(watchdog_->longestMilliseconds(), allowedBlock()) << "the window did not answer";
    }
    watchdog_.reset();
    finishDiskWork();
  }
  /// A saved project of the made-up model, calibrated, opened in the window.
  void openProject() {
    Document document;
    document.startFrom(madeUpModel());
    ASSERT_TRUE(document.setStatistics(madeUpStatistics()));
    ASSERT_TRUE(saveProject(project, document.project()));
    window->open(QString::fromStdString(project.string()));
    ASSERT_TRUE(waitFor([this] { return fact("calibrated").get<bool>() && !fact("stale").get<bool>(); }))
        << window->facts().dump(1);
  }
  [[nodiscard]] nlohmann::json fact(const char* name) const { return window->facts().at(name); }
  void trigger(const char* action) { window->actions().action(QLatin1String(action))->trigger(); }
  /// The same for an action that asks for a file: answers `file`.
  void triggerAndChoose(const char* action, const std::filesystem::path& file) {
    chooseWhile(file, [&] { trigger(action); });
  }
  /// Answers `file` to the dialog that `work` opens.
  void chooseWhile(const std::filesystem::path& file, const std::function<void()>& work) {
    EXPECT_TRUE(answerFileDialog(file, work)) << "nothing asked for " << file;
  }
  [[nodiscard]] QDockWidget* dock(const char* name) const {
    for (QDockWidget* each : window->findChildren<QDockWidget*>())
      if (each->objectName() == QLatin1String(name)) return each;
    return nullptr;
  }

  const TemporaryFolder home;
  const std::filesystem::path project = home / "made-up.kvista";
  std::unique_ptr<MainWindow> window;

 private:
  QByteArray homeBefore_;
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace kvista::test
