// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Keys and hands in the whole window.
#include <gmock/gmock.h>

#include <QDBusVariant>
#include <QDockWidget>
#include <QMouseEvent>
#include <QShortcut>
#include <set>

#include "tests/unit/studio/real_window.h"
#include "views/groups_canvas.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

class WindowInput : public test::RealWindow {
 protected:
  static void press(QWidget& widget, QPoint place) { QTest::mousePress(&widget, Qt::LeftButton, {}, place); }
  static void move(QWidget& widget, QPoint place) {
    QMouseEvent event(QEvent::MouseMove, place, widget.mapToGlobal(place), Qt::NoButton, Qt::LeftButton,
                      Qt::NoModifier);
    QApplication::sendEvent(&widget, &event);
  }
  static void release(QWidget& widget, QPoint place) { QTest::mouseRelease(&widget, Qt::LeftButton, {}, place); }
  /// Names of the actions that would change the plan and can be done now.
  [[nodiscard]] QStringList canChangeThePlan() const {
    QStringList able;
    for (const ActionRegistry::Entry& entry : window->actions().entries()) {
      const QString& id = entry.specification.id;
      if (entry.action->isEnabled() && (id.startsWith("edit.undo") || id.startsWith("edit.redo") ||
                                        id.startsWith("plan.") || id.startsWith("file.open")))
        able += id;
    }
    return able;
  }
  /// Takes a head to another's group, and leaves it in the hand.
  void carry(const Slot& head, const Slot& to) {
    const QPoint from = canvas->chipRect(head).center();
    press(*canvas, from);
    for (int i = 1; i <= 8; ++i) move(*canvas, from + (canvas->chipRect(to).center() - from) * i / 8);
    ASSERT_TRUE(canvas->isDragging());
  }
  void drop(const Slot& to) { release(*canvas, canvas->chipRect(to).center()); }
  /// Every head is alone at first.
  void regroupOnce() {
    carry({0, Side::key, 1}, {0, Side::key, 0});
    drop({0, Side::key, 0});
    ASSERT_EQ(document().undoStack().count(), 1);
  }
  void openEdit() {
    start();
    openProject();
    canvas = window->findChild<GroupsCanvas*>();
    water = window->findChild<WaterlineView*>();
    ASSERT_TRUE(canvas && water && canvas->isVisible() && water->isVisible());
  }

  GroupsCanvas* canvas = nullptr;
  WaterlineView* water = nullptr;
};

