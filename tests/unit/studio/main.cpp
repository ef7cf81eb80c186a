// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <QApplication>
#include <QStandardPaths>
#include <QTimer>
#include <string>

#include "app/studio/engine_client.h"
#include "app/studio/recovery.h"
#include "tests/unit/studio/edit_script.h"
#include "tests/unit/studio/feed.h"
#include "tests/unit/studio/made_up_model.h"
#include "views/words.h"

namespace {

/// A window that edits without end, for a test that kills it: `--edit FOLDER SEED`. Says the plan after every edit.
int editForever(const std::string& folder, std::uint32_t seed) {
  kvista::Document document;
  const kvista::Recovery recovery(document, folder);
  document.startFrom(kvista::test::madeUpModel());
  kvista::test::EditScript script(seed);
  for (;;) {
    script.step(document);
    const std::string line = kvista::test::bytesOf(document.plan()) + "\n";
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) return 1;
  }
}

/// The same with an engine at work: `--edit FOLDER SEED ENGINE`. Says the engine's process first.
int editForeverWithEngine(const std::string& folder, std::uint32_t seed, const char* program) {
  kvista::Document document;
  const kvista::Recovery recovery(document, folder);
  kvista::EngineClient engine;
  kvista::test::feed(document, engine);
  document.startFrom(kvista::test::madeUpModel());
  if (!document.setStatistics(kvista::test::madeUpStatistics())) return 1;
  engine.start({QString::fromUtf8(program), {}});
  kvista::test::EditScript script(seed);
  QTimer hand;
  const auto say = [](const std::string& line) {
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::exit(1);
  };
  QObject::connect(&hand, &QTimer::timeout, &hand, [&] {
    script.step(document);
    say(kvista::test::bytesOf(document.plan()) + "\n");
  });
  QObject::connect(&engine, &kvista::EngineClient::stateChanged, &hand, [&](kvista::EngineClient::State state) {
    if (state != kvista::EngineClient::State::ready) return;
    say(engine.hello().device + "\n");
    hand.start(0);
  });
  return QCoreApplication::exec();
}

/// One that saves without end: `--save FILE`.
int saveForever(const std::string& file) {
  kvista::Document document;
  document.startFrom(kvista::test::madeUpModel());
  for (int i = 0;; ++i) {
    document.setNotes(std::string(static_cast<std::size_t>(i % 100) * 1000, 'n'));
    if (!saveProject(file, document.project())) return 1;
    if (::write(STDOUT_FILENO, "\n", 1) < 0) return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "--edit") {
    const QCoreApplication application(argc, argv);
    return editForever(argv[2], static_cast<std::uint32_t>(std::stoul(argv[3])));
  }
  if (argc == 5 && std::string(argv[1]) == "--edit") {
    const QCoreApplication application(argc, argv);
    return editForeverWithEngine(argv[2], static_cast<std::uint32_t>(std::stoul(argv[3])), argv[4]);
  }
  if (argc == 3 && std::string(argv[1]) == "--save") {
    const QCoreApplication application(argc, argv);
    return saveForever(argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  QStandardPaths::setTestModeEnabled(true);
  const QApplication application(argc, argv);
  kvista::installEnglishPlurals();
  const int failed = RUN_ALL_TESTS();
  kvista::finishEngines();
  return failed;
}
