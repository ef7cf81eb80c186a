// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/tab_order.h"

#include <gtest/gtest.h>

#include <QAction>
#include <QDialog>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <algorithm>
#include <vector>

#include "app/studio/window/lab_dialog.h"
#include "app/studio/window/retrieval_dialog.h"
#include "app/studio/window/text_dialog.h"
#include "app/studio/window/top_bar.h"
#include "views/theme.h"

namespace kvista {
namespace {

ModelRecord model() {
  ModelRecord record;
  record.maximumPositions = 1024;
  return record;
}

/// From row to row, and from left to right.
void expectAsSeen(QDialog& dialog) {
  dialog.show();
  std::vector<QWidget*> stops;
  QWidget* at = dialog.nextInFocusChain();
  for (; at != &dialog; at = at->nextInFocusChain())
    if ((at->focusPolicy() & Qt::TabFocus) != 0 && at->focusProxy() == nullptr && at->isEnabled() && at->isVisible())
      stops.push_back(at);
  ASSERT_GT(stops.size(), 5U);
  for (std::size_t i = 1; i < stops.size(); ++i) {
    const auto centre = [&](const QWidget* widget) { return widget->mapTo(&dialog, widget->rect().center()); };
    const QPoint before = centre(stops[i - 1]), now = centre(stops[i]);
    EXPECT_TRUE(now.y() > before.y() + 8 || now.x() > before.x())
        << dialog.objectName().toStdString() << ": " << stops[i]->metaObject()->className() << ' '
        << stops[i]->objectName().toStdString() << " after " << stops[i - 1]->objectName().toStdString();
  }
}

TEST(TabOrder, GoesThroughDialogsAsTheyAreSeen) {
  const TextSelection text{.paths = {"/a.txt"}};
  RetrievalDialog retrieval(model(), nullptr);
  expectAsSeen(retrieval);
  for (const auto purpose :
       {LabDialog::Purpose::questions, LabDialog::Purpose::agreement, LabDialog::Purpose::predictor}) {
    LabDialog dialog(purpose, model(), text, QStringLiteral("/tmp/a.gate"), nullptr);
    expectAsSeen(dialog);
  }
  for (const auto purpose : {TextDialog::Purpose::calibrate, TextDialog::Purpose::measure}) {
    TextDialog dialog(purpose, model(), text, nullptr);
    expectAsSeen(dialog);
  }
}

TEST(PolicyOfADialog, ASlipIsSaidInItAndNothingBegins) {
  RetrievalDialog retrieval(model(), nullptr);
  LabDialog agreement(LabDialog::Purpose::agreement, model(), {.paths = {"/a.txt"}}, {}, nullptr);
  LabDialog questions(LabDialog::Purpose::questions, model(), {.paths = {"/a.jsonl"}}, {}, nullptr);
  const QString problem = QStringLiteral("There is no policy 'snapkw'.");
  for (QDialog* dialog :
       {static_cast<QDialog*>(&retrieval), static_cast<QDialog*>(&agreement), static_cast<QDialog*>(&questions)}) {
    dialog->show();
    auto* choice = dialog->findChild<PolicyChoice*>();
    auto* start = dialog->findChild<QWidget*>(QStringLiteral("startButton"));
    const auto says = [&] {
      const auto labels = dialog->findChildren<QLabel*>();
      return std::ranges::any_of(labels,
                                 [&](const QLabel* label) { return label->isVisible() && label->text() == problem; });
    };
    choice->setEditText(QStringLiteral("snapkw"));
    EXPECT_TRUE(start->isEnabled());
    choice->setProblem(problem);
    EXPECT_TRUE(says() && !start->isEnabled()) << dialog->objectName().toStdString();
    choice->setEditText(QStringLiteral("snapkv"));
    EXPECT_TRUE(!says() && start->isEnabled()) << dialog->objectName().toStdString();
  }
}

TEST(TopBar, WordsTakeTheColourOfANewLook) {
  QMenu menu;
  QAction action;
  TopBar bar(&menu, &action, &action, &action, &action);
  Theme::instance().setMode(Theme::Mode::light);
  bar.setDocument(QStringLiteral("model"), true);
  const auto says = [&](const QColor& colour) {
    const auto labels = bar.findChildren<QLabel*>();
    return std::ranges::any_of(labels, [&](const QLabel* label) { return label->text().contains(colour.name()); });
  };
  EXPECT_TRUE(says(Theme::light().soft));
  Theme::instance().setMode(Theme::Mode::dark);
  EXPECT_TRUE(says(Theme::dark().soft));
  EXPECT_FALSE(says(Theme::light().soft));
  Theme::instance().setMode(Theme::Mode::light);
}

}  // namespace
}  // namespace kvista
