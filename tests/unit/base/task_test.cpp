// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/base/task.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvista {
namespace {

TEST(TaskTest, RunsOnWithoutStopSourceAndListener) {
  const Task task;
  EXPECT_TRUE(task.checkStop());
  task.progress("calibrate", 1, 2, "tokens");
}

TEST(TaskTest, HearsTheStop) {
  std::stop_source source;
  const Task task{source.get_token(), {}};
  EXPECT_TRUE(task.checkStop());
  source.request_stop();
  const auto result = task.checkStop();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::cancelled);
}

TEST(TaskTest, ReportsWhatItIsTold) {
  std::vector<ProgressReport> reports;
  const Task task{{}, [&](const ProgressReport& report) { reports.push_back(report); }};
  task.progress("evaluate", 3, 10, "windows");
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].stage, "evaluate");
  EXPECT_EQ(reports[0].done, 3u);
  EXPECT_EQ(reports[0].total, 10u);
  EXPECT_EQ(reports[0].unit, "windows");
}

}  // namespace
}  // namespace kvista
