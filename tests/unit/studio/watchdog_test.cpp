// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/watchdog.h"

#include <gtest/gtest.h>

#include <QElapsedTimer>
#include <QTimer>

#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

using test::waitFor;

/// Works for so long without looking at an event; time in which the machine does something else does not count.
void block(int milliseconds) {
  timespec begin{}, now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  do ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1'000'000 < milliseconds);
}

TEST(WatchdogTest, SeesABlock) {
  Watchdog watchdog;
  QTimer::singleShot(0, &watchdog, [] { block(100); });
  EXPECT_TRUE(waitFor([&] { return watchdog.longestMilliseconds() > Watchdog::kAllowedMilliseconds; }));
  EXPECT_GE(watchdog.longestMilliseconds(), 100 - 2 * 2);  // It may have begun between two events.
  watchdog.reset();
  EXPECT_EQ(watchdog.longestMilliseconds(), 0);
}

TEST(WatchdogTest, ManyShortPiecesAreNoBlock) {
  Watchdog watchdog;
  int pieces = 0;
  QTimer timer;
  QObject::connect(&timer, &QTimer::timeout, &timer, [&] {
    block(5);
    ++pieces;
  });
  timer.start(0);
  EXPECT_TRUE(waitFor([&] { return pieces == 400; }));
  EXPECT_GT(watchdog.longestMilliseconds(), 0);
  EXPECT_LT(watchdog.longestMilliseconds(), test::allowedBlock());
}

TEST(WatchdogTest, IsAskedForByTheEnvironment) {
  qunsetenv("KVISTA_WATCHDOG");
  EXPECT_EQ(Watchdog::fromEnvironment(), nullptr);
  qputenv("KVISTA_WATCHDOG", "1");
  testing::internal::CaptureStderr();
  EXPECT_NE(Watchdog::fromEnvironment(), nullptr);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("longest block of the window's thread: "), std::string::npos);
  qunsetenv("KVISTA_WATCHDOG");
}

}  // namespace
}  // namespace kvista
