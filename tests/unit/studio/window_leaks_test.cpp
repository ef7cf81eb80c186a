// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A window that is used for days: what is opened and closed leaves nothing behind.
#include <gmock/gmock.h>

#include <QMenu>
#include <QTimer>
#include <QToolButton>

#include "tests/unit/studio/real_window.h"

namespace kvista {
namespace {

class WindowLeaks : public test::RealWindow {
 protected:
  /// A main window makes and drops tab bars of docks while it lays them out.
  static bool isOfTabBar(const QWidget& widget) {
    return widget.inherits("QTabBar") || (widget.parentWidget() && widget.parentWidget()->inherits("QTabBar"));
  }
  /// Widgets there are, by class, but for the line around what has the keyboard and what Qt makes for itself.
  static std::map<std::string, int> widgets() {
    for (int i = 0; i < 3; ++i) {
      QCoreApplication::processEvents();
      QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    }
    std::map<std::string, int> counts;
    for (const QWidget* each : QApplication::allWidgets())
      if (each->objectName() != QStringLiteral("focusRing") && !each->inherits("QTipLabel") && !isOfTabBar(*each))
        ++counts[each->metaObject()->className()];
    return counts;
  }
  /// Does it, and closes whatever it has opened, also what has an event loop of its own.
  void openAndClose(const char* id) {
    ASSERT_NE(action(id), nullptr) << id;
    ASSERT_TRUE(action(id)->isEnabled()) << id;
    opened_ = 0;
    QTimer closer;
    QObject::connect(&closer, &QTimer::timeout, &closer, [this] { closeWhatIsOpen(); });
    closer.start(0);
    action(id)->trigger();
    ASSERT_TRUE(opened_ > 0 || test::waitFor([this] { return opened_ > 0; })) << id << " opens nothing";
  }
  void closeWhatIsOpen() {
    for (QWidget* top : QApplication::topLevelWidgets())
      if (top->isVisible() && top != window.get() && top->objectName() != QStringLiteral("focusRing")) {
        ++opened_;
        top->close();
      }
  }

 private:
  int opened_ = 0;
};

TEST_F(WindowLeaks, DialogsLeaveNothing) {
  start();
  openProject();
  const auto round = [this] {
    for (const char* id :
         {"file.open", "file.openFolder", "file.saveAs", "file.report", "file.figure", "file.engine", "plan.calibrate",
          "plan.openStatistics", "plan.make", "plan.keep", "plan.measure", "plan.refine", "plan.compare", "plan.export",
          "view.palette", "help.manual", "help.shortcuts"})
      openAndClose(id);
  };
  round();  // What Qt keeps from the first time on.
  const auto before = widgets();
  round();
  round();
  EXPECT_EQ(widgets(), before);
}

TEST_F(WindowLeaks, LayoutsLeaveNothing) {
  start();
  openProject();
  const auto round = [this] {
    for (const char* id : {"view.layout.analyse", "view.layout.compare", "view.resetLayout", "view.layout.try",
                           "view.layout.edit", "view.look.dark", "view.look.light"}) {
      action(id)->trigger();
      QCoreApplication::processEvents();
    }
  };
  round();
  const auto before = widgets();
  round();
  round();
  EXPECT_EQ(widgets(), before);
}

TEST_F(WindowLeaks, MenusLeaveNothing) {
  start();
  openProject();
  const auto round = [this] {
    for (auto* button : window->findChildren<QToolButton*>())
      if (button->menu() && button->isVisible() && button->isEnabled()) {
        QTimer::singleShot(0, button->menu(), [menu = button->menu()] { menu->close(); });
        button->showMenu();
      }
  };
  round();
  const auto before = widgets();
  round();
  round();
  EXPECT_EQ(widgets(), before);
}

TEST_F(WindowLeaks, ProjectsOpenedAgainLeaveNothing) {
  start();
  openProject();
  const auto before = widgets();
  for (int i = 0; i < 3; ++i) openProject();
  EXPECT_EQ(widgets(), before);
}

}  // namespace
}  // namespace kvista
