// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/studio/window/plan_dialog.h"

#include <gtest/gtest.h>

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QSpinBox>
#include <QStandardItemModel>
#include <QTest>
#include <QTextBrowser>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/studio/chosen_experiment.h"
#include "tests/unit/studio/real_engine.h"

namespace kvista {
namespace {

Catalogue catalogue() {
  Catalogue all;
  all.methods.resize(4);
  all.methods[0] = {{"coded", "A summary of coded", "", "", "Somebody (2024)"},
                    "auto",
                    "waterline",
                    Metric::fisher,
                    KeyPosition::beforeRope,
                    Storage::coded};
  all.methods[1] = {{"joint", "A summary of joint", "", "", ""},
                    "joint",
                    "waterline",
                    Metric::fisher,
                    KeyPosition::beforeRope,
                    Storage::lowRank16};
  all.methods[2] = {{"svd", "", "", "", ""}, "separate",        "waterline", Metric::identity,
                    KeyPosition::beforeRope, Storage::lowRank16};
  all.methods[2].weightsOnly = true;
  all.methods[3] = {{"plain", "", "", "", ""}, "head", "uniform", Metric::identity, KeyPosition::beforeRope,
                    Storage::plainQuantised};
  for (const char* name : {"auto", "joint", "separate", "head", "neighbours", "swap", "dendrogram"})
    all.groupings.push_back({name, "", "", "", ""});
  for (const char* name : {"cka", "subspace"}) all.measures.push_back({name, "", "", "", ""});
  for (const char* name : {"waterline", "energy", "minimax", "erank", "lorc", "head-mean"})
    all.allocators.push_back({name, "", "", "", ""});
  return all;
}

CompressionPlan plan(const Target& target) {
  CompressionPlan plan;
  plan.method = "joint";
  plan.target = target;
  return plan;
}

TEST(PlanDialogTest, EveryFieldSaysToAScreenReaderWhatItIs) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.25}), nullptr);
  std::vector<QWidget*> fields;
  for (QComboBox* box : dialog.findChildren<QComboBox*>()) fields.push_back(box);
  for (QAbstractSpinBox* box : dialog.findChildren<QAbstractSpinBox*>()) fields.push_back(box);
  ASSERT_GE(fields.size(), 10U);
  const QList<QLabel*> labels = dialog.findChildren<QLabel*>();
  for (const QWidget* field : fields)
    EXPECT_TRUE(!field->accessibleName().isEmpty() || std::ranges::any_of(labels, [&](const QLabel* label) {
      return label->buddy() == field;
    })) << field->objectName().toStdString();
}

TEST(PlanDialogTest, BeginsWithThePlansOwnMethodAndTargetAndSaysWhatAMethodIs) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 1 / 7.77}), nullptr);
  EXPECT_EQ(dialog.wish().method, "joint");
  EXPECT_EQ(dialog.wish().target, (Target{Target::Kind::share, 1 / 7.77})) << "not what its rounded text would be";
  auto* target = dialog.findChild<QLineEdit*>(QStringLiteral("target"));
  const QString before = target->text();
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  target->setText(QStringLiteral("2 % loss"));
  EXPECT_EQ(dialog.wish().target, (Target{Target::Kind::maxLoss, 0.02}));
  target->setText(QStringLiteral("much"));
  EXPECT_FALSE(start->isEnabled());
  EXPECT_TRUE(dialog.findChild<QLabel*>(QStringLiteral("reason"))
                  ->text()
                  .startsWith(QStringLiteral("'much' does not begin with a number.")));
  target->setText(before);
  EXPECT_EQ(dialog.wish().target, (Target{Target::Kind::share, 1 / 7.77}));
  EXPECT_TRUE(start->isEnabled());
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("coded"));
  bool says = false;
  for (const auto* label : dialog.findChildren<QLabel*>())
    says = says || label->text() == QStringLiteral("A summary of coded (Somebody (2024))");
  EXPECT_TRUE(says);
}

