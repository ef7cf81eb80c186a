// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/studio/window_memory.h"

#include <fmt/format.h>

#include <QApplication>
#include <QDockWidget>
#include <QTemporaryDir>
#include <fstream>
#include <string>

#include "app/studio/background.h"
#include "app/studio/window/main_window.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"
#include "views/theme.h"

namespace kvista::bench {
namespace {

constexpr double kLimitMegabytes = 300;

/// A line of /proc/self/status in megabytes: VmHWM is the most, VmRSS the present.
double megabytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (double kilobytes = 0; word == name + ":" && status >> kilobytes) return kilobytes * 1024 / 1e6;
  return 0;
}

void say(const char* when) {
  fmt::print("{:<42}{:8.1f} MB now {:8.1f} MB at most\n", when, megabytes("VmRSS"), megabytes("VmHWM"));
}

std::filesystem::path savedProject(const std::filesystem::path& folder) {
  Document document;
  document.startFrom(test::madeUpModel(32, 32, 128));
  StatisticsRecord statistics = test::madeUpStatistics();
  if (!document.setStatistics(statistics)) std::abort();
  const std::filesystem::path file = folder / "7b.kvista";
  if (!saveProject(file, document.project())) std::abort();
  return file;
}

bool isIdle(const MainWindow& window) {
  const auto facts = window.facts();
  return facts.at("calibrated").get<bool>() && !facts.at("busy").get<bool>() && !facts.at("stale").get<bool>();
}

}  // namespace

int printWindowMemory() {
  const QTemporaryDir home;
  for (const char* name : {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"})
    qputenv(name, home.path().toUtf8());
  Theme::instance().install();
  const auto project = savedProject(home.path().toStdString());
  {
    MainWindow window(EngineCommand{QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"),
                                    {QStringLiteral("large")}});
    window.show();
    if (!QTest::qWaitForWindowExposed(&window)) return 1;
    say("empty window");
    window.open(QString::fromStdString(project.string()));
    Document& document = window.document();
    if (!test::waitFor([&] { return document.waterlineTable() && isIdle(window); })) return 1;
    say("project open");
    document.keepPlan("as it is");
    const auto table = document.waterlineTable();
    double level = table->levelForBytes(document.planned().achievedBytes / 8);
    for (int drag = 0; drag < 20; ++drag) {
      document.beginGesture(QStringLiteral("Drag"));
      for (int frame = 0; frame < 30; ++frame) {
        level *= 1.01;
        document.updateGesture(planAt(*table, level, document.plan(), document.planningContext()));
        QCoreApplication::processEvents();
      }
      document.commitGesture();
    }
    QTest::qWait(300);
    say("20 drags of the waterline");
    for (const char* layout : {"analyse", "edit", "compare", "try"}) {
      window.actions().action(QStringLiteral("view.layout.") + QLatin1String(layout))->trigger();
      QTest::qWait(300);
      for (QDockWidget* dock : window.findChildren<QDockWidget*>()) {
        if (dock->isHidden()) continue;
        dock->raise();
        QTest::qWait(50);
      }
      if (const auto facts = window.facts(); facts.at("layout") != layout || !facts.at("problems").empty()) {
        fmt::print("{}\n", facts.dump(1));
        return 1;
      }
      say(fmt::format("layout {}, every panel in front once", layout).c_str());
    }
    while (document.canUndo()) document.undo();
    QTest::qWait(300);
    say("everything undone");
  }
  finishEngines();
  finishDiskWork();
  const double most = megabytes("VmHWM");
  fmt::print("window of a 7B project: {:.1f} MB resident at most; allowed {:.0f} MB\n", most, kLimitMegabytes);
  return most <= kLimitMegabytes ? 0 : 1;
}

}  // namespace kvista::bench
