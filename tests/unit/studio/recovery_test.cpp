// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QCoreApplication>
#include <random>

#include "app/studio/background.h"
#include "app/studio/document.h"
#include "app/studio/watchdog.h"
#include "core/plan/edit.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/edit_script.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/other_window.h"
#include "tests/unit/studio/wait.h"

namespace kvista {
namespace {

using test::abandoned;
using test::bytesOf;
using test::EditScript;
using test::madeUpModel;
using test::OtherWindow;
using test::plansOf;
using test::TemporaryFolder;
using test::waitFor;
namespace fs = std::filesystem;

TEST(RecoveryTest, NoEditIsLostWhenTheWindowIsKilled) {
  std::mt19937 random(20261126);
  int withEdits = 0;
  for (std::uint32_t kill = 0; kill < 200; ++kill) {
    const TemporaryFolder folder;
    OtherWindow window({"--edit", folder.path().string(), std::to_string(kill)});
    window.awaitLines(random() % 40);
    window.kill();
    const std::size_t edits = window.lines();
    Document document;
    Recovery recovery(document, folder.path());
    const auto found = abandoned(recovery);
    const auto plans = plansOf(kill, edits + 1);
    if (found.empty()) {
      // Undone to the saved state, which the window may not have come to say, or killed before the first edit was done.
      ASSERT_TRUE(plans[edits] == plans[0] || plans[edits + 1] == plans[0]) << kill;
      continue;
    }
    ASSERT_EQ(found.size(), 1U);
    ++withEdits;
    document.startFrom(madeUpModel());
    recovery.recover(found.front());
    // What the window had said was done; or, if it was killed before it could say so, one edit more.
    const std::string plan = bytesOf(document.plan());
    ASSERT_TRUE(plan == plans[edits] || plan == plans[edits + 1]) << kill;
    ASSERT_TRUE(document.isModified());
    ASSERT_TRUE(document.setModel(madeUpModel()));
  }
  EXPECT_GT(withEdits, 150);
}

TEST(RecoveryTest, ASaveThatIsKilledLeavesOneOfBothFilesWhole) {
  std::mt19937 random(7);
  const TemporaryFolder folder;
  const fs::path file = folder / "a.kvista";
  for (int kill = 0; kill < 40; ++kill) {
    OtherWindow window({"--save", file.string()});
    window.awaitLines(1 + random() % 10);
    window.kill();
    const auto loaded = loadProject(file);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->notes.size() % 1000, 0U);
  }
}

class OneWindow : public ::testing::Test {
 protected:
  void edit(std::uint8_t width) {
    CompressionPlan plan = document.plan();
    plan.groups.front().widths.assign(plan.groups.front().widths.size(), width);
    ASSERT_TRUE(document.edit(plan));
  }
  /// What another window would find if this one were dead: its journal without its lock.
  [[nodiscard]] std::vector<RecoveredProject> leftBehind() {
    finishDiskWork();
    const TemporaryFolder other;
    for (const auto& entry : fs::directory_iterator(folder.path()))
      if (entry.path().extension() != ".lock") fs::copy_file(entry.path(), other.path() / entry.path().filename());
    Document nothing;
    Recovery reader(nothing, other.path());
    return abandoned(reader);
  }
  TemporaryFolder folder;
  Document document;
  std::unique_ptr<Recovery> recovery = std::make_unique<Recovery>(document, folder.path());
};

TEST_F(OneWindow, OfAWindowThatLivesNothingIsFound) {
  document.startFrom(madeUpModel());
  edit(8);
  Document other;
  Recovery second(other, folder.path());
  EXPECT_TRUE(abandoned(second).empty());
  EXPECT_EQ(leftBehind().size(), 1U);
}

TEST_F(OneWindow, SavingUndoingAndEndingLeaveNothingBehind) {
  document.startFrom(madeUpModel());
  edit(8);
  EXPECT_FALSE(test::namesIn(folder.path()).empty());
  document.undo();
  EXPECT_TRUE(test::namesIn(folder.path()).empty());
  document.redo();
  bool saved = false;
  const TemporaryFolder projects;
  document.save(projects / "a.kvista", [&](const Result<void>& result) { saved = result.has_value(); });
  ASSERT_TRUE(waitFor([&] { return saved; }));
  EXPECT_TRUE(test::namesIn(folder.path()).empty());
  edit(4);
  recovery.reset();
  EXPECT_TRUE(test::namesIn(folder.path()).empty());
}

TEST_F(OneWindow, RecoversTheEditsOfASavedProjectByName) {
  const TemporaryFolder projects;
  document.startFrom(madeUpModel());
  document.setNotes("saved");
  bool saved = false;
  document.save(projects / "a.kvista", [&](const Result<void>& result) { saved = result.has_value(); });
  ASSERT_TRUE(waitFor([&] { return saved; }));
  edit(8);
  edit(4);
  const auto found = leftBehind();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].file, projects / "a.kvista");
  EXPECT_EQ(found[0].edits.size(), 2);
  EXPECT_EQ(found[0].project.notes, "saved");
  EXPECT_EQ(bytesOf(found[0].project.plan), bytesOf(document.plan()));
  EXPECT_EQ(found[0].project.model, madeUpModel().path);
}

