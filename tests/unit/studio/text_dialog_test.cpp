// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/text_dialog.h"

#include <gtest/gtest.h>

#include <QCheckBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <algorithm>

namespace kvista {
namespace {

ModelRecord model() {
  ModelRecord record;
  record.maximumPositions = 4096;
  return record;
}

TEST(TextDialog, SaysWhatThePassWouldTakeOfWhichMemory) {
  TextDialog dialog(TextDialog::Purpose::calibrate, model(), {}, nullptr);
  auto* memory = dialog.findChild<QLabel*>(QStringLiteral("memory"));
  ASSERT_NE(memory, nullptr);
  dialog.showMemory(std::vector<MemoryForecast>{{"NVIDIA H200", 16'000'000'000, 140'000'000'000},
                                                {"CPU, 2 cores", 1'500'000'000, {}}});
  EXPECT_EQ(memory->text(),
            QStringLiteral("about 16.0 GB of 140.0 GB free on NVIDIA H200\nabout 1.5 GB on CPU, 2 cores"));
  dialog.showMemory(std::vector<MemoryForecast>{{"CPU, 2 cores", 9'000'000'000, 8'000'000'000}});
  EXPECT_TRUE(memory->text().contains(QStringLiteral("more than there is"))) << memory->text().toStdString();
  dialog.showMemory(fail(ErrorCode::device, "There is no GPU 3."));
  EXPECT_EQ(memory->text(), QStringLiteral("There is no GPU 3."));
}

TEST(TextDialog, AsksForMemoryAnewWhenWhatItDependsOnChanges) {
  TextDialog dialog(TextDialog::Purpose::calibrate, model(), {}, nullptr);
  QSignalSpy wanted(&dialog, &TextDialog::memoryWanted);
  for (auto* box : dialog.findChildren<QSpinBox*>())
    if (box->maximum() == 4096) box->setValue(512);
  EXPECT_EQ(wanted.size(), 1);
  EXPECT_EQ(dialog.selection().window, 512);
  for (auto* box : dialog.findChildren<QCheckBox*>())
    if (box->text().startsWith(QStringLiteral("with gradients"))) box->setChecked(false);
  EXPECT_EQ(wanted.size(), 2);
  EXPECT_FALSE(dialog.gradients());
}

TEST(TextDialog, SeveralCalibrationTextsAreMixedInARatio) {
  TextSelection before;
  before.paths = {"/a.txt", "/b.txt"};
  before.weights = {2, 0.5};
  TextDialog dialog(TextDialog::Purpose::calibrate, model(), before, nullptr);
  auto* weights = dialog.findChild<QLineEdit*>(QStringLiteral("weights"));
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  EXPECT_EQ(dialog.selection().weights, before.weights) << "as they were";
  for (const char* wrong : {"2", "2 : 1 : 1", "2 : many", "2 : 0", "2 : -1", "1 : inf"}) {
    weights->setText(QLatin1String(wrong));
    EXPECT_FALSE(start->isEnabled()) << wrong;
    bool says = false;
    for (const auto* label : dialog.findChildren<QLabel*>())
      says = says || label->text().startsWith(QStringLiteral("A ratio of 2 texts"));
    EXPECT_TRUE(says) << wrong;
  }
  for (const char* right : {"3 : 1", "3:1", "3 1", " 3 ; 1 "}) {
    weights->setText(QLatin1String(right));
    EXPECT_TRUE(start->isEnabled()) << right;
    EXPECT_EQ(dialog.selection().weights, (std::vector<double>{3, 1})) << right;
  }
  weights->clear();
  EXPECT_TRUE(start->isEnabled());
  EXPECT_TRUE(dialog.selection().weights.empty());
}

TEST(TextDialog, OneTextHasNoRatioAndMeasuringHasNone) {
  TextSelection one;
  one.paths = {"/a.txt"};
  one.weights = {2};
  TextDialog dialog(TextDialog::Purpose::calibrate, model(), one, nullptr);
  EXPECT_FALSE(dialog.findChild<QLineEdit*>(QStringLiteral("weights"))->isEnabled());
  EXPECT_TRUE(dialog.selection().weights.empty());
  EXPECT_TRUE(dialog.findChild<QPushButton*>(QStringLiteral("startButton"))->isEnabled());
  EXPECT_EQ(
      TextDialog(TextDialog::Purpose::measure, model(), one, nullptr).findChild<QLineEdit*>(QStringLiteral("weights")),
      nullptr);
}

TEST(TextDialog, APolicyIsMeasuredBehindAPrompt) {
  TextSelection text;
  text.paths = {"/a.txt"};
  text.window = 64;
  EXPECT_TRUE(TextDialog(TextDialog::Purpose::calibrate, model(), text, nullptr).policy().isEmpty());
  TextDialog dialog(TextDialog::Purpose::measure, model(), text, nullptr);
  auto* prompt = dialog.findChild<QSpinBox*>(QStringLiteral("policyPrompt"));
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  auto* policy = dialog.findChild<PolicyChoice*>();
  dialog.setPolicies({{QStringLiteral("snapkv share=0.5"), QStringLiteral("What the last queries look at")}});
  EXPECT_TRUE(dialog.policy().isEmpty()) << "without one unless it is asked for";
  EXPECT_FALSE(prompt->isEnabled());
  prompt->setValue(63);
  EXPECT_TRUE(start->isEnabled()) << "a prompt without a policy means nothing";
  EXPECT_EQ(dialog.prompt(), 0);
  policy->setCurrentIndex(1);
  EXPECT_EQ(dialog.policy(), QStringLiteral("snapkv share=0.5"));
  EXPECT_TRUE(prompt->isEnabled());
  EXPECT_FALSE(start->isEnabled()) << "nothing would be left to measure";
  prompt->setValue(62);
  EXPECT_TRUE(start->isEnabled());
  EXPECT_EQ(dialog.prompt(), 62);
  dialog.findChild<QSpinBox*>(QStringLiteral("window"))->setValue(32);
  EXPECT_FALSE(start->isEnabled()) << "the window is shorter now";
  policy->setEditText(QStringLiteral("  "));
  EXPECT_TRUE(start->isEnabled());
  prompt->setValue(0);
  policy->setEditText(QStringLiteral("snapkw"));
  EXPECT_TRUE(start->isEnabled()) << "nobody has read it";
  policy->setProblem(QStringLiteral("There is no policy 'snapkw'."));
  EXPECT_FALSE(start->isEnabled());
  const auto says = [&](const QString& words) {
    const auto labels = dialog.findChildren<QLabel*>();
    return std::ranges::any_of(labels, [&](const QLabel* label) { return label->text() == words; });
  };
  EXPECT_TRUE(says(QStringLiteral("There is no policy 'snapkw'.")));
  policy->setEditText(QStringLiteral("snapkv"));
  EXPECT_TRUE(start->isEnabled()) << "the problem was the other line's";
  EXPECT_FALSE(says(QStringLiteral("There is no policy 'snapkw'.")));
  dialog.show();
  EXPECT_GE(policy->width(), 2 * QFontMetrics(policy->font()).horizontalAdvance(QStringLiteral("snapkv share=0.25")));
}

}  // namespace
}  // namespace kvista