TEST(PlanDialogTest, TheManualOpensWhereItSpeaksOfTheMethod) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.125}), nullptr);
  for (const auto& [method, title] : {std::pair{"svd", "Published systems"}, std::pair{"plain", "Plan"}}) {
    dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QLatin1String(method));
    dialog.findChild<QPushButton*>(QStringLiteral("methodHelp"))->click();
    auto* help = dialog.findChild<QDialog*>(QStringLiteral("help"));
    ASSERT_NE(help, nullptr);
    EXPECT_EQ(help->findChild<QListWidget*>()->currentItem()->text(), QLatin1String(title));
    EXPECT_EQ(help->findChild<QTextBrowser*>()->textCursor().selectedText(), QLatin1String(method));
    delete help;
  }
}

TEST(PlanDialogTest, OptionsThatAMethodCannotHaveSayWhy) {
  Catalogue all = catalogue();
  all.methods[1].metric = Metric::identity;
  for (const std::size_t other : {0, 2, 3})
    all.methods[other].notCompensated = all.methods[other].notCentred = all.methods[other].notUnwhitened =
        all.methods[other].notUncalibrated = "has none";
  CompressionPlan given = plan({Target::Kind::share, 0.125});
  given.metric = Metric::identity;
  given.compensated = given.centred = given.sinkFree = given.uncalibrated = true;
  PlanDialog dialog(all, given, nullptr);
  const auto box = [&](const char* name) { return dialog.findChild<QCheckBox*>(QLatin1String(name)); };
  const auto asked = [&] {
    const PlanWish wish = dialog.wish();
    return std::array{wish.compensate, wish.centred, wish.sinkFree, wish.uncalibrated, wish.unwhitened};
  };
  constexpr std::array kAll{true, true, true, true, false}, kNone{false, false, false, false, false};
  constexpr std::array kNames{"compensate", "centred", "sinkFree", "uncalibrated", "unwhitened"};
  EXPECT_EQ(asked(), kAll) << "as the plan is";
  const QString tip = box("centred")->toolTip();
  for (const char* method : {"coded", "svd", "plain"}) {
    dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QLatin1String(method));
    for (const char* name : kNames) {
      EXPECT_FALSE(box(name)->isEnabled()) << method << name;
      EXPECT_TRUE(box(name)->toolTip().contains(QLatin1String(method))) << box(name)->toolTip().toStdString();
    }
    EXPECT_EQ(box("centred")->toolTip(), QStringLiteral("The method %1 has none.").arg(QLatin1String(method)));
    EXPECT_EQ(asked(), kNone) << method;
  }
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("joint"));
  EXPECT_EQ(asked(), kAll);
  EXPECT_EQ(box("centred")->toolTip(), tip);
  // Bases of the weights alone look at no tokens, and need a metric that needs none.
  box("unwhitened")->setChecked(true);
  EXPECT_EQ(asked(), (std::array{false, false, false, true, true}));
  EXPECT_TRUE(box("compensate")->toolTip().contains(QStringLiteral("look at no tokens")));
  dialog.findChild<QComboBox*>(QStringLiteral("metric"))->setCurrentText(QStringLiteral("query"));
  EXPECT_FALSE(box("unwhitened")->isEnabled());
  EXPECT_EQ(box("unwhitened")->toolTip(), QStringLiteral("The metric query needs text."));
  EXPECT_EQ(asked(), kAll);
  for (const char* name : kNames) box(name)->setChecked(false);
  EXPECT_EQ(asked(), kNone);
}

