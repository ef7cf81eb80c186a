// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The whole window without a mouse: where Tab and F6 go, and that everything can be done from the keyboard.
#include <gmock/gmock.h>

#include <QDockWidget>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <set>

#include "app/studio/window/command_palette.h"
#include "tests/unit/studio/real_window.h"

namespace kvista {
namespace {

std::string nameOf(const QWidget* widget) {
  std::string name = widget->metaObject()->className();
  for (const QWidget* each = widget; each; each = each->parentWidget())
    if (!each->objectName().isEmpty()) name += " in " + each->objectName().toStdString();
  return name;
}

class WindowFocus : public test::RealWindow {
 protected:
  void openLayout(const char* layout) {
    action((std::string("view.layout.") + layout).c_str())->trigger();
    QCoreApplication::processEvents();
  }
  static void key(int key, Qt::KeyboardModifiers modifiers = {}) {
    QWidget* focus = QApplication::focusWidget();
    QTest::keyClick(focus ? focus : QApplication::activeWindow(), static_cast<Qt::Key>(key), modifiers);
    QCoreApplication::processEvents();
  }
  /// The dock that has the keyboard; empty: none.
  static QString panelInUse() {
    for (const QWidget* each = QApplication::focusWidget(); each; each = each->parentWidget())
      if (const auto* dock = qobject_cast<const QDockWidget*>(each)) return dock->objectName();
    return {};
  }
  std::set<QString> panelsShown() const {
    std::set<QString> names;
    for (const QDockWidget* dock : window->findChildren<QDockWidget*>())
      if (!dock->isHidden()) names.insert(dock->objectName());
    return names;
  }
  /// What the window looks like, but for a caret that blinks.
  QImage seen() const {
    if (auto* field = qobject_cast<QLineEdit*>(QApplication::focusWidget())) field->setReadOnly(field->isReadOnly());
    return window->grab().toImage();
  }
};

TEST_F(WindowFocus, TabGoesThroughWhatIsSeenAloneAndShowsWhereItIs) {
  start();
  openProject();
  for (const char* layout : {"analyse", "edit", "compare", "try"}) {
    openLayout(layout);
    document().setSelection({1, Side::key, {}});
    const Selection selection = document().selection();
    const std::string plan = document().planFingerprint();
    action("view.nextPanel")->trigger();
    QWidget* const first = QApplication::focusWidget();
    ASSERT_NE(first, nullptr) << layout;
    QImage before = seen();
    std::set<QWidget*> reached;
    do {
      key(Qt::Key_Tab);
      QWidget* focus = QApplication::focusWidget();
      ASSERT_NE(focus, nullptr);
      ASSERT_TRUE(reached.insert(focus).second)
          << layout << ": Tab does not get past " << nameOf(focus) << " back to " << nameOf(first);
      const QRect place(focus->mapTo(window.get(), QPoint()), focus->size());
      const QWidget* there = window->childAt((place & window->rect()).center());
      EXPECT_TRUE(there && (there == focus || focus->isAncestorOf(there)))
          << layout << ": nobody sees " << nameOf(focus);
      const QImage after = seen();
      EXPECT_NE(after, before) << layout << ": focus is not seen at " << nameOf(focus);
      before = after;
      EXPECT_EQ(document().selection(), selection) << layout << ": selects " << nameOf(focus);
      document().setSelection(selection);
    } while (QApplication::focusWidget() != first);
    EXPECT_GT(reached.size(), 8U) << layout;
    EXPECT_EQ(document().planFingerprint(), plan);
  }
}

TEST_F(WindowFocus, F6GoesFromPanelToPanelAndBack) {
  start();
  openProject();
  for (const char* layout : {"analyse", "edit", "compare", "try"}) {
    openLayout(layout);
    QStringList there;
    while (there.isEmpty() || there.front() != panelInUse() || there.size() == 1) {
      key(Qt::Key_F6);
      there += panelInUse();
      ASSERT_LT(there.size(), 40) << there.join(' ').toStdString();
      if (there.size() > 1 && there.back() == there.front()) break;
    }
    there.removeLast();
    // Some panels have nothing that takes the keyboard; all others are visited once, and so is the bar.
    EXPECT_TRUE(there.contains(QString())) << layout;
    EXPECT_EQ(std::set<QString>(there.begin(), there.end()).size(), static_cast<std::size_t>(there.size()))
        << there.join(' ').toStdString();
    for (const QString& name : panelsShown()) {
      if (there.contains(name)) continue;
      const auto* dock = window->findChild<QDockWidget*>(name);
      for (const QWidget* each : dock->findChildren<QWidget*>())
        EXPECT_FALSE((each->focusPolicy() & Qt::TabFocus) && each->isEnabled() && each->isVisibleTo(dock))
            << layout << ": F6 passes by " << nameOf(each);
    }
    QStringList back;
    for (int i = 0; i < there.size(); ++i) {
      key(Qt::Key_F6, Qt::ShiftModifier);
      back.prepend(panelInUse());
    }
    EXPECT_EQ(back, there) << layout;
  }
}

TEST_F(WindowFocus, EveryActionIsInThePaletteUnderItsName) {
  start();
  openProject();
  ASSERT_TRUE(test::waitFor([this] { return action("view.measure.cka-sink-free") != nullptr; }));
  key(Qt::Key_P, Qt::ControlModifier | Qt::ShiftModifier);
  auto* palette = window->findChild<CommandPalette*>();
  ASSERT_NE(palette, nullptr);
  auto* field = palette->findChild<QLineEdit*>();
  auto* list = palette->findChild<QListWidget*>();
  EXPECT_EQ(static_cast<std::size_t>(list->count()), window->actions().entries().size());
  for (const ActionRegistry::Entry& entry : window->actions().entries()) {
    field->setText(plainText(*entry.action));
    ASSERT_GT(list->count(), 0) << entry.specification.id.toStdString();
    EXPECT_EQ(list->item(0)->data(Qt::UserRole).value<QAction*>(), entry.action)
        << entry.specification.id.toStdString();
    EXPECT_FALSE(plainText(*entry.action).isEmpty());
  }
}

TEST_F(WindowFocus, ThePaletteDoesWhatIsChosen) {
  start();
  openProject();
  key(Qt::Key_P, Qt::ControlModifier | Qt::ShiftModifier);
  auto* palette = window->findChild<CommandPalette*>();
  ASSERT_NE(palette, nullptr);
  auto* field = palette->findChild<QLineEdit*>();
  auto* list = palette->findChild<QListWidget*>();
  QTest::keyClicks(field, "layout");
  ASSERT_GE(list->count(), 4);
  QTest::keyClick(field, Qt::Key_Down);
  QTest::keyClick(field, Qt::Key_Down);
  EXPECT_EQ(list->currentRow(), 2);
  QTest::keyClick(field, Qt::Key_Up);
  const QString chosen = list->currentItem()->data(Qt::UserRole).value<QAction*>()->objectName();
  QTest::keyClick(field, Qt::Key_Return);
  EXPECT_EQ(QStringLiteral("view.layout.") + QString::fromStdString(window->facts().at("layout")), chosen);
  ASSERT_TRUE(test::waitFor([this] { return !window->findChild<CommandPalette*>(); }));

  // What cannot be done now stays open and does nothing.
  key(Qt::Key_P, Qt::ControlModifier | Qt::ShiftModifier);
  palette = window->findChild<CommandPalette*>();
  ASSERT_NE(palette, nullptr);
  QTest::keyClicks(palette->findChild<QLineEdit*>(), "redo");
  QTest::keyClick(palette->findChild<QLineEdit*>(), Qt::Key_Return);
  EXPECT_TRUE(palette->isVisible());
  // Where it is not plain to see, it says what is not there.
  palette->findChild<QLineEdit*>()->setText(QStringLiteral("Compare key variants"));
  list = palette->findChild<QListWidget*>();
  EXPECT_FALSE(list->item(0)->flags() & Qt::ItemIsEnabled);
  EXPECT_TRUE(list->item(0)->data(Qt::UserRole + 1).toString().contains(QStringLiteral("kqsvd")));
  QTest::keyClick(palette->findChild<QLineEdit*>(), Qt::Key_Escape);
  EXPECT_FALSE(palette->isVisible());
}

TEST(Palette, RanksByHowWellTheLettersFit) {
  EXPECT_EQ(fuzzyRank("", "Anything"), 0);
  EXPECT_EQ(fuzzyRank("save", "Save"), 0);
  EXPECT_EQ(fuzzyRank("S A", "Save as…"), fuzzyRank("sa", "Save as…"));
  EXPECT_EQ(fuzzyRank("vas", "Save"), -1) << "letters in order";
  EXPECT_EQ(fuzzyRank("savee", "Save"), -1) << "each letter once";
  EXPECT_LT(fuzzyRank("ex", "Export…"), fuzzyRank("ex", "Reset texts"));
  EXPECT_LT(fuzzyRank("kp", "Keep plan"), fuzzyRank("kp", "Keep a longer plan"));
  EXPECT_LT(fuzzyRank("fig", "Save this figure"), fuzzyRank("fig", "Refining things"))
      << "beginnings of words before their middles";
  EXPECT_EQ(fuzzyRank("LAYOUT", "Layout: Edit"), 0);
}

TEST_F(WindowFocus, MnemonicsOfAMenuAreUnique) {
  start();
  openProject();
  int marked = 0;
  for (const QMenu* menu : window->findChildren<QMenu*>()) {
    std::map<QChar, QString> owners;
    for (const QAction* each : menu->actions()) {
      const QString text = QString(each->text()).remove(QStringLiteral("&&"));
      const auto at = text.indexOf(QLatin1Char('&'));
      if (at < 0) continue;
      ++marked;
      const QChar letter = text[at + 1].toLower();
      EXPECT_FALSE(owners.contains(letter)) << text.toStdString() << " and " << owners[letter].toStdString();
      owners[letter] = text;
    }
  }
  EXPECT_GT(marked, 10);
}

}  // namespace
}  // namespace kvista