TEST_F(WindowInput, NothingChangesThePlanWhileHeadsAreInTheHand) {
  openEdit();
  regroupOnce();
  ASSERT_TRUE(test::waitFor([this] { return isIdle(); }));
  EXPECT_THAT(canChangeThePlan(), ::testing::Contains(QStringLiteral("edit.undo")));
  EXPECT_THAT(canChangeThePlan(), ::testing::Contains(QStringLiteral("plan.make")));

  const std::string before = document().planFingerprint();
  carry({0, Side::value, 2}, {0, Side::value, 3});
  EXPECT_EQ(canChangeThePlan(), QStringList());
  QTest::keyClick(canvas, Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(document().planFingerprint(), before);
  EXPECT_EQ(document().undoStack().index(), 1);
  drop({0, Side::value, 3});
  EXPECT_EQ(document().undoStack().index(), 2);
  EXPECT_NE(document().planFingerprint(), before);
  EXPECT_THAT(canChangeThePlan(), ::testing::Contains(QStringLiteral("edit.undo")));
}

TEST_F(WindowInput, SpectraThatComeDuringADragThatLeadsNowhereAreKept) {
  openEdit();
  regroupOnce();
  ASSERT_TRUE(document().isPredictionStale()) << "The new groups' spectra are to come.";
  carry({0, Side::value, 0}, {0, Side::value, 3});
  ASSERT_TRUE(test::waitFor([this] { return document().spectra().isComplete(); }));
  QTest::keyClick(canvas, Qt::Key_Escape);
  drop({0, Side::value, 3});
  EXPECT_EQ(document().undoStack().count(), 1);
  EXPECT_FALSE(document().isInGesture());
  ASSERT_TRUE(test::waitFor([this] { return isIdle(); })) << "Shares of the budget wait for the drag's end.";
  EXPECT_DOUBLE_EQ(*document().planned().predictedLoss, document().spectra().loss());
}

TEST_F(WindowInput, NothingChangesThePlanWhileTheWaterIsHeld) {
  openEdit();
  regroupOnce();
  ASSERT_TRUE(test::waitFor([this] { return isIdle() && document().waterlineTable(); }));
  const QPoint grip = water->handle().center().toPoint();
  press(*water, grip);
  EXPECT_EQ(canChangeThePlan(), QStringList()) << "From the press on, before anything moves.";
  QTest::keyClick(water, Qt::Key_Z, Qt::ControlModifier);
  move(*water, grip + QPoint(0, 10));
  EXPECT_EQ(canChangeThePlan(), QStringList());
  QTest::keyClick(water, Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(document().undoStack().index(), 1);
  release(*water, grip + QPoint(0, 10));
  EXPECT_EQ(document().undoStack().index(), 2);
  EXPECT_FALSE(document().isInGesture());

  press(*water, grip + QPoint(0, 10));
  release(*water, grip + QPoint(0, 10));
  EXPECT_EQ(document().undoStack().index(), 2);
  EXPECT_THAT(canChangeThePlan(), ::testing::Contains(QStringLiteral("edit.undo")));
}

TEST_F(WindowInput, AnotherLayoutGivesNoButtonTheKeyboard) {
  openEdit();
  canvas->setFocus();
  ASSERT_EQ(window->focusWidget(), canvas);
  action("view.layout.try")->trigger();
  ASSERT_FALSE(canvas->isVisible());
  EXPECT_EQ(window->focusWidget(), window.get());
  action("view.layout.edit")->trigger();
  canvas->setFocus();
  action("view.layout.edit")->trigger();
  EXPECT_EQ(window->focusWidget(), canvas) << "what is still there keeps it";
}

TEST_F(WindowInput, NoPanelLiesOverAnotherWhereTheWindowIsSmall) {
  openEdit();
  for (const char* layout : {"view.layout.analyse", "view.layout.edit", "view.layout.compare", "view.layout.try"}) {
    action(layout)->trigger();
    window->resize(300, 200);
    QApplication::processEvents();
    QList<QDockWidget*> seen;
    for (auto* dock : window->findChildren<QDockWidget*>())
      if (dock->isVisible() && !dock->visibleRegion().isEmpty()) seen += dock;
    ASSERT_GE(seen.size(), layout == QLatin1String("view.layout.try") ? 1 : 2) << layout;  // Behind each other.
    for (int i = 0; i < seen.size(); ++i)
      for (int j = 0; j < i; ++j)
        EXPECT_FALSE(seen[i]->geometry().intersects(seen[j]->geometry()))
            << layout << ": " << seen[i]->objectName().toStdString() << ", " << seen[j]->objectName().toStdString();
  }
}

TEST_F(WindowInput, TheDesktopsLookIsFollowedWhileTheWindowIsOpen) {
  start();
  auto* desktop = window->findChild<DesktopLook*>();
  ASSERT_NE(desktop, nullptr);
  const auto say = [desktop](uint scheme) {
    QDBusMessage signal = QDBusMessage::createSignal("/org/freedesktop/portal/desktop",
                                                     "org.freedesktop.portal.Settings", "SettingChanged");
    signal << "org.freedesktop.appearance"
           << "color-scheme" << QVariant::fromValue(QDBusVariant(scheme));
    ASSERT_TRUE(QMetaObject::invokeMethod(desktop, "hear", Q_ARG(QDBusMessage, signal)));
  };
  action("view.look.system")->trigger();
  say(2);
  EXPECT_EQ(window->facts().at("dark"), false);
  say(1);
  EXPECT_EQ(window->facts().at("dark"), true);
  action("view.look.light")->trigger();
  say(2);
  say(1);
  EXPECT_EQ(window->facts().at("dark"), false) << "A look that was chosen stays.";
  action("view.look.system")->trigger();
  EXPECT_EQ(window->facts().at("dark"), true);
  say(0);
}

TEST_F(WindowInput, APanelThatIsChosenComesToTheFront) {
  openEdit();
  QAction* choose = action("view.panel.budget");
  auto* budget = window->findChild<QDockWidget*>(QStringLiteral("budget"));
  ASSERT_TRUE(choose->isChecked() && budget->visibleRegion().isEmpty()) << "it stands behind the waterline";
  choose->trigger();
  EXPECT_TRUE(test::waitFor([budget] { return !budget->visibleRegion().isEmpty(); }));
  EXPECT_TRUE(choose->isChecked());
  choose->trigger();
  EXPECT_TRUE(budget->isHidden());
  EXPECT_FALSE(choose->isChecked());

  // One that the layout has no place for takes the largest: a table in a low stripe cannot be read.
  action("view.panel.lab")->trigger();
  auto* lab = window->findChild<QDockWidget*>(QStringLiteral("lab"));
  EXPECT_TRUE(test::waitFor([lab] { return !lab->visibleRegion().isEmpty(); }));
  auto* area = qobject_cast<QMainWindow*>(lab->parentWidget());
  EXPECT_TRUE(area->tabifiedDockWidgets(lab).contains(window->findChild<QDockWidget*>(QStringLiteral("heads"))));
  EXPECT_GT(lab->height(), window->height() / 4);
}

TEST_F(WindowInput, NoKeyDoesTwoThings) {
  openEdit();
  EXPECT_EQ(window->actions().duplicateShortcuts(), QStringList());
  // Nor do keys that do not come from the registry: what is in force in the whole window must be one thing's alone.
  std::map<QString, QStringList> owners;
  std::set<const QAction*> actions;
  QList<QWidget*> widgets = window->findChildren<QWidget*>();
  widgets += window.get();
  for (const QWidget* widget : widgets)
    for (const QAction* each : widget->actions()) actions.insert(each);
  for (const QAction* each : actions)
    if (each->shortcutContext() == Qt::WindowShortcut || each->shortcutContext() == Qt::ApplicationShortcut)
      for (const QKeySequence& key : each->shortcuts()) owners[key.toString()] += each->text();
  for (const QShortcut* each : window->findChildren<QShortcut*>())
    if (each->context() == Qt::WindowShortcut || each->context() == Qt::ApplicationShortcut)
      owners[each->key().toString()] += each->objectName();
  EXPECT_GT(owners.size(), 15U);
  for (const auto& [key, names] : owners)
    EXPECT_EQ(names.size(), 1) << key.toStdString() << ": " << names.join(", ").toStdString();
}

}  // namespace
}  // namespace kvista
