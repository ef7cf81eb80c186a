// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/refine_dialog.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>
#include <QSpinBox>

namespace kvista {
namespace {

ModelRecord model() {
  ModelRecord record;
  record.maximumPositions = 4096;
  return record;
}

TEST(RefineDialog, WhatDoesNotFitCannotBeStarted) {
  RefineDialog dialog(model(), QStringLiteral("NVIDIA H200"), {{"a.txt"}, 0, 0, 0, {}, false}, {}, nullptr);
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  auto* memory = dialog.findChild<QLabel*>(QStringLiteral("memory"));
  EXPECT_TRUE(start->isEnabled());
  dialog.showMemory(std::vector<MemoryForecast>{{"NVIDIA H200", 150'000'000'000, 140'000'000'000}});
  EXPECT_FALSE(start->isEnabled());
  EXPECT_TRUE(memory->text().contains(QStringLiteral("150.0 GB of 140.0 GB"))) << memory->text().toStdString();
  EXPECT_TRUE(memory->text().contains(QStringLiteral("fewer windows a step")));
  // With fewer windows a step it asks anew.
  QSignalSpy wanted(&dialog, &RefineDialog::memoryWanted);
  dialog.findChild<QSpinBox*>(QStringLiteral("windowsPerStep"))->setValue(1);
  EXPECT_EQ(wanted.size(), 1);
  EXPECT_EQ(dialog.wish().windowsPerStep, 1);
  dialog.showMemory(std::vector<MemoryForecast>{{"NVIDIA H200", 50'000'000'000, 140'000'000'000}});
  EXPECT_TRUE(start->isEnabled());
}

TEST(RefineDialog, TrainsForStepsOrForMinutesAndMeasuresOnOtherText) {
  RefineDialog dialog(model(), QStringLiteral("CPU"), {{"a.txt"}, 0, 0, 0, {}, false}, {{"b.txt"}, 0, 0, 0, {}, false},
                      nullptr);
  EXPECT_EQ(dialog.wish().steps, 300);
  EXPECT_FALSE(dialog.wish().minutes);
  ASSERT_TRUE(dialog.wish().other);
  EXPECT_EQ(dialog.wish().other->paths, std::vector<std::string>{"b.txt"});
  dialog.findChild<QComboBox*>(QStringLiteral("lengthUnit"))->setCurrentIndex(1);
  EXPECT_EQ(dialog.wish().minutes, 5.0);
  dialog.findChild<QSpinBox*>(QStringLiteral("length"))->setValue(2);
  EXPECT_EQ(dialog.wish().minutes, 2.0);
  RefineDialog empty(model(), QStringLiteral("CPU"), {}, {}, nullptr);
  EXPECT_FALSE(empty.findChild<QPushButton*>(QStringLiteral("startButton"))->isEnabled()) << "there is no text";
  EXPECT_FALSE(empty.wish().other);
}

}  // namespace
}  // namespace kvista
