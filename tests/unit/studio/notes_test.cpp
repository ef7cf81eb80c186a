// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <QPlainTextEdit>

#include "tests/unit/studio/window_case.h"
#include "views/notes_view.h"

namespace kvista {
namespace {

class Notes : public test::WindowCase {
 protected:
  QPlainTextEdit* field() {
    trigger("view.layout.analyse");
    dock("notes")->raise();
    auto* text = window->findChild<QPlainTextEdit*>(QStringLiteral("notesText"));
    text->setFocus();
    EXPECT_TRUE(QTest::qWaitFor([text] { return text->hasFocus(); }));
    return text;
  }
};

TEST_F(Notes, AreTypedSavedAndComeBackWithTheProject) {
  EXPECT_FALSE(window->findChild<NotesView*>()->isEnabled());  // There is no project to note anything about.
  openProject();
  QTest::keyClicks(field(), QStringLiteral("Rank 96 for the last layer"));
  EXPECT_TRUE(fact("modified").get<bool>());
  trigger("file.save");
  ASSERT_TRUE(test::waitFor([this] { return !fact("modified").get<bool>(); }));
  EXPECT_EQ(loadProject(project)->notes, "Rank 96 for the last layer");
  close();
  open();
  window->open(QString::fromStdString(project.string()));
  ASSERT_TRUE(test::waitFor([this] { return fact("calibrated").get<bool>(); }));
  EXPECT_EQ(field()->toPlainText(), "Rank 96 for the last layer");
  EXPECT_FALSE(fact("modified").get<bool>());
}

TEST_F(Notes, UndoWhileTypingIsOfTheTextAndNotOfThePlan) {
  openProject();
  CompressionPlan plan = window->document().plan();
  plan.groups.front().locked = true;
  ASSERT_TRUE(window->document().edit(plan));
  QPlainTextEdit* text = field();
  QTest::keyClicks(text, QStringLiteral("wrong"));
  QTest::keyClick(text, Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(text->toPlainText(), "");
  EXPECT_EQ(window->document().notes(), "");
  EXPECT_EQ(fact("undo"), 1);
}

}  // namespace
}  // namespace kvista
