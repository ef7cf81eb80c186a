// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/text_dialog.h"

#include <gtest/gtest.h>

#include <QCheckBox>
#include <QLabel>
#include <QSignalSpy>
#include <QSpinBox>

namespace kvista {
namespace {

ModelRecord model() {
  ModelRecord record;
  record.maximumPositions = 4096;
  return record;
}

TEST(TextDialog, SaysWhatThePassWouldTakeOfWhichMemory) {
  TextDialog dialog(TextDialog::Purpose::calibrate, model(), {}, nullptr);
  auto* memory = dialog.findChild<QLabel*>(QStringLiteral("memory"));
  ASSERT_NE(memory, nullptr);
  dialog.showMemory(std::vector<MemoryForecast>{{"NVIDIA H200", 16'000'000'000, 140'000'000'000}, {"CPU, 2 cores", 1'500'000'000, {}}});
  EXPECT_EQ(memory->text(), QStringLiteral("about 16.0 GB of 140.0 GB free on NVIDIA H200\nabout 1.5 GB on CPU, 2 cores"));
  dialog.showMemory(std::vector<MemoryForecast>{{"CPU, 2 cores", 9'000'000'000, 8'000'000'000}});
  EXPECT_TRUE(memory->text().contains(QStringLiteral("more than there is"))) << memory->text().toStdString();
  dialog.showMemory(fail(ErrorCode::device, "There is no GPU 3."));
  EXPECT_EQ(memory->text(), QStringLiteral("There is no GPU 3."));
}

TEST(TextDialog, AsksForMemoryAnewWhenWhatItDependsOnChanges) {
  TextDialog dialog(TextDialog::Purpose::calibrate, model(), {}, nullptr);
  QSignalSpy wanted(&dialog, &TextDialog::memoryWanted);
  for (auto* box : dialog.findChildren<QSpinBox*>())
    if (box->maximum() == 4096) box->setValue(512);
  EXPECT_EQ(wanted.size(), 1);
  EXPECT_EQ(dialog.selection().window, 512);
  for (auto* box : dialog.findChildren<QCheckBox*>())
    if (box->text().startsWith(QStringLiteral("with gradients"))) box->setChecked(false);
  EXPECT_EQ(wanted.size(), 2);
  EXPECT_FALSE(dialog.gradients());
}

}  // namespace
}  // namespace kvista
