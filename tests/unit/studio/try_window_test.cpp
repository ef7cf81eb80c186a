// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// A conversation in the window: every turn goes on from what each side has said itself.
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTest>

#include "core/io/project.h"
#include "tests/unit/studio/real_window.h"
#include "views/generated_pane.h"
#include "views/try_view.h"

namespace kvista::test {
namespace {

class TryWindow : public RealWindow {
 protected:
  /// A calibrated project of a model with a chat template.
  void openChat(const QString& name = QStringLiteral("chat-model")) {
    Document made;
    made.startFrom(madeUpModelAt(home.filePath(name).toStdString()));
    StatisticsRecord statistics = madeUpStatistics();
    statistics.modelHash = made.modelHash();
    ASSERT_TRUE(made.setStatistics(statistics));
    const std::filesystem::path file = home.filePath(QStringLiteral("chat.kvista")).toStdString();
    ASSERT_TRUE(saveProject(file, made.project()));
    window->open(QString::fromStdString(file.string()));
    ASSERT_TRUE(waitFor([this] { return isIdle() && document().waterlineTable(); })) << window->facts().dump(1);
    action("view.layout.try")->trigger();
  }
  TryView& view() { return *window->findChild<TryView*>(); }
  QPushButton* button(const char* name) { return view().findChild<QPushButton*>(QLatin1String(name)); }
  QString side(int which) { return view().findChildren<GeneratedPane*>().at(which)->text(); }
  void say(const QString& words) {
    view().findChild<QPlainTextEdit*>(QStringLiteral("prompt"))->setPlainText(words);
    button("generate")->click();
    EXPECT_TRUE(waitFor([&] { return button("generate")->isVisibleTo(&view()) && isIdle(); }))
        << window->facts().dump(1);
  }
};

TEST_F(TryWindow, EachSideGoesOnFromItsOwnWords) {
  start();
  openChat();
  EXPECT_FALSE(button("newConversation")->isVisibleTo(&view()));
  say("Who was Emma?");
  EXPECT_EQ(side(0), "You: Who was Emma?\n\noriginal after 0 turns, last: nothing");
  say("And Harriet?");
  EXPECT_TRUE(side(0).startsWith("You: Who was Emma?")) << "the conversation stays in sight";
  EXPECT_TRUE(
      side(0).endsWith("You: And Harriet?\n\noriginal after 1 turns, last: original after 0 turns, last: nothing"))
      << side(0).toStdString();
  EXPECT_TRUE(side(1).endsWith("plan after 1 turns, last: plan after 0 turns, last: nothing")) << side(1).toStdString();

  ASSERT_TRUE(button("newConversation")->isVisibleTo(&view()));
  button("newConversation")->click();
  EXPECT_EQ(side(0), "");
  EXPECT_FALSE(button("newConversation")->isVisibleTo(&view()));
  say("Who was Emma?");
  EXPECT_TRUE(side(1).endsWith("plan after 0 turns, last: nothing")) << side(1).toStdString();

  // Another plan has said none of it.
  ASSERT_TRUE(document().setTarget({Target::Kind::share, 0.25}));
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  say("And Harriet?");
  EXPECT_EQ(side(1), "You: And Harriet?\n\nplan after 0 turns, last: nothing");
}

TEST_F(TryWindow, APolicyWritesAThirdTextFromItsOwnWords) {
  start();
  openChat();
  auto* policy = view().findChild<PolicyChoice*>();
  EXPECT_EQ(policy->itemText(1), "snapkv share=0.5");
  policy->setEditText(QStringLiteral("snapkv share=0.25"));
  say("Who was Emma?");
  EXPECT_EQ(side(2), "You: Who was Emma?\n\nsnapkv share=0.25 after 0 turns, last: nothing");
  say("And Harriet?");
  EXPECT_TRUE(side(2).endsWith("snapkv share=0.25 after 1 turns, last: snapkv share=0.25 after 0 turns, last: nothing"))
      << side(2).toStdString();
  // Another policy has said none of it.
  policy->setEditText(QStringLiteral("l2-norm share=0.5"));
  say("And Harriet?");
  EXPECT_EQ(side(2), "You: And Harriet?\n\nl2-norm share=0.5 after 0 turns, last: nothing");
}

TEST_F(TryWindow, SavingLeavesWhatWasWritten) {
  start();
  openChat();
  say("Who was Emma?");
  const QString before = side(0);
  bool saved = false;
  document().save(document().file(), [&](const Result<void>& done) { saved = done.has_value(); });
  ASSERT_TRUE(waitFor([&] { return saved; }));
  EXPECT_EQ(side(0), before);
  say("And Harriet?");
  EXPECT_TRUE(side(0).contains("after 1 turns")) << "the conversation goes on";
}

TEST_F(TryWindow, WithoutATemplateEveryPromptIsATextOfItsOwn) {
  start();
  openProject();
  action("view.layout.try")->trigger();
  say("It is a truth");
  say("universally acknowledged");
  EXPECT_EQ(side(0), "original after 0 turns, last: nothing");
  EXPECT_FALSE(button("newConversation")->isVisibleTo(&view()));
}

TEST_F(TryWindow, ATemplateThatIsNotKnownIsSaidAndPromptsAreTexts) {
  start();
  openChat(QStringLiteral("strange-model"));
  auto* said = view().findChild<QLabel*>(QStringLiteral("noChatTemplate"));
  ASSERT_TRUE(said->isVisible());
  EXPECT_EQ(said->text(), "The model's chat template is strange. The prompt is a text that goes on.");
  say("It is a truth");
  EXPECT_EQ(side(0), "original after 0 turns, last: nothing") << "and no turn of a conversation";
  openProject();
  EXPECT_TRUE(waitFor([&] { return !said->isVisible(); })) << "this model has none";
}

}  // namespace
}  // namespace kvista::test