TEST(PlanDialogTest, AnEpsStandsForTheTargetWhereTheAllocatorKnowsIt) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.125}), nullptr);
  auto* eps = dialog.findChild<QDoubleSpinBox*>(QStringLiteral("eps"));
  auto* target = dialog.findChild<QLineEdit*>(QStringLiteral("target"));
  EXPECT_FALSE(eps->isEnabled());
  dialog.findChild<QComboBox*>(QStringLiteral("allocator"))->setCurrentText(QStringLiteral("head-mean"));
  EXPECT_TRUE(eps->isEnabled() && target->isEnabled());
  EXPECT_EQ(dialog.wish().eps, std::nullopt);
  eps->setValue(0.2);
  EXPECT_FALSE(target->isEnabled());
  EXPECT_EQ(dialog.wish().eps, 0.2);
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  target->setText(QStringLiteral("small"));
  EXPECT_TRUE(start->isEnabled()) << "what is greyed out stands in nobody's way";
  target->setText(QStringLiteral("8"));
  dialog.findChild<QComboBox*>(QStringLiteral("allocator"))->setCurrentText(QStringLiteral("lorc"));
  EXPECT_EQ(dialog.wish().eps, std::nullopt);
  EXPECT_EQ(dialog.wish().target, (Target{Target::Kind::share, 0.125}));
}

TEST(PlanDialogTest, RanksComeInStepsBetweenBounds) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.125}), nullptr);
  const auto box = [&](const char* name) { return dialog.findChild<QSpinBox*>(QLatin1String(name)); };
  EXPECT_EQ(dialog.wish().rankStep, std::nullopt) << "the method's own";
  EXPECT_EQ(dialog.wish().minimumRank, std::nullopt);
  EXPECT_EQ(dialog.wish().maximumRank, std::nullopt);
  box("rankStep")->setValue(16);
  box("minimumRank")->setValue(32);
  EXPECT_EQ(dialog.wish().rankStep, 16);
  EXPECT_EQ(dialog.wish().minimumRank, 32);
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  box("maximumRank")->setValue(16);
  EXPECT_FALSE(start->isEnabled());
  EXPECT_EQ(dialog.findChild<QLabel*>(QStringLiteral("reason"))->text(),
            QStringLiteral("No rank is at least 32 and at most 16."));
  box("maximumRank")->setValue(64);
  EXPECT_TRUE(start->isEnabled());
  EXPECT_EQ(dialog.wish().maximumRank, 64);
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("plain"));
  EXPECT_FALSE(box("rankStep")->isEnabled());
  EXPECT_EQ(box("minimumRank")->toolTip(), QStringLiteral("The method plain has no ranks."));
  EXPECT_EQ(dialog.wish().rankStep, std::nullopt);
  EXPECT_EQ(dialog.wish().maximumRank, std::nullopt);
}

TEST(PlanDialogTest, AMapOfLayersIsKeptWhereLayersCanShare) {
  Catalogue all = catalogue();
  all.methods[0].notShared = "needs every layer's own cache";
  CompressionPlan given = plan({Target::Kind::share, 0.125});
  given.groups = {{{{0, Side::key, 0}}, {}}, {{{3, Side::key, 0}}, {}}};
  given.sharedFrom = {0, 0, 2, 2};
  PlanDialog dialog(all, given, nullptr);
  auto* words = dialog.findChild<QLabel*>(QStringLiteral("sharing"));
  auto* change = dialog.findChild<QPushButton*>(QStringLiteral("changeSharing"));
  EXPECT_EQ(dialog.wish().sharedFrom, given.sharedFrom);
  EXPECT_EQ(words->text(), QStringLiteral("2 of 4 layers read another's cache"));
  auto* method = dialog.findChild<QComboBox*>(QStringLiteral("method"));
  method->setCurrentText(QStringLiteral("coded"));
  EXPECT_FALSE(change->isEnabled());
  EXPECT_EQ(change->toolTip(), QStringLiteral("The method coded needs every layer's own cache."));
  EXPECT_TRUE(dialog.wish().sharedFrom.empty());
  method->setCurrentText(QStringLiteral("joint"));
  dialog.show();
  change->click();
  auto* map = dialog.findChild<SharingDialog*>();
  ASSERT_TRUE(map);
  EXPECT_EQ(map->map(), given.sharedFrom);
  map->findChild<QPushButton*>(QStringLiteral("shareNothing"))->click();
  map->accept();
  EXPECT_TRUE(dialog.wish().sharedFrom.empty());
  EXPECT_EQ(words->text(), QStringLiteral("every layer has its own cache"));
}

