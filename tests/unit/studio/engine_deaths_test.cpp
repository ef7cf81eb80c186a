// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A person edits while the engine is killed again and again: nothing that they did is lost, and the numbers come back.
#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QTimer>
#include <csignal>
#include <random>

#include "app/studio/document.h"
#include "app/studio/engine_client.h"
#include "app/studio/watchdog.h"
#include "tests/unit/studio/edit_script.h"
#include "tests/unit/studio/feed.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

using test::bytesOf;
using test::EditScript;
using test::madeUpModel;
using test::madeUpSpectra;
using test::madeUpStatistics;
using test::waitFor;

constexpr int kKills = 200;
constexpr std::uint32_t kSeed = 42;

TEST(EngineDeaths, NoEditIsLostAndTheNumbersComeBack) {
  // The same edits where no engine ever was.
  Document calm;
  calm.startFrom(madeUpModel());
  ASSERT_TRUE(calm.setStatistics(madeUpStatistics()));

  Document document;
  EngineClient engine;
  engine.setPauses(std::vector<int>(2 * kKills, 0));
  int restarts = 0;
  bool dying = false;
  QObject::connect(&engine, &EngineClient::restarted, &engine, [&] {
    ++restarts;
    dying = false;
  });
  test::feed(document, engine);
  document.startFrom(madeUpModel());
  ASSERT_TRUE(document.setStatistics(madeUpStatistics()));
  engine.start({QCoreApplication::applicationDirPath() + QStringLiteral("/kvista-fake-engine"), {}});
  ASSERT_TRUE(waitFor([&] { return engine.state() == EngineClient::State::ready; })) << engine.problem().message;

  EditScript script(kSeed), same(kSeed);
  std::mt19937 random(kSeed);
  Watchdog watchdog;
  int kills = 0, edits = 0;
  QTimer hand;
  QObject::connect(&hand, &QTimer::timeout, &hand, [&] {
    script.step(document);
    same.step(calm);
    ++edits;
    if (bytesOf(document.plan()) != bytesOf(calm.plan())) return QCoreApplication::exit(1);
    if (kills == kKills || dying || random() % 3 != 0) return;
    // From outside, at whatever it does; or from within, halfway through an answer.
    if (random() % 2 == 0)
      ::kill(static_cast<pid_t>(std::stol(engine.hello().device)), SIGKILL);
    else
      engine.request("die", nlohmann::json::object(), &engine,
                     [](const Result<nlohmann::json>& answer) { EXPECT_FALSE(answer); });
    ++kills;
    dying = true;  // One death at a time can be counted; the hand does not wait for it.
  });
  hand.start(0);
  ASSERT_TRUE(QTest::qWaitFor([&] { return kills == kKills && restarts == kKills; }, 300'000))
      << kills << " " << restarts << " " << engine.problem().message;
  hand.stop();
  EXPECT_LT(watchdog.longestMilliseconds(), test::allowedBlock());

  EXPECT_EQ(bytesOf(document.plan()), bytesOf(calm.plan()));
  EXPECT_EQ(document.undoStack().count(), calm.undoStack().count());
  EXPECT_GE(edits, kKills);
  ASSERT_TRUE(waitFor([&] { return document.staleLayers().empty(); }));
  const auto expected = assess(document.plan(), madeUpSpectra(document.plan()), document.planningContext());
  EXPECT_NEAR(*document.planned().predictedLoss, *expected.predictedLoss, 1e-12);
  while (document.canUndo()) {
    document.undo();
    calm.undo();
    ASSERT_EQ(bytesOf(document.plan()), bytesOf(calm.plan()));
  }
}

}  // namespace
}  // namespace kvista
