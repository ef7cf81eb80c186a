// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The window and its engine are killed in the same moment, as by a machine that runs out of memory or a session that
// ends: no edit is lost, and another window with another engine goes on from it.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "app/studio/engine_client.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/feed.h"
#include "tests/unit/studio/other_window.h"

namespace kvista {
namespace {

using test::bytesOf;
using test::madeUpModel;

/// Gone, or only waiting for its parent to notice.
bool isDead(const std::string& process) {
  std::ifstream stat("/proc/" + process + "/stat");
  std::string id, name, state;
  return !(stat >> id >> name >> state) || state == "Z" || state == "X";
}

TEST(BothDeaths, NoEditIsLostWhenWindowAndEngineAreKilledAtOnce) {
  const std::string engine = QCoreApplication::applicationDirPath().toStdString() + "/kvista-fake-engine";
  std::mt19937 random(20261127);
  int withEdits = 0;
  for (std::uint32_t kill = 0; kill < 200; ++kill) {
    const test::TemporaryFolder folder;
    test::OtherWindow window({"--edit", folder.path().string(), std::to_string(kill), engine});
    window.awaitLines(1 + random() % 40);
    window.kill();
    ASSERT_GE(window.lines(), 1U) << kill;
    const std::string process = window.text().substr(0, window.text().find('\n'));
    ASSERT_TRUE(test::waitFor([&] { return isDead(process); })) << kill;
    const std::size_t edits = window.lines() - 1;
    withEdits += edits > 0 ? 1 : 0;

    Document document;
    Recovery recovery(document, folder.path());
    const auto found = test::abandoned(recovery);
    if (found.empty()) {
      ASSERT_EQ(edits, 0U) << kill;
      continue;
    }
    ASSERT_EQ(found.size(), 1U) << kill;
    document.startFrom(madeUpModel());
    recovery.recover(found.front());
    const auto plans = test::plansOf(kill, edits + 1);
    // What the window had said was done; or, if it was killed before it could say so, one edit more.
    const std::string plan = bytesOf(document.plan());
    ASSERT_TRUE(plan == plans[edits] || plan == plans[edits + 1]) << kill;
    ASSERT_TRUE(document.isModified());

    if (kill % 20 != 0) continue;  // Starting an engine costs more than everything else here.
    EngineClient next;
    test::feed(document, next);
    next.start({QString::fromStdString(engine), {}});
    ASSERT_TRUE(document.setModel(madeUpModel()));
    ASSERT_TRUE(document.setStatistics(test::madeUpStatistics()));
    ASSERT_TRUE(test::waitFor([&] { return document.staleLayers().empty(); })) << kill;
    EXPECT_EQ(bytesOf(document.plan()), plan);
    EXPECT_TRUE(document.planned().predictedLoss);
  }
  EXPECT_GT(withEdits, 150);
}

}  // namespace
}  // namespace kvista