TEST(PlanDialogTest, EveryPartOfAMethodCanBeChangedAndTheMethodsOwnIsNotSaid) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.125}), nullptr);
  const auto combo = [&](const char* name) { return dialog.findChild<QComboBox*>(QLatin1String(name)); };
  auto* damping = dialog.findChild<QDoubleSpinBox*>(QStringLiteral("damping"));
  auto* size = dialog.findChild<QSpinBox*>(QStringLiteral("groupSize"));
  EXPECT_EQ(combo("metric")->currentText(), QStringLiteral("fisher, as the method has it"));
  EXPECT_FALSE(combo("measure")->isEnabled()) << "one group of all heads looks at no similarity";
  PlanWish own;
  own.method = "joint";
  own.target = {Target::Kind::share, 0.125};
  EXPECT_EQ(dialog.wish(), own);
  combo("metric")->setCurrentText(QStringLiteral("attention"));
  damping->setValue(0.03);
  combo("grouping")->setCurrentText(QStringLiteral("dendrogram"));
  size->setValue(2);
  combo("measure")->setCurrentText(QStringLiteral("subspace"));
  combo("allocator")->setCurrentText(QStringLiteral("lorc"));
  PlanWish changed = own;
  changed.metric = Metric::attention;
  changed.damping = 0.03;
  changed.grouping = "dendrogram";
  changed.groupSize = 2;
  changed.measure = "subspace";
  changed.allocator = "lorc";
  EXPECT_EQ(dialog.wish(), changed);
  combo("grouping")->setCurrentText(QStringLiteral("head"));  // has no sizes, and looks at no similarity
  changed.grouping = "head";
  changed.groupSize = std::nullopt;
  changed.measure = std::nullopt;
  EXPECT_EQ(dialog.wish(), changed);
  combo("method")->setCurrentText(QStringLiteral("plain"));  // which has none of these parts
  PlanWish plain;
  plain.method = "plain";
  plain.target = own.target;
  EXPECT_EQ(dialog.wish(), plain);
}

TEST(PlanDialogTest, BeginsWithThePartsThatThePlanHasOfItsOwn) {
  CompressionPlan given = plan({Target::Kind::share, 0.125});
  given.metric = Metric::output;
  given.damping = 0.1;
  given.grouping = "swap";
  given.allocator = "minimax";
  const PlanWish wish = PlanDialog(catalogue(), given, nullptr).wish();
  EXPECT_EQ(wish.metric, Metric::output);
  EXPECT_EQ(wish.damping, 0.1);
  EXPECT_EQ(wish.grouping, "swap");
  EXPECT_EQ(wish.allocator, "minimax");
  given.grouping = "manual";
  EXPECT_EQ(PlanDialog(catalogue(), given, nullptr).wish().grouping, std::nullopt)
      << "groups made by hand are no choice";
}

