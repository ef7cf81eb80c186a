// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/recover_dialog.h"

#include <gtest/gtest.h>

#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>
#include <QTreeWidget>

#include "app/studio/background.h"
#include "app/studio/document.h"
#include "app/studio/plan_differences.h"
#include "app/studio/window/project_files.h"
#include "core/plan/edit.h"
#include "core/plan/plan_groups.h"
#include "tests/unit/io/temporary_folder.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/other_window.h"
#include "views/budget_model.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

CompressionPlan plan(std::uint8_t width) {
  CompressionPlan result;
  result.method = "coded";
  result.allocator = "waterline";
  result.groups = singleSlots(test::madeUpModel().shape);
  for (Group& group : result.groups) group.widths.assign(group.widths.size(), width);
  return result;
}

TEST(PlanDifferences, EqualPlansHaveNone) { EXPECT_TRUE(differencesOf(plan(8), plan(8)).empty()); }

TEST(PlanDifferences, RanksBytesAndLocksAreSaidOfEachGroupThatChanged) {
  CompressionPlan after = plan(8);
  after.groups[1].widths = {8, 8, 4, 4, 0, 0, 0, 0};
  after.groups[2].locked = true;
  const auto differences = differencesOf(plan(8), after);
  ASSERT_EQ(differences.size(), 3U);
  EXPECT_EQ(differences[0], (PlanDifference{"Bytes a token", "192\u00a0B", "187\u00a0B"}));
  EXPECT_EQ(differences[1], (PlanDifference{"Layer 0 · K1", "rank 8 · 8\u00a0B", "rank 4 · 3\u00a0B"}));
  EXPECT_EQ(differences[2], (PlanDifference{"Layer 0 · K2", "rank 8 · 8\u00a0B", "rank 8 · 8\u00a0B · locked"}));
}

TEST(PlanDifferences, GroupsThatCameAndWentAreBothNamed) {
  const CompressionPlan before = plan(8);
  const auto merged = mergeGroups(before, test::madeUpModel().shape, std::vector<int>{0, 1});
  ASSERT_TRUE(merged);
  const auto differences = differencesOf(before, *merged);
  ASSERT_EQ(differences.size(), 3U);
  EXPECT_EQ(differences[0], (PlanDifference{"Layer 0 · K0", "rank 8 · 8\u00a0B", "—"}));
  EXPECT_EQ(differences[1], (PlanDifference{"Layer 0 · " + headsText({{0, Side::key, 0}, {0, Side::key, 1}}), "—",
                                            "rank 16 · 16\u00a0B"}));
  EXPECT_EQ(differences[2], (PlanDifference{"Layer 0 · K1", "rank 8 · 8\u00a0B", "—"}));
}

RecoveredProject project(const char* name, QStringList edits, bool withBefore = true) {
  RecoveredProject result;
  result.journal = fs::path("/tmp") / name;
  result.file = fs::path("/projects") / name;
  result.project.plan = plan(4);
  if (withBefore) result.before = plan(8);
  result.edits = std::move(edits);
  result.changed = QDateTime(QDate(2026, 11, 26), QTime(9, 30));
  return result;
}

QPushButton* button(QWidget& dialog, const char* text) {
  for (QPushButton* each : dialog.findChildren<QPushButton*>())
    if (each->text() == QLatin1String(text)) return each;
  return nullptr;
}

/// Everything that a label of it says.
QString said(QWidget& dialog) {
  QStringList all;
  for (QLabel* label : dialog.findChildren<QLabel*>()) all << label->text();
  return all.join(QLatin1Char('\n'));
}

TEST(RecoverDialogTest, OneProjectIsOfferedWithWhatWasDoneToIt) {
  auto* dialog = new RecoverDialog({project("a.kvista", {"Move K1 to group 2", "Lock layer 0 group 1"})}, nullptr);
  dialog->show();
  EXPECT_TRUE(said(*dialog).contains("KVista ended without saving /projects/a.kvista."));
  EXPECT_TRUE(said(*dialog).contains("2 edits")) << said(*dialog).toStdString();
  EXPECT_FALSE(dialog->findChild<QListWidget*>()->isVisible());
  auto* table = dialog->findChild<QTreeWidget*>();
  EXPECT_FALSE(table->isVisible());
  QTest::mouseClick(button(*dialog, "Show differences"), Qt::LeftButton);
  EXPECT_TRUE(table->isVisible());
  ASSERT_EQ(table->topLevelItemCount(), 1 + 24) << "the bytes, and every group";
  EXPECT_EQ(table->topLevelItem(1)->text(0), "Layer 0 · K0");
  EXPECT_EQ(table->topLevelItem(1)->text(1), "rank 8 · 8\u00a0B");
  EXPECT_EQ(table->topLevelItem(1)->text(2), "rank 8 · 4\u00a0B");
  QSignalSpy recovered(dialog, &RecoverDialog::recoverRequested), discarded(dialog, &RecoverDialog::discardRequested);
  QTest::mouseClick(button(*dialog, "Recover"), Qt::LeftButton);
  EXPECT_EQ(recovered.size(), 1);
  EXPECT_TRUE(discarded.isEmpty());
  EXPECT_FALSE(dialog->isVisible());
}

