// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/plan_dialog.h"

#include <gtest/gtest.h>

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>

#include "tests/unit/studio/real_engine.h"
#include "views/job_row.h"

namespace kvista {
namespace {

std::vector<MethodChoice> methods() {
  std::vector<MethodChoice> list(2);
  list[0].choice = {"coded", "A summary of coded", "", "", "Somebody (2024)"};
  list[1].choice = {"joint", "A summary of joint", "", "", ""};
  return list;
}

CompressionPlan plan(const Target& target) {
  CompressionPlan plan;
  plan.method = "joint";
  plan.target = target;
  return plan;
}

TEST(PlanDialogTest, BeginsWithThePlansOwnMethodAndTargetAndSaysWhatAMethodIs) {
  PlanDialog dialog(methods(), plan({Target::Kind::share, 1 / 7.77}), nullptr);
  EXPECT_EQ(dialog.method(), QStringLiteral("joint"));
  EXPECT_EQ(dialog.target(), (Target{Target::Kind::share, 1 / 7.77})) << "not what its rounded text would be";
  auto* target = dialog.findChild<QLineEdit*>(QStringLiteral("target"));
  const QString before = target->text();
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  target->setText(QStringLiteral("2 % loss"));
  EXPECT_EQ(dialog.target(), (Target{Target::Kind::maxLoss, 0.02}));
  target->setText(QStringLiteral("much"));
  EXPECT_FALSE(start->isEnabled());
  EXPECT_TRUE(dialog.findChild<QLabel*>(QStringLiteral("reason"))->text().startsWith(QStringLiteral("'much' does not begin with a number.")));
  target->setText(before);
  EXPECT_EQ(dialog.target(), (Target{Target::Kind::share, 1 / 7.77}));
  EXPECT_TRUE(start->isEnabled());
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("coded"));
  bool says = false;
  for (const auto* label : dialog.findChildren<QLabel*>()) says = says || label->text() == QStringLiteral("A summary of coded (Somebody (2024))");
  EXPECT_TRUE(says);
}

TEST(PlanDialogTest, OnlyMethodsThatCanBeAreCompensated) {
  std::vector<MethodChoice> list = methods();
  list[1].canBeCompensated = true;
  CompressionPlan compensated = plan({Target::Kind::share, 0.125});
  compensated.compensated = true;
  PlanDialog dialog(list, compensated, nullptr);
  auto* box = dialog.findChild<QCheckBox*>(QStringLiteral("compensate"));
  EXPECT_TRUE(dialog.compensate()) << "as the plan is";
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("coded"));
  EXPECT_FALSE(box->isEnabled());
  EXPECT_FALSE(dialog.compensate());
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("joint"));
  EXPECT_TRUE(dialog.compensate());
  box->setChecked(false);
  EXPECT_FALSE(dialog.compensate());
}

TEST(PlanDialogTest, WhatDoesNotFitCannotBeStarted) {
  PlanDialog dialog(methods(), plan({Target::Kind::share, 0.125}), nullptr);
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  EXPECT_TRUE(start->isEnabled());
  dialog.showMemory(std::vector<MemoryForecast>{{"CPU", 20'000'000'000, 10'000'000'000}});
  EXPECT_FALSE(start->isEnabled());
  auto* memory = dialog.findChild<QLabel*>(QStringLiteral("memory"));
  EXPECT_TRUE(memory->text().contains(QStringLiteral("20.0 GB of 10.0 GB free on CPU"))) << memory->text().toStdString();
  dialog.showMemory(std::vector<MemoryForecast>{{"CPU", 2'000'000'000, 10'000'000'000}});
  EXPECT_TRUE(start->isEnabled());
}

class PlanWindow : public test::RealEngine {};

TEST_F(PlanWindow, EveryMethodOfTheEngineCanBeChosenAndUndone) {
  startWithEngine();
  calibrateDemo();
  QStringList memoryOfJobs;
  for (const JobRow* row : window->findChildren<JobRow*>()) memoryOfJobs << row->record().memory;
  ASSERT_EQ(memoryOfJobs.size(), 2) << "calibration, and the plan that followed by itself";
  for (const QString& each : memoryOfJobs) EXPECT_TRUE(each.contains("free on CPU")) << each.toStdString();
  action("plan.make")->trigger();
  QDialog* asked = dialog("planDialog");
  ASSERT_TRUE(asked);
  auto* memory = asked->findChild<QLabel*>(QStringLiteral("memory"));
  EXPECT_TRUE(waitFor([&] { return memory->text().contains("free on CPU"); })) << memory->text().toStdString();
  asked->reject();
  ASSERT_TRUE(waitFor([this] { return window->findChild<QDialog*>("planDialog") == nullptr; }));

  const std::string first = document().planFingerprint();
  int steps = document().undoStack().count();
  ASSERT_GE(document().catalogue().methods.size(), 9U);
  for (const MethodChoice& method : document().catalogue().methods) {
    if (method.choice.name == document().plan().method) continue;
    makePlan(method.choice.name.c_str(), QStringLiteral("4"));  // What quantisation alone can reach, too.
    ASSERT_TRUE(waitFor([&] { return isIdle() && document().plan().method == method.choice.name; })) << window->facts().dump(1);
    EXPECT_EQ(document().undoStack().count(), ++steps) << method.choice.name;
    EXPECT_EQ(document().undoStack().undoText(), QStringLiteral("Plan anew: %1").arg(QString::fromStdString(method.choice.name)));
    EXPECT_TRUE(window->facts().at("problems").empty()) << method.choice.name << window->facts().at("problems").dump(1);
  }
  // The last one, quantisation alone, has nothing that the window could share out by itself.
  EXPECT_EQ(document().plan().storage, Storage::plainQuantised);
  const std::string plain = document().planFingerprint();
  const auto refused = document().setTarget({Target::Kind::share, 0.5});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().hint.starts_with("Plan anew"));
  EXPECT_EQ(document().planFingerprint(), plain);
  while (document().undoStack().index() > 1) document().undo();
  EXPECT_EQ(document().planFingerprint(), first);
  EXPECT_TRUE(isIdle()) << "nothing is worked out again";
}

}  // namespace
}  // namespace kvista