TEST(PlanDialogTest, LayersAreChainedWhereOneLatentHoldsTheirCodes) {
  Catalogue all = catalogue();
  for (const char* name : {"coded-joint", "coded-chain"})
    all.methods.push_back(
        {{name, "", "", "", ""}, "joint", "waterline", Metric::fisher, KeyPosition::beforeRope, Storage::coded});
  CompressionPlan given = plan({Target::Kind::share, 0.125});
  given.method = "coded-chain";
  given.chain = 8;
  PlanDialog dialog(all, given, nullptr);
  dialog.show();
  auto* chain = dialog.findChild<QSpinBox*>(QStringLiteral("chain"));
  auto* method = dialog.findChild<QComboBox*>(QStringLiteral("method"));
  auto* centred = dialog.findChild<QCheckBox*>(QStringLiteral("centred"));
  EXPECT_EQ(dialog.wish().chain, 8) << "as the plan is";
  EXPECT_FALSE(centred->isEnabled());
  EXPECT_TRUE(centred->toolTip().contains(QStringLiteral("that predict others"))) << centred->toolTip().toStdString();
  const auto type = [&](const char* number) {
    chain->setFocus();
    chain->selectAll();
    QTest::keyClicks(chain, QLatin1String(number));
  };
  type("1");
  EXPECT_EQ(dialog.wish().chain, 1);
  EXPECT_TRUE(centred->isEnabled());
  method->setCurrentText(QStringLiteral("coded-joint"));
  EXPECT_EQ(dialog.wish().chain, std::nullopt) << "of another method, what it has";
  type("4");
  EXPECT_EQ(dialog.wish().chain, 4);
  method->setCurrentText(QStringLiteral("joint"));
  EXPECT_FALSE(chain->isEnabled());
  EXPECT_EQ(chain->toolTip(), QStringLiteral("The method joint stores no codes."));
  method->setCurrentText(QStringLiteral("coded"));
  EXPECT_EQ(chain->toolTip(),
            QStringLiteral("The method coded may split a layer's heads, which one latent must hold."));
  EXPECT_EQ(dialog.wish().chain, std::nullopt);
  dialog.findChild<QComboBox*>(QStringLiteral("grouping"))->setCurrentText(QStringLiteral("joint"));
  EXPECT_TRUE(chain->isEnabled());
  dialog.findChild<QSpinBox*>(QStringLiteral("groupSize"))->setValue(2);
  EXPECT_FALSE(chain->isEnabled());
  EXPECT_EQ(chain->toolTip(), QStringLiteral("Layers that predict others need all their heads in one latent."));
}

TEST(PlanDialogTest, AVariantSaysNothingOfChainsThatAreTheMethodsOwn) {
  Catalogue all = catalogue();
  for (const auto& [name, chain] : {std::pair{"coded-joint", 1}, {"coded-chain", kMaxChain}}) {
    all.methods.push_back(
        {{name, "", "", "", ""}, "joint", "waterline", Metric::fisher, KeyPosition::beforeRope, Storage::coded});
    all.methods.back().chain = chain;
  }
  const auto name = [&](const char* method, int chain) {
    CompressionPlan given = plan({Target::Kind::share, 0.125});
    given.groups = {{{{0, Side::key, 0}}, {}}, {{{3, Side::key, 0}}, {}}};
    given.method = method;
    given.chain = chain;
    PlanDialog dialog(all, given, nullptr);
    dialog.askForVariant();
    return nameOf(dialog.wish(), all);
  };
  EXPECT_EQ(name("coded-joint", 1), "coded-joint");
  EXPECT_EQ(name("coded-joint", 2), "coded-joint, chain=2");
  EXPECT_EQ(name("coded-chain", 4), "coded-chain") << "all layers that there are";
  EXPECT_EQ(name("coded-chain", 1), "coded-chain, chain=1");
}

