// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <QApplication>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <map>
#include <memory>

#include "app/studio/background.h"
#include "app/studio/watchdog.h"
#include "app/studio/window/main_window.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"
#include "views/theme.h"

namespace kvista::test {

/// The whole window with an engine that makes up what it says, in a home of its own.
class RealWindow : public ::testing::Test {
 protected:
  static constexpr const char* kHomes[] = {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME",
                                           "XDG_STATE_HOME"};

  RealWindow() {
    for (const char* name : kHomes) {
      before_[name] = qgetenv(name);
      qputenv(name, home.path().toUtf8());
    }
    QStandardPaths::setTestModeEnabled(false);  // Its folders are of this machine's user.
    Theme::instance().install();
  }
  ~RealWindow() override {
    window.reset();
    // From the start on the window has answered, whatever was done with it (S27).
    if (watchdog_) {
      EXPECT_LE(watchdog_->longestMilliseconds(), allowedBlock());
    }
    finishDiskWork();
    QStandardPaths::setTestModeEnabled(true);
    for (const auto& [name, value] : before_) value.isNull() ? qunsetenv(name) : qputenv(name, value);
  }

  void start(const QString& behaviour = {}) {
    window = std::make_unique<MainWindow>(
        EngineCommand{QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"),
                      behaviour.isEmpty() ? QStringList() : QStringList{behaviour}});
    window->show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(window.get()));
    QApplication::setActiveWindow(window.get());
    watch();
  }
  void watch() { watchdog_ = std::make_unique<Watchdog>(); }

  /// A project of three layers of four heads that is calibrated, open, and knows its spectra.
  void openProject() {
    Document made;
    made.startFrom(madeUpModel());
    ASSERT_TRUE(made.setStatistics(madeUpStatistics()));
    const std::filesystem::path file = home.filePath(QStringLiteral("made-up.kvista")).toStdString();
    ASSERT_TRUE(saveProject(file, made.project()));
    window->open(QString::fromStdString(file.string()));
    ASSERT_TRUE(waitFor([this] { return isIdle() && document().waterlineTable(); }));
  }
  [[nodiscard]] bool isIdle() const {
    const auto facts = window->facts();
    return facts.at("calibrated").get<bool>() && !facts.at("busy").get<bool>() && !facts.at("stale").get<bool>();
  }
  [[nodiscard]] Document& document() const { return window->document(); }
  [[nodiscard]] QAction* action(const char* id) const { return window->actions().action(QLatin1String(id)); }

  QTemporaryDir home;
  std::unique_ptr<MainWindow> window;

 private:
  std::map<const char*, QByteArray> before_;
  std::unique_ptr<Watchdog> watchdog_;
};

}  // namespace kvista::test