TEST_F(OneWindow, AModelThatMovedIsRememberedWithTheEdits) {
  document.startFrom(madeUpModel());
  edit(8);
  ModelRecord moved = madeUpModel();
  moved.path = "/elsewhere/made-up";
  ASSERT_TRUE(document.moveModel(moved));
  const auto found = leftBehind();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].project.model, "/elsewhere/made-up");
  EXPECT_EQ(bytesOf(found[0].project.plan), bytesOf(document.plan()));
}

TEST_F(OneWindow, MeasurementsAreKeptToo) {
  document.startFrom(madeUpModel());
  document.addResult({"text", "bb", "cc", 100, 20, 21, 1});
  const auto found = leftBehind();
  ASSERT_EQ(found.size(), 1U);
  ASSERT_EQ(found[0].project.results.size(), 1U);
  EXPECT_EQ(found[0].project.results[0].perplexityAfter, 21);
}

TEST_F(OneWindow, CalibrationAndNotesAreKeptWithoutAnyEdit) {
  document.startFrom(madeUpModel());
  ASSERT_TRUE(document.setStatistics(test::madeUpStatistics()));
  auto found = leftBehind();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].project.statistics, test::madeUpStatistics().path);
  // When typing pauses.
  for (const char* typed : {"w", "wh", "why"}) document.setNotes(typed);
  ASSERT_TRUE(waitFor([&] {
    found = leftBehind();
    return found.size() == 1 && found[0].project.notes == "why";
  }));
}

TEST_F(OneWindow, ATornOrForeignJournalIsNoObstacle) {
  document.startFrom(madeUpModel());
  edit(8);
  const std::string plan = bytesOf(document.plan());
  edit(4);
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    if (entry.path().extension() != ".journal") continue;
    const std::string text = test::readText(entry.path());
    test::writeText(folder / "torn.journal", text.substr(0, text.size() - 10));
  }
  test::writeText(folder / "foreign.journal", "\xff\xfe nothing of ours\n");
  test::writeText(folder / "empty.journal", "");
  recovery.reset();
  recovery = std::make_unique<Recovery>(document, folder.path());
  const auto found = abandoned(*recovery);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(bytesOf(found[0].project.plan), plan);
  EXPECT_EQ(test::namesIn(folder.path()).count("foreign.journal"), 0U);
  recovery->discard(found[0].journal);
  EXPECT_TRUE(abandoned(*recovery).empty());
}

TEST_F(OneWindow, AFolderThatCannotBeWrittenIsSaidOnce) {
  recovery.reset();
  test::writeText(folder / "file", "");
  recovery = std::make_unique<Recovery>(document, folder / "file");
  int told = 0;
  QObject::connect(recovery.get(), &Recovery::failed, recovery.get(), [&] { ++told; });
  document.startFrom(madeUpModel());
  edit(8);
  edit(4);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(document.undoStack().count(), 2);
}

TEST_F(OneWindow, EditsOfALargeModelAreKeptWithoutABlock) {
  document.startFrom(madeUpModel(32, 32, 128));
  EditScript script(5);
  waitFor([] { return true; });
  const Watchdog watchdog;
  int edits = 0;
  QTimer timer;
  QObject::connect(&timer, &QTimer::timeout, &timer, [&] {
    script.step(document);
    ++edits;
  });
  timer.start(0);
  ASSERT_TRUE(waitFor([&] { return edits == 60; }));
  timer.stop();
  EXPECT_LT(watchdog.longestMilliseconds(), test::allowedBlock());
  // The journal is cut before it fills the disk, and loses nothing by it.
  const auto found = leftBehind();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].edits.size(), document.undoStack().index());
  EXPECT_EQ(bytesOf(found[0].project.plan), bytesOf(document.plan()));
}

}  // namespace
}  // namespace kvista
