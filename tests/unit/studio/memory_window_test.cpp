// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Work that begins by itself where there is too little memory for it.
#include <QDialog>
#include <QPushButton>

#include "app/studio/window/file_list.h"
#include "tests/unit/studio/real_window.h"

namespace kvista::test {
namespace {

class MemoryWindow : public RealWindow {
 protected:
  void calibrate() {
    action("plan.calibrate")->trigger();
    auto* dialog = window->findChild<QDialog*>("calibrateDialog");
    ASSERT_TRUE(dialog);
    dialog->findChild<FileList*>()->setPaths({"/texts/emma.txt"});
    dialog->findChild<QPushButton*>("startButton")->click();
  }
  [[nodiscard]] nlohmann::json fact(const char* name) const { return window->facts().at(name); }
};

TEST_F(MemoryWindow, TheFirstPlanIsNotBegunWhereItDoesNotFitAndTheWindowSaysSo) {
  start("scarce");
  openProject();
  calibrate();
  ASSERT_TRUE(waitFor([this] { return !fact("problems").empty(); })) << window->facts().dump(1);
  ASSERT_EQ(fact("problems").size(), 1U);
  EXPECT_EQ(fact("problems")[0].at("sentence"),
            "It was not started: it would take about 20.0 GB of 8.0 GB free on CPU, 2 cores.");
  EXPECT_EQ(fact("problems")[0].at("hint"), "Close other programs, or take an engine with more memory.");
  EXPECT_EQ(fact("problems")[0].at("title"), "Plan: coded failed");
  EXPECT_FALSE(fact("busy").get<bool>());
  EXPECT_EQ(document().undoStack().count(), 0);
}

TEST_F(MemoryWindow, TheFirstPlanIsMadeWhereItFits) {
  start();
  openProject();
  calibrate();
  ASSERT_TRUE(waitFor([this] { return document().undoStack().count() == 1; })) << window->facts().dump(1);
  EXPECT_EQ(document().undoStack().undoText(), "Plan: coded, 8 times smaller");
  EXPECT_TRUE(fact("problems").empty());
}

}  // namespace
}  // namespace kvista::test