TEST(PlanDialogTest, WhatIsGreyedOutIsNotAskedFor) {
  Catalogue all = catalogue();
  all.methods.push_back(
      {{"coded-chain", "", "", "", ""}, "joint", "waterline", Metric::fisher, KeyPosition::beforeRope, Storage::coded});
  all.methods.back().chain = kMaxChain;
  all.methods.back().trellis = all.methods.back().tokenNumbers = true;
  all.methods.back().notShared = "codes layers behind one another";
  CompressionPlan given = plan({Target::Kind::share, 0.125});
  given.groups = {{{{0, Side::key, 0}}, {}}, {{{3, Side::key, 0}}, {}}};
  given.sharedFrom = {0, 0, 2, 2};
  given.damping = 0.1;
  given.compensated = given.centred = given.sinkFree = given.uncalibrated = given.unwhitened = true;
  PlanDialog dialog(all, given, nullptr);
  const auto combo = [&](const char* name) { return dialog.findChild<QComboBox*>(QLatin1String(name)); };
  const auto number = [&](const char* name) { return dialog.findChild<QSpinBox*>(QLatin1String(name)); };
  const auto box = [&](const char* name) { return dialog.findChild<QCheckBox*>(QLatin1String(name)); };
  const auto expectNothingGreyedOut = [&](const MethodChoice& own) {
    const PlanWish wish = dialog.wish();
    for (const auto& [name, isAsked] : {std::pair{"metric", wish.metric.has_value()},
                                        {"damping", wish.damping > 0},
                                        {"grouping", wish.grouping.has_value()},
                                        {"groupSize", wish.groupSize.has_value()},
                                        {"measure", wish.measure.has_value()},
                                        {"allocator", wish.allocator.has_value()},
                                        {"eps", wish.eps.has_value()},
                                        {"rankStep", wish.rankStep.has_value()},
                                        {"minimumRank", wish.minimumRank.has_value()},
                                        {"maximumRank", wish.maximumRank.has_value()},
                                        {"changeSharing", !wish.sharedFrom.empty()},
                                        {"chain", wish.chain.value_or(own.chain) > 1},
                                        {"trellis", wish.trellis.value_or(own.trellis)},
                                        {"tokenNumbers", wish.tokenNumbers.value_or(own.tokenNumbers)},
                                        {"sinkFree", wish.sinkFree},
                                        {"centred", wish.centred},
                                        {"compensate", wish.compensate},
                                        {"unwhitened", wish.unwhitened},
                                        {"uncalibrated", wish.uncalibrated}})
      EXPECT_TRUE(!isAsked || dialog.findChild<QWidget*>(QLatin1String(name))->isEnabled())
          << name << " of " << toJson(wish).dump();
  };
  combo("measure")->setCurrentText(QStringLiteral("subspace"));
  combo("allocator")->setCurrentText(QStringLiteral("head-mean"));
  dialog.findChild<QDoubleSpinBox*>(QStringLiteral("eps"))->setValue(0.2);
  for (const char* name : {"rankStep", "minimumRank", "maximumRank"}) number(name)->setValue(8);
  for (const MethodChoice& method : all.methods)
    for (const char* metric : {"identity", "query"})
      for (const char* grouping : {"joint", "head", "dendrogram"})
        for (const int size : {0, 2})
          for (const char* off : {"", "unwhitened", "compensate", "tokenNumbers"}) {
            combo("method")->setCurrentText(QString::fromStdString(method.choice.name));
            combo("metric")->setCurrentText(QLatin1String(metric));
            combo("grouping")->setCurrentText(QLatin1String(grouping));
            number("groupSize")->setValue(size);
            for (const int chain : {0, 2}) {
              number("chain")->setValue(chain);
              for (const char* name : {"trellis", "tokenNumbers", "unwhitened", "compensate"})
                box(name)->setChecked(QLatin1String(name) != QLatin1String(off));
              expectNothingGreyedOut(method);
            }
          }
  combo("method")->setCurrentText(QStringLiteral("coded-chain"));
  combo("grouping")->setCurrentText(QStringLiteral("head"));
  EXPECT_FALSE(number("chain")->isEnabled());
  EXPECT_EQ(dialog.wish().chain, 1) << "not the method's own, which heads apart cannot have";
  EXPECT_EQ(dialog.wish().tokenNumbers, false);
}

TEST(PlanDialogTest, TheFirstLayerStoresTokenNumbersWhereTheMethodOrTheUserSaysSo) {
  Catalogue all = catalogue();
  all.methods.push_back(
      {{"coded-chain", "", "", "", ""}, "joint", "waterline", Metric::fisher, KeyPosition::beforeRope, Storage::coded});
  all.methods.back().tokenNumbers = true;
  PlanDialog dialog(all, plan({Target::Kind::share, 0.125}), nullptr);
  dialog.show();
  auto* method = dialog.findChild<QComboBox*>(QStringLiteral("method"));
  auto* numbers = dialog.findChild<QCheckBox*>(QStringLiteral("tokenNumbers"));
  auto* centred = dialog.findChild<QCheckBox*>(QStringLiteral("centred"));
  method->setCurrentText(QStringLiteral("joint"));
  EXPECT_FALSE(numbers->isEnabled());
  EXPECT_EQ(numbers->toolTip(), QStringLiteral("The method joint stores no codes."));
  EXPECT_EQ(dialog.wish().tokenNumbers, std::nullopt);
  method->setCurrentText(QStringLiteral("coded-chain"));
  EXPECT_EQ(dialog.wish().tokenNumbers, true) << "as the method has it";
  EXPECT_FALSE(centred->isEnabled());
  QTest::keyClick(numbers, Qt::Key_Space);
  EXPECT_EQ(dialog.wish().tokenNumbers, false);
  EXPECT_TRUE(centred->isEnabled());
}