TEST(RecoverDialogTest, OfSeveralEachIsRecoveredOrDiscardedOnItsOwn) {
  auto* dialog = new RecoverDialog(
      {project("a.kvista", {"one"}), project("b.kvista", {}), project("c.kvista", {"one", "two", "three"})}, nullptr);
  dialog->show();
  std::vector<std::string> discarded, recovered;
  QObject::connect(dialog, &RecoverDialog::discardRequested,
                   [&](const RecoveredProject& each) { discarded.push_back(each.file.filename()); });
  QObject::connect(dialog, &RecoverDialog::recoverRequested,
                   [&](const RecoveredProject& each) { recovered.push_back(each.file.filename()); });
  auto* list = dialog->findChild<QListWidget*>();
  EXPECT_TRUE(list->isVisible());
  ASSERT_EQ(list->count(), 3);
  QTest::keyClick(list, Qt::Key_Down);
  EXPECT_TRUE(said(*dialog).contains("notes")) << "no edit, but something else";
  QTest::mouseClick(button(*dialog, "Discard"), Qt::LeftButton);
  EXPECT_EQ(discarded, std::vector<std::string>{"b.kvista"});
  ASSERT_EQ(list->count(), 2);
  EXPECT_TRUE(dialog->isVisible()) << "the others are still to be decided on";
  QTest::keyClick(list, Qt::Key_Down);
  EXPECT_TRUE(said(*dialog).contains("3 edits"));
  QTest::mouseClick(button(*dialog, "Recover"), Qt::LeftButton);
  EXPECT_EQ(recovered, std::vector<std::string>{"c.kvista"});
}

TEST(RecoverDialogTest, WithoutThePlanOfBeforeTheEditsAreListed) {
  RecoverDialog dialog({project("a.kvista", {"Move K1 to group 2"}, false)}, nullptr);
  dialog.setAttribute(Qt::WA_DeleteOnClose, false);
  dialog.show();
  button(dialog, "Show differences")->click();
  auto* table = dialog.findChild<QTreeWidget*>();
  ASSERT_EQ(table->topLevelItemCount(), 2);
  EXPECT_EQ(table->topLevelItem(1)->text(0), "Move K1 to group 2");
}

/// One window that edits, and another that finds what it left.
class RecoveryInTheWindow : public ::testing::Test {
 protected:
  void leave(std::uint8_t width) {
    const test::TemporaryFolder own;
    Document document;
    Recovery recovery(document, own.path());
    document.startFrom(test::madeUpModel());
    if (!document.setStatistics(test::madeUpStatistics())) return;
    document.addSpectra(document.plan(), test::madeUpSpectra(document.plan()));
    CompressionPlan edited = document.plan();
    edited.groups.front().widths.assign(edited.groups.front().widths.size(), width);
    ASSERT_TRUE(document.edit(edited));
    // A drag of heads: the groups, and then their share of the budget.
    const auto moved = moveSlots(document.plan(), document.model().shape,
                                 std::vector<Slot>{document.plan().groups[1].slots.front()}, 2);
    ASSERT_TRUE(moved);
    edited = *moved;
    edited.target = {Target::Kind::share, 0.25};
    ASSERT_TRUE(document.edit(edited, "Move a head", Budget::spendAnew));
    document.addSpectra(document.plan(), test::madeUpSpectra(document.plan()));
    ASSERT_TRUE(test::waitFor([&] { return !document.isAllocating(); }));
    steps = document.undoStack().count();
    finishDiskWork();
    for (const auto& entry : fs::directory_iterator(own.path()))
      if (entry.path().extension() != ".lock") fs::copy_file(entry.path(), folder.path() / entry.path().filename());
  }
  test::TemporaryFolder folder;
  int steps = 0;
};

TEST_F(RecoveryInTheWindow, EditsAreCountedAsTheHistoryCountsThem) {
  leave(4);
  ASSERT_EQ(steps, 2);
  Document document;
  Recovery recovery(document, folder.path());
  const auto found = test::abandoned(recovery);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().edits.size(), 2) << found.front().edits.join('\n').toStdString();
  ASSERT_TRUE(found.front().before);
  EXPECT_EQ(found.front().before->groups.front().widths, std::vector<std::uint8_t>(8, 16));
}

TEST_F(RecoveryInTheWindow, EveryAbandonedProjectIsOffered) {
  leave(4);
  leave(2);
  const test::TemporaryFolder settingsFolder;
  QWidget window;
  Document document;
  EngineClient engine;
  JobList jobs;
  Workflow workflow(document, engine, jobs);
  Store settings(settingsFolder / "settings.json");
  RecentFiles recent(settings);
  Recovery recovery(document, folder.path());
  ProjectFiles files(document, workflow, recent, recovery, &window);
  window.show();
  files.offerRecovery();
  RecoverDialog* dialog = nullptr;
  ASSERT_TRUE(test::waitFor([&] { return (dialog = window.findChild<RecoverDialog*>()) != nullptr; }));
  EXPECT_EQ(dialog->findChild<QListWidget*>()->count(), 2);
  QTest::mouseClick(button(*dialog, "Discard"), Qt::LeftButton);
  QTest::mouseClick(button(*dialog, "Recover"), Qt::LeftButton);
  EXPECT_TRUE(document.isModified());
  EXPECT_EQ(document.plan().target.value, 0.25);
  finishDiskWork();
  EXPECT_TRUE(test::abandoned(recovery).empty()) << "one was discarded, the other is open here";
}

}  // namespace
}  // namespace kvista
