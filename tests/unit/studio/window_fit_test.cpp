// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A laptop of 1280 x 800 pixels at scale 1.5 has a screen of 853 x 533: everything must fit.
#include <QDialog>
#include <QDockWidget>

#include "tests/unit/studio/real_window.h"

namespace kvista {
namespace {

constexpr int kWidth = 853, kHeight = 533;

class WindowFit : public test::RealWindow {};

TEST_F(WindowFit, EveryLayoutFitsASmallScreen) {
  start();
  openProject();
  document().setSelection({1, Side::key, {}});
  for (const char* layout : {"analyse", "edit", "compare", "try"}) {
    action((std::string("view.layout.") + layout).c_str())->trigger();
    QCoreApplication::processEvents();
    window->resize(kWidth, kHeight);
    QCoreApplication::processEvents();
    EXPECT_LE(window->minimumSizeHint().width(), kWidth) << layout;
    EXPECT_LE(window->minimumSizeHint().height(), kHeight) << layout;
    EXPECT_EQ(window->size(), QSize(kWidth, kHeight)) << layout;
    for (const QDockWidget* dock : window->findChildren<QDockWidget*>()) {
      if (dock->isHidden() || dock->visibleRegion().isEmpty()) continue;
      const QRect place(dock->mapTo(window.get(), QPoint()), dock->size());
      EXPECT_TRUE(window->rect().contains(place))
          << layout << ": " << dock->objectName().toStdString() << " reaches beyond the window";
    }
  }
}

/// The window grows and shrinks: beside each other where there is room, behind each other where there is not.
TEST_F(WindowFit, PanelsShareASmallWindowByStandingBehindEachOther) {
  start();
  openProject();
  const auto inSight = [this](const char* layout, const QSize& size) {
    window->resize(size);
    action((std::string("view.layout.") + layout).c_str())->trigger();
    for (int i = 0; i < 3; ++i) QCoreApplication::processEvents();
    std::map<std::string, QSize> panels;
    for (const QDockWidget* dock : window->findChildren<QDockWidget*>())
      if (!dock->isHidden() && !dock->visibleRegion().isEmpty())
        panels[dock->objectName().toStdString()] = dock->size();
    return panels;
  };
  const QSize large(1440, 900), small(kWidth, kHeight);
  for (const char* layout : {"analyse", "compare", "try"}) {
    const auto before = inSight(layout, large), narrow = inSight(layout, small), after = inSight(layout, large);
    EXPECT_LT(narrow.size(), before.size()) << layout;
    EXPECT_EQ(before.size(), after.size()) << layout;
    for (const auto& [name, size] : narrow)
      EXPECT_TRUE(name == "layers" || (size.width() >= 600 && size.height() >= 150))
          << layout << ": " << name << " " << size.width() << " x " << size.height();
  }
}

TEST_F(WindowFit, ALongNameOfAnEditDoesNotWidenTheWindow) {
  start();
  openProject();
  const int before = window->minimumSizeHint().width();
  action("edit.undo")->setText(QString(200, QLatin1Char('x')));
  QCoreApplication::processEvents();
  EXPECT_EQ(window->minimumSizeHint().width(), before);
}

TEST_F(WindowFit, EveryDialogFitsASmallScreen) {
  start();
  openProject();
  // Beside the frame that the desktop draws.
  const QSize room(kWidth - 16, kHeight - 48);
  for (const char* id : {"plan.calibrate", "plan.make", "plan.measure", "plan.experiment", "plan.questions",
                         "plan.agreement", "plan.retrieval", "plan.ranks", "plan.predictor", "plan.refine",
                         "plan.export", "help.shortcuts", "help.manual", "file.engine"}) {
    action(id)->trigger();
    QDialog* dialog = nullptr;
    ASSERT_TRUE(test::waitFor([&] {
      for (QDialog* each : window->findChildren<QDialog*>())
        if (each->isVisible()) dialog = each;
      return dialog != nullptr;
    })) << id;
    EXPECT_LE(dialog->minimumSizeHint().width(), room.width()) << id;
    EXPECT_LE(dialog->minimumSizeHint().height(), room.height()) << id;
    delete dialog;
  }
}

}  // namespace
}  // namespace kvista