TEST(PlanDialogTest, CodesGoThroughATrellisWhereTheMethodOrTheUserSaysSo) {
  Catalogue all = catalogue();
  all.methods.push_back(
      {{"coded-chain", "", "", "", ""}, "joint", "waterline", Metric::fisher, KeyPosition::beforeRope, Storage::coded});
  all.methods.back().trellis = true;
  PlanDialog dialog(all, plan({Target::Kind::share, 0.125}), nullptr);
  dialog.show();
  auto* method = dialog.findChild<QComboBox*>(QStringLiteral("method"));
  auto* trellis = dialog.findChild<QCheckBox*>(QStringLiteral("trellis"));
  method->setCurrentText(QStringLiteral("joint"));
  EXPECT_FALSE(trellis->isEnabled());
  EXPECT_EQ(trellis->toolTip(), QStringLiteral("The method joint stores no codes."));
  EXPECT_EQ(dialog.wish().trellis, std::nullopt);
  method->setCurrentText(QStringLiteral("coded-chain"));
  EXPECT_EQ(dialog.wish().trellis, true) << "as the method has it";
  QTest::keyClick(trellis, Qt::Key_Space);
  EXPECT_EQ(dialog.wish().trellis, false);
  method->setCurrentText(QStringLiteral("coded"));
  EXPECT_EQ(dialog.wish().trellis, false);
  QTest::keyClick(trellis, Qt::Key_Space);
  EXPECT_EQ(dialog.wish().trellis, true);
}

TEST(PlanDialogTest, MetricsThatNeedTextAreNotForWeightsAlone) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.125}), nullptr);
  auto* metric = dialog.findChild<QComboBox*>(QStringLiteral("metric"));
  metric->setCurrentText(QStringLiteral("query"));
  dialog.findChild<QComboBox*>(QStringLiteral("method"))->setCurrentText(QStringLiteral("svd"));
  EXPECT_EQ(dialog.wish().metric, std::nullopt);
  const auto* items = qobject_cast<QStandardItemModel*>(metric->model());
  for (int i = 1; i < metric->count(); ++i) {
    const QString name = metric->itemText(i);
    EXPECT_EQ(items->item(i)->isEnabled(), name == QStringLiteral("identity") || name == QStringLiteral("output"))
        << name.toStdString();
  }
}

TEST(PlanDialogTest, WhatDoesNotFitCannotBeStarted) {
  PlanDialog dialog(catalogue(), plan({Target::Kind::share, 0.125}), nullptr);
  auto* start = dialog.findChild<QPushButton*>(QStringLiteral("startButton"));
  EXPECT_TRUE(start->isEnabled());
  dialog.showMemory(std::vector<MemoryForecast>{{"CPU", 20'000'000'000, 10'000'000'000}});
  EXPECT_FALSE(start->isEnabled());
  auto* memory = dialog.findChild<QLabel*>(QStringLiteral("memory"));
  EXPECT_TRUE(memory->text().contains(QStringLiteral("20.0 GB of 10.0 GB free on CPU")))
      << memory->text().toStdString();
  dialog.showMemory(std::vector<MemoryForecast>{{"CPU", 2'000'000'000, 10'000'000'000}});
  EXPECT_TRUE(start->isEnabled());
}

