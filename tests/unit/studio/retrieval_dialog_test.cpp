// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/retrieval_dialog.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QTest>

namespace kvista {
namespace {

class RetrievalDialogTest : public ::testing::Test {
 protected:
  static ModelRecord model() {
    ModelRecord record;
    record.maximumPositions = 1024;
    return record;
  }
  template <class Widget>
  [[nodiscard]] Widget* at(const char* name) const {
    return dialog.findChild<Widget*>(QLatin1String(name));
  }
  [[nodiscard]] bool canStart() const { return at<QPushButton>("startButton")->isEnabled(); }
  void type(const char* name, const QString& text) {
    auto* line = at<QLineEdit>(name);
    line->clear();
    QTest::keyClicks(line, text);
  }

  RetrievalDialog dialog{model(), nullptr};
};

TEST_F(RetrievalDialogTest, AsksForWhatTheEngineTakesWhereNothingIsSaid) {
  const RetrievalWish wish = dialog.wish();
  EXPECT_TRUE(canStart());
  EXPECT_EQ(wish.kind, RetrievalKind::needle);
  EXPECT_TRUE(wish.texts.isEmpty() && wish.lengths.empty() && wish.policy.isEmpty());
  EXPECT_EQ(wish.depths, (std::vector<int>{0, 25, 50, 75, 100}));
  EXPECT_EQ(wish.planted, 0);
  EXPECT_EQ(wish.trials, 4);
  EXPECT_EQ(wish.seed, 0);
}

TEST_F(RetrievalDialogTest, TakesLengthsAndDepthsInOrderAndRefusesOthers) {
  type("lengths", "512 128, 256; 128");
  type("depths", "100 0");
  EXPECT_TRUE(canStart());
  EXPECT_EQ(dialog.wish().lengths, (std::vector<int>{128, 256, 512}));
  EXPECT_EQ(dialog.wish().depths, (std::vector<int>{0, 100}));
  for (const char* wrong : {"0", "1025", "many", "12.5", "-3", "99999999999"}) {
    type("lengths", wrong);
    EXPECT_FALSE(canStart()) << wrong;
  }
  type("lengths", "1,024");
  EXPECT_TRUE(canStart());
  EXPECT_EQ(dialog.wish().lengths, std::vector<int>{1024}) << "as the dialog itself writes numbers";
  for (const char* wrong : {"101", "-1", "half"}) {
    type("depths", wrong);
    EXPECT_FALSE(canStart()) << wrong;
  }
  type("depths", "");
  EXPECT_TRUE(canStart());
  EXPECT_EQ(dialog.wish().depths.size(), 5U);
  QString many;
  for (int length = 1; length <= 205; ++length) many += QString::number(length) + QLatin1Char(' ');
  at<QLineEdit>("lengths")->setText(many);
  EXPECT_FALSE(canStart()) << "205 lengths at 5 depths";
}

TEST_F(RetrievalDialogTest, SentencesAreThoseThatTheKindCanHave) {
  auto* kind = at<QComboBox>("retrievalKind");
  auto* planted = at<QSpinBox>("planted");
  EXPECT_FALSE(planted->isEnabled()) << "a needle is one sentence";
  kind->setCurrentIndex(1);
  EXPECT_TRUE(planted->isEnabled());
  EXPECT_EQ(planted->text(), "4 (usual)");
  planted->setValue(1);
  EXPECT_FALSE(canStart());
  planted->setValue(6);
  EXPECT_TRUE(canStart());
  EXPECT_EQ(dialog.wish().planted, 6);
  EXPECT_EQ(dialog.wish().kind, RetrievalKind::multiKey);
  kind->setCurrentIndex(0);
  EXPECT_EQ(dialog.wish().planted, 0);
}

TEST_F(RetrievalDialogTest, ComesBackAsItWasFilledIn) {
  at<QComboBox>("retrievalKind")->setCurrentIndex(2);
  type("lengths", "64 128");
  type("depths", "50");
  at<QSpinBox>("planted")->setValue(3);
  at<QSpinBox>("trials")->setValue(2);
  at<QSpinBox>("seed")->setValue(7);
  dialog.setPolicy("snapkv share=0.25");
  RetrievalDialog again(model(), nullptr);
  again.setState(dialog.state());
  EXPECT_EQ(again.state(), dialog.state());
  const RetrievalWish wish = again.wish();
  EXPECT_EQ(wish.kind, RetrievalKind::variableTracking);
  EXPECT_EQ(wish.planted, 3);
  EXPECT_EQ(wish.trials, 2);
  EXPECT_EQ(wish.seed, 7);
  EXPECT_EQ(wish.lengths, (std::vector<int>{64, 128}));
  EXPECT_EQ(wish.policy, "snapkv share=0.25");
  again.setState({{"retrievalKind", "riddle"}, {"trials", "many"}, {"lengths", 5}, {"texts", "x"}});
  EXPECT_EQ(again.state(), dialog.state()) << "what does not fit is left as it is";
}

}  // namespace
}  // namespace kvista
