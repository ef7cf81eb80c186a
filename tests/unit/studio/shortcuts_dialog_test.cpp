// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/shortcuts_dialog.h"

#include <gmock/gmock.h>

#include <QKeySequenceEdit>
#include <QPushButton>
#include <QTreeWidget>

#include "tests/unit/studio/window_case.h"

namespace kvista {
namespace {

class Shortcuts : public test::WindowCase {
 protected:
  void openDialog() {
    trigger("help.shortcuts");
    dialog = window->findChild<ShortcutsDialog*>();
    list = dialog->findChild<QTreeWidget*>();
    ASSERT_TRUE(QTest::qWaitForWindowActive(dialog));
    list->setFocus();
  }
  QTreeWidgetItem* row(const QString& text) {
    const auto found = list->findItems(text, Qt::MatchExactly | Qt::MatchRecursive, 0);
    return found.isEmpty() ? nullptr : found.front();
  }
  /// As a person does: go there, F2, press.
  void press(const QString& action, Qt::Key key, Qt::KeyboardModifiers modifiers) {
    list->setCurrentItem(row(action));
    QTest::keyClick(list, Qt::Key_F2);
    auto* editor = list->findChild<QKeySequenceEdit*>();
    ASSERT_NE(editor, nullptr) << action.toStdString();
    QTest::keyClick(editor, key, modifiers);
    ASSERT_TRUE(test::waitFor([this] { return !list->findChild<QKeySequenceEdit*>(); }));
  }
  [[nodiscard]] QKeySequence keysOf(const char* id) { return window->actions().action(QLatin1String(id))->shortcut(); }
  void click(const QString& text) {
    for (QPushButton* button : dialog->findChildren<QPushButton*>())
      if (button->text() == text) return QTest::mouseClick(button, Qt::LeftButton);
    FAIL() << text.toStdString();
  }
  ShortcutsDialog* dialog = nullptr;
  QTreeWidget* list = nullptr;
};

TEST_F(Shortcuts, KeysThatArePressedHoldAtOnceAndInTheNextWindow) {
  openDialog();
  EXPECT_EQ(row("Calibrate…")->text(1), "Ctrl+K");
  press("Calibrate…", Qt::Key_B, Qt::ControlModifier | Qt::AltModifier);
  EXPECT_EQ(dialog->reason(), "");
  EXPECT_EQ(row("Calibrate…")->text(1), QKeySequence("Ctrl+Alt+B").toString(QKeySequence::NativeText));
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+Alt+B"));
  close();
  open();
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+Alt+B"));
  openDialog();
  list->setCurrentItem(row("Calibrate…"));
  click("Reset");
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+K"));
}

TEST_F(Shortcuts, KeysOfAnotherActionAreRefusedByItsName) {
  openDialog();
  press("Calibrate…", Qt::Key_E, Qt::ControlModifier);
  EXPECT_THAT(dialog->reason().toStdString(), ::testing::HasSubstr("Ctrl+E is the shortcut of 'Export…' already."));
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+K"));
  EXPECT_EQ(row("Calibrate…")->text(1), "Ctrl+K");
  // Once that one has none, it may.
  list->setCurrentItem(row("Export…"));
  QTest::keyClick(list, Qt::Key_Delete);
  EXPECT_TRUE(keysOf("plan.export").isEmpty());
  press("Calibrate…", Qt::Key_E, Qt::ControlModifier);
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+E"));
  click("Reset all");
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+K"));
  EXPECT_EQ(keysOf("plan.export"), QKeySequence("Ctrl+E"));
}

TEST_F(Shortcuts, EscapeLeavesThemAsTheyAre) {
  openDialog();
  list->setCurrentItem(row("Calibrate…"));
  QTest::keyClick(list, Qt::Key_F2);
  auto* editor = list->findChild<QKeySequenceEdit*>();
  ASSERT_NE(editor, nullptr);
  QTest::keyClick(editor, Qt::Key_Escape);
  ASSERT_TRUE(test::waitFor([this] { return !list->findChild<QKeySequenceEdit*>(); }));
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+K"));
  EXPECT_TRUE(dialog->isVisible());
  EXPECT_EQ(dialog->reason(), "");
}

TEST_F(Shortcuts, OfADamagedSettingTheDefaultsHoldAndItIsSaid) {
  const auto file = settingsFile();
  close();
  std::filesystem::create_directories(file.parent_path());
  test::writeText(file, R"({"shortcuts": {"plan.calibrate": 7}})");
  open();
  EXPECT_EQ(keysOf("plan.calibrate"), QKeySequence("Ctrl+K"));
  ASSERT_EQ(fact("problems").size(), 1U);
  EXPECT_THAT(fact("problems")[0].at("sentence").get<std::string>(), ::testing::HasSubstr("shortcuts"));
}

TEST_F(Shortcuts, NoTwoActionsOfTheWindowHaveTheSame) {
  EXPECT_TRUE(window->actions().duplicateShortcuts().isEmpty())
      << window->actions().duplicateShortcuts().join(", ").toStdString();
}

}  // namespace
}  // namespace kvista