TEST(PlanDialogTest, TabGoesFromRowToRowAndFromLeftToRight) {
  Catalogue all = catalogue();
  CompressionPlan given = plan({Target::Kind::share, 0.125});
  given.groups = {{{{3, Side::key, 0}}, {}}};
  PlanDialog dialog(all, given, nullptr);
  const auto named = [&](const char* name) { return dialog.findChild<QWidget*>(QLatin1String(name)); };
  // Now nothing is greyed out but unwhitened.
  qobject_cast<QComboBox*>(named("grouping"))->setCurrentText(QStringLiteral("dendrogram"));
  qobject_cast<QComboBox*>(named("allocator"))->setCurrentText(QStringLiteral("head-mean"));
  dialog.show();
  std::vector<QWidget*> stops;
  QWidget* at = named("method");
  do {
    if ((at->focusPolicy() & Qt::TabFocus) != 0 && at->focusProxy() == nullptr && at->isEnabled() && at->isVisible())
      stops.push_back(at);
    at = at->nextInFocusChain();
  } while (at != named("method"));
  EXPECT_EQ(stops.size(), 20U) << "17 controls, the manual, and 2 buttons";
  for (std::size_t i = 1; i < stops.size(); ++i) {
    const auto centre = [&](const QWidget* widget) { return widget->mapTo(&dialog, widget->rect().center()); };
    const QPoint before = centre(stops[i - 1]), now = centre(stops[i]);
    const bool isSameRow = std::abs(now.y() - before.y()) < 8;
    EXPECT_TRUE(isSameRow ? now.x() > before.x() : now.y() > before.y())
        << stops[i]->objectName().toStdString() << " comes after " << stops[i - 1]->objectName().toStdString();
  }
}

class PlanWindow : public test::RealEngine {};

TEST_F(PlanWindow, EveryMethodOfTheEngineCanBeChosenAndUndone) {
  startWithEngine();
  calibrateDemo();
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
    // Keys that stay are half of the cache; of the demo's layers half can read the cache of another; the rest can reach
    // what quantisation alone can.
    const QString target = method.choice.name == "values"     ? QStringLiteral("1.5")
                           : method.choice.name == "kvsharer" ? QStringLiteral("2")
                                                              : QStringLiteral("4");
    makePlan(method.choice.name.c_str(), target);
    ASSERT_TRUE(waitFor([&] { return isIdle() && document().plan().method == method.choice.name; }))
        << window->facts().dump(1);
    EXPECT_EQ(document().undoStack().count(), ++steps) << method.choice.name;
    EXPECT_EQ(document().undoStack().undoText(),
              QStringLiteral("Plan anew: %1").arg(QString::fromStdString(method.choice.name)));
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

TEST_F(PlanWindow, PartsOfAMethodAreChangedInTheDialogAndKeptThrough) {
  startWithEngine();
  calibrateDemo();
  action("plan.make")->trigger();
  QDialog* asked = dialog("planDialog");
  ASSERT_TRUE(asked);
  const auto choose = [&](const char* box, const char* name) {
    asked->findChild<QComboBox*>(QLatin1String(box))->setCurrentText(QLatin1String(name));
  };
  choose("method", "grouped");
  choose("metric", "attention");
  choose("grouping", "dendrogram");
  choose("measure", "subspace");
  choose("allocator", "minimax");
  asked->findChild<QSpinBox*>(QStringLiteral("groupSize"))->setValue(4);
  asked->findChild<QDoubleSpinBox*>(QStringLiteral("damping"))->setValue(0.03);
  for (const char* name : {"centred", "sinkFree"}) asked->findChild<QCheckBox*>(QLatin1String(name))->setChecked(true);
  asked->findChild<QLineEdit*>(QStringLiteral("target"))->setText(QStringLiteral("3"));
  asked->findChild<QPushButton*>(QStringLiteral("startButton"))->click();
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().plan().method == "grouped"; })) << window->facts().dump(1);
  const CompressionPlan& plan = document().plan();
  EXPECT_EQ(plan.metric, Metric::attention);
  EXPECT_EQ(plan.grouping, "dendrogram");
  EXPECT_EQ(plan.allocator, "minimax");
  EXPECT_EQ(plan.damping, 0.03);
  EXPECT_TRUE(plan.centred && plan.sinkFree);
  EXPECT_TRUE(window->facts().at("problems").empty()) << window->facts().at("problems").dump(1);
}

}  // namespace
}  // namespace kvista
