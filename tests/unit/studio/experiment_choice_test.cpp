// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Experiments that are ticked in the window.
#include "app/studio/window/experiment_choice.h"

#include <gtest/gtest.h>

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QJsonArray>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <QTemporaryDir>
#include <filesystem>
#include <fstream>
#include <utility>

#include "app/studio/window/experiment_dialog.h"
#include "app/studio/window/file_list.h"
#include "core/io/json_file.h"
#include "tests/unit/studio/choose_file.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/tick_systems.h"

namespace kvista::test {
namespace {

using nlohmann::json;

Catalogue catalogue() {
  Catalogue all;
  all.methods.resize(4);
  all.methods[0].choice = {"coded", "Ours in codes", "", "", "help page Methods, section 2"};
  all.methods[1].choice = {"joint", "Ours in 16 bits", "", "", "help page Methods, section 2"};
  all.methods[2].choice = {"cskv", "Theirs", "", "", "Somebody (2024)"};
  all.methods[3].choice = {"plain", "Theirs, quantised", "", "", "Somebody else (2024)"};
  all.methods[1].storage = all.methods[2].storage = Storage::lowRank16;
  all.methods[3].storage = Storage::plainQuantised;
  all.policies = {{"snapkv", "Chooses", "snapkv share=0.5", "", "Li"},
                  {"fast-kvzip", "Foretells", "fast-kvzip share=0.5", "", "Kim"},
                  {"cskv", "Holds", "cskv", "", "Wang", "cskv"}};
  return all;
}

TEST(ChosenExperiment, ReadsPartsOfAWholeAsTheyAreWritten) {
  const QLocale before;
  EXPECT_EQ(fractionsIn("").value(), std::vector<double>{});
  for (const char* text : {"0.5 .3", "50 % 30%", "1/2, 3/10", "0.5;0.3", " 1 / 2  0.3 "})
    EXPECT_EQ(fractionsIn(text).value(), (std::vector{0.5, 0.3})) << text;
  for (const char* text : {"0", "1.5", "-0.1", "1/0", "half", "0.5 nan", "101 %", "0.5 0.3 50 %", "/2"}) {
    const auto fractions = fractionsIn(text);
    ASSERT_FALSE(fractions) << text;
    EXPECT_NE(fractions.error().message.find(QByteArray(text).split(' ').back().toStdString()), std::string::npos)
        << "names what is wrong: " << fractions.error().message;
  }
  QLocale::setDefault(QLocale(QLocale::German));
  for (const char* text : {"0,5 0,3", "0,5, 0,3", "0.5 0.3"})
    EXPECT_EQ(fractionsIn(text).value(), (std::vector{0.5, 0.3})) << text;
  QLocale::setDefault(before);
}

TEST(ChosenExperiment, IsASweepForEachKindOfSize) {
  ChosenExperiment chosen{{"joint", "coded", "cskv"}, {"fast-kvzip", "cskv"}, {0.5, 0.3}, {0.25}, 16};
  const json both = experimentOf(chosen, catalogue());
  EXPECT_EQ(rowsOf(both), 2U * 2 + 5);
  const json expected = json::parse(R"([
    {"name": "Kept fractions", "unit": "keptFraction", "values": [0.5, 0.3],
     "systems": [{"name": "joint", "plan": {"method": "joint"}}, {"name": "cskv", "plan": {"method": "cskv"}}]},
    {"name": "Equal bytes", "unit": "share", "values": [0.25], "interval": 16,
     "systems": [{"name": "coded", "plan": {"method": "coded"}}, {"name": "joint", "plan": {"method": "joint"}},
                 {"name": "cskv", "plan": {"method": "cskv"}},
                 {"name": "fast-kvzip", "policy": {"name": "fast-kvzip", "options": {"gate": "train"}}},
                 {"name": "cskv, the policy", "policy": {"name": "cskv"}, "plan": {"method": "cskv"}}]}])");
  EXPECT_EQ(both["sweeps"], expected);

  chosen.base = "joint";
  const json systems = experimentOf(chosen, catalogue())["sweeps"][1]["systems"];
  EXPECT_EQ(systems[3]["name"], "fast-kvzip over joint at 0.5");
  EXPECT_EQ(systems[3]["plan"], json::parse(R"({"method": "joint", "target": {"kind": "share", "value": 0.5}})"));
  EXPECT_EQ(systems[4],
            json::parse(R"({"name": "cskv over joint", "policy": {"name": "cskv"}, "plan": {"method": "joint"}})"))
      << "what it needs a plan for it has at the share that it leaves";

  chosen.policies.clear();
  chosen.shares.clear();
  const json kept = experimentOf(chosen, catalogue());
  EXPECT_EQ(rowsOf(kept), 4U);
  EXPECT_EQ(kept["sweeps"].size(), 1U);
  EXPECT_FALSE(kept["sweeps"][0].contains("interval")) << "there is no policy that it is for";
}

TEST(ChosenExperiment, HasPoliciesThatAreTypedAndRefinedMethods) {
  ChosenExperiment chosen{{"joint", "plain"}, {}, {}, {0.25}, 16};
  chosen.lines = {"kvzip+hadamard bits=3", "fast-kvzip+fp8", "fast-kvzip gate=\"my gate\"", "cskv window=16"};
  chosen.refines = true;
  const json sweeps = experimentOf(chosen, catalogue())["sweeps"];
  const json expected = json::parse(R"([
    {"name": "joint", "plan": {"method": "joint"}}, {"name": "joint, refined", "plan": {"method": "joint"}, "refine": {}},
    {"name": "plain", "plan": {"method": "plain"}},
    {"name": "kvzip+hadamard bits=3", "policy": {"name": "kvzip+hadamard bits=3"}},
    {"name": "fast-kvzip+fp8", "policy": {"name": "fast-kvzip+fp8", "options": {"gate": "train"}}},
    {"name": "fast-kvzip gate=\"my gate\"", "policy": {"name": "fast-kvzip gate=\"my gate\""}},
    {"name": "cskv window=16", "policy": {"name": "cskv window=16"}, "plan": {"method": "cskv"}}])");
  EXPECT_EQ(sweeps[0]["systems"], expected) << "what is plain has no factors";
  EXPECT_EQ(sweeps[0]["interval"], 16);
  chosen.base = "joint";
  const json over = experimentOf(chosen, catalogue())["sweeps"][0]["systems"];
  EXPECT_EQ(over[3]["name"], "kvzip+hadamard bits=3 over joint at 0.5");
  EXPECT_EQ(over[3]["plan"], json::parse(R"({"method": "joint", "target": {"kind": "share", "value": 0.5}})"));
  EXPECT_EQ(over[6]["plan"], json({{"method", "joint"}}));
}

TEST(ChosenExperiment, HasVariantsOfMethodsByWhatIsChangedOfThem) {
  ChosenExperiment chosen{{"joint"}, {"snapkv"}, {0.5}, {0.25}, 16};
  PlanWish variant, coded, byRule;
  variant.method = byRule.method = "joint";
  variant.target = {Target::Kind::share, 0.1};
  variant.centred = true;
  variant.allocator = "uniform";
  coded.trellis = true;
  coded.tokenNumbers = false;  // As the method has it, and
  coded.chain = 1;             // as well.
  byRule.eps = 0.1;
  chosen.variants = {variant, coded, byRule};
  const json sweeps = experimentOf(chosen, catalogue())["sweeps"];
  ASSERT_EQ(sweeps.size(), 3U);
  const json joint = json::parse(
      R"({"name": "joint, allocator=uniform, centred", "plan": {"method": "joint", "allocator": "uniform", "centred": true}})");
  EXPECT_EQ(sweeps[0]["systems"], json({{{"name", "joint"}, {"plan", {{"method", "joint"}}}}, joint}))
      << "no target of its own";
  EXPECT_EQ(sweeps[1]["systems"][1], joint);
  EXPECT_EQ(sweeps[1]["systems"][2],
            json::parse(R"({"name": "coded, trellis", "plan": {"method": "coded", "trellis": true}})"));
  EXPECT_EQ(sweeps[1]["interval"], 16);
  EXPECT_EQ(sweeps[2], json::parse(R"({"name": "Sizes by eps", "unit": "share", "values": [1],
                                       "systems": [{"name": "joint, eps=0.1", "plan": {"method": "joint", "eps": 0.1}}]})"));
}

TEST(ExperimentChoiceTest, ReadsTypedPoliciesOneAfterTheOther) {
  ExperimentChoice choice(catalogue(), 512);
  QStringList asked;
  std::function<void(const QString&)> told;
  const auto answer = [&told](const QString& problem) { std::exchange(told, {})(problem); };  // asks for the next
  choice.setChecking([&](const QString& line, QObject*, std::function<void(const QString&)> done) {
    asked << line;
    told = std::move(done);
  });
  auto* lines = choice.findChild<PolicyList*>("morePolicies");
  lines->setFocus();
  lines->setPlainText("kvzip+fp8\n\n  kivi bit=2 ");
  EXPECT_TRUE(choice.findChild<QSpinBox*>("policyInterval")->isEnabled());
  EXPECT_TRUE(choice.problem().startsWith("kvzip+fp8 goes by bytes")) << choice.problem().toStdString();
  line(choice, "shares").setText("0.25");
  EXPECT_EQ(choice.problem(), "") << "nobody has said anything yet";
  answer("");
  answer("The policy kivi has no option \"bit\".");
  EXPECT_EQ(asked, QStringList({"kvzip+fp8", "kivi bit=2"}));
  EXPECT_EQ(choice.problem(), "The policy kivi has no option \"bit\".");
  lines->moveCursor(QTextCursor::End);
  for (int i = 0; i < 3; ++i) QTest::keyClick(lines, Qt::Key_Backspace);  // "=2 "
  QTest::keyClicks(lines, "s=2");
  answer("");
  EXPECT_EQ(asked.back(), "kivi bits=2") << "each as it is typed, and what was read is not asked again";
  EXPECT_EQ(choice.problem(), "");
  EXPECT_EQ(choice.chosen().lines, (std::vector<std::string>{"kvzip+fp8", "kivi bits=2"}));
  QTest::keyClicks(lines, " share=.5");
  answer("");
  EXPECT_TRUE(choice.problem().contains("share=")) << choice.problem().toStdString();

  lines->setPlainText("snapkv");
  answer("");
  EXPECT_EQ(choice.problem(), "");
  press(choice, itemOf(choice, "snapkv"));
  EXPECT_TRUE(choice.problem().contains("snapkv")) << choice.problem().toStdString();
}

TEST(ExperimentChoiceTest, BeginsWithThePublishedMethodsAndOursAndSaysWhatIsMissing) {
  ExperimentChoice choice(catalogue(), 512);
  EXPECT_EQ(choice.chosen(), (ChosenExperiment{{"joint", "cskv"}, {}, {0.5, 0.3}, {}, 64}));
  EXPECT_EQ(choice.problem(), "");
  EXPECT_EQ(itemOf(choice, "cskv")->toolTip(1), "Theirs\nSomebody (2024)");
  EXPECT_FALSE(choice.findChild<QSpinBox*>("policyInterval")->isEnabled());

  press(choice, itemOf(choice, "coded"));
  EXPECT_TRUE(choice.problem().startsWith("coded goes by bytes")) << choice.problem().toStdString();
  line(choice, "shares").setText("0.25");
  EXPECT_EQ(choice.problem(), "");
  press(choice, itemOf(choice, "Policies that choose tokens"));
  EXPECT_EQ(choice.chosen().policies, (std::vector<std::string>{"snapkv", "fast-kvzip"}));
  EXPECT_TRUE(choice.findChild<QSpinBox*>("policyInterval")->isEnabled());
  line(choice, "shares").clear();
  EXPECT_TRUE(choice.problem().startsWith("snapkv goes by bytes")) << choice.problem().toStdString();
  line(choice, "shares").setText("0.25 1.1");
  EXPECT_TRUE(choice.problem().contains("1.1")) << choice.problem().toStdString();
  line(choice, "shares").clear();
  for (const char* section : {"Policies that choose tokens", "Methods of KVista", "Published methods"})
    itemOf(choice, section)->setCheckState(0, Qt::Unchecked);
  EXPECT_EQ(choice.problem(), "Tick at least one method or policy.");
  press(choice, itemOf(choice, "joint"));
  line(choice, "keptFractions").clear();
  EXPECT_TRUE(choice.problem().startsWith("Type kept fractions")) << choice.problem().toStdString();
}

TEST(ExperimentChoiceTest, APolicyThatNeedsAPlanComesWithOneAndSaysSo) {
  ExperimentChoice choice(catalogue(), 512);
  choice.setState({{"methods", QJsonArray()}, {"policies", QJsonArray()}});
  EXPECT_TRUE(itemOf(choice, "cskv", 1)->toolTip(0).contains("Works on a plan: by cskv"));
  EXPECT_FALSE(itemOf(choice, "snapkv")->toolTip(0).contains("plan"));
  press(choice, itemOf(choice, "cskv", 1));
  line(choice, "shares").setText("0.5");
  EXPECT_EQ(choice.problem(), "");
  const auto plan = [&] { return choice.experiment()["sweeps"][0]["systems"][0]["plan"]; };
  EXPECT_EQ(plan(), json({{"method", "cskv"}}));

  auto* base = choice.findChild<QComboBox*>("policyBase");
  auto* share = choice.findChild<QDoubleSpinBox*>("policyBaseShare");
  base->setFocus();
  while (base->currentText() != "joint") QTest::keyClick(base, Qt::Key_Down);
  EXPECT_EQ(plan(), json({{"method", "joint"}}));
  EXPECT_FALSE(share->isEnabled()) << "its share is what the policy leaves";
  press(choice, itemOf(choice, "snapkv"));
  EXPECT_TRUE(share->isEnabled());
}

TEST(ExperimentChoiceTest, ComesBackAsItWasFilledIn) {
  ExperimentChoice first(catalogue(), 512), second(catalogue(), 512);
  press(first, itemOf(first, "joint"));
  press(first, itemOf(first, "cskv", 1));
  line(first, "keptFractions").setText("0.4");
  line(first, "shares").setText("1/8");
  first.findChild<PolicyList*>("morePolicies")->setPlainText("kvzip+fp8\nkivi bits=2");
  PlanWish centred, given;
  centred.method = given.method = "joint";
  centred.centred = true;
  first.setAskingForVariants([&](const std::function<void(const PlanWish&)>& chosen) {
    chosen(given);
    chosen(centred);
  });
  first.findChild<QPushButton*>("addVariant")->click();
  auto* variants = first.findChild<QListWidget*>("variants");
  ASSERT_EQ(variants->count(), 2);
  variants->setFocus();
  QTest::keyClick(variants, Qt::Key_Up);
  EXPECT_EQ(variants->currentItem()->text(), "joint");
  QTest::keyClick(first.findChild<QPushButton*>("removeVariant"), Qt::Key_Space);
  first.findChild<QCheckBox*>("refines")->click();
  first.findChild<QSpinBox*>("policyInterval")->setValue(7);
  first.findChild<QComboBox*>("policyBase")->setCurrentText("coded");
  EXPECT_EQ(first.chosen(),
            (ChosenExperiment{
                {"cskv"}, {"cskv"}, {0.4}, {0.125}, 7, "coded", 0.5, {"kvzip+fp8", "kivi bits=2"}, {centred}, true}));
  second.setState(first.state());
  EXPECT_EQ(second.chosen(), first.chosen());
  second.setState({{"methods", 3}, {"policyInterval", "often"}, {"morePolicies", 3}, {"shares", QJsonValue()}});
  EXPECT_EQ(second.chosen(), first.chosen()) << "what does not fit is left as it is";
}

class ExperimentDialogTest : public ::testing::Test {
 protected:
  ExperimentDialogTest() {
    std::ofstream(text.paths.front()) << "Some words.";
    std::ofstream(home.filePath("empty.txt").toStdString()).flush();
  }
  [[nodiscard]] std::unique_ptr<ExperimentDialog> made() const {
    return std::make_unique<ExperimentDialog>(catalogue(), madeUpModel(), text, "/results", nullptr);
  }
  static QString said(const QDialog& dialog) { return dialog.findChild<QLabel*>("experimentSaid")->text(); }
  static bool canStart(const QDialog& dialog) { return dialog.findChild<QPushButton*>("startButton")->isEnabled(); }

  QTemporaryDir home;
  TextSelection text{{home.filePath("novel.txt").toStdString()}, 512, 7, 0, {}, true};
};

TEST_F(ExperimentDialogTest, ReadsTextsAsCalibrationDid) { EXPECT_EQ(made()->wish().texts, std::vector{text}); }

TEST_F(ExperimentDialogTest, SaysHowManyRowsThereWillBeOrWhatIsWrong) {
  const auto dialog = made();
  EXPECT_EQ(said(*dialog), "4 rows on 1 text, beside the model as it is.");
  EXPECT_TRUE(canStart(*dialog));
  const auto files = dialog->findChild<FileList*>();
  const QString good = QString::fromStdString(text.paths.front());
  files->setPaths({good, home.path()});
  EXPECT_EQ(said(*dialog), "8 rows on 2 texts, beside the model as it is.");
  for (const auto& [path, words] :
       {std::pair{home.filePath("gone.txt"), "is not there"}, {home.filePath("empty.txt"), "is empty"}}) {
    files->setPaths({good, path});
    EXPECT_EQ(said(*dialog), QStringLiteral("The text %1 %2.").arg(path, QLatin1String(words)));
    EXPECT_FALSE(canStart(*dialog));
  }
  dialog->setElsewhere(true);
  EXPECT_TRUE(canStart(*dialog)) << "of another machine nothing is known here";
  files->setPaths({});
  EXPECT_EQ(said(*dialog), "Add a text to measure on.");
  files->setPaths({good});
  line(*dialog, "experimentFolder").clear();
  EXPECT_EQ(said(*dialog), "Name a folder for the results.");
  line(*dialog, "keptFractions").setText("0.5 2");
  EXPECT_TRUE(said(*dialog).contains("2")) << said(*dialog).toStdString();
  EXPECT_FALSE(canStart(*dialog));
  EXPECT_FALSE(dialog->findChild<QPushButton*>("saveExperiment")->isEnabled());
}

TEST_F(ExperimentDialogTest, WhatIsTickedIsSavedAsAFileThatItTakesAndRemembers) {
  const auto dialog = made();
  press(*dialog, itemOf(*dialog, "snapkv"));
  line(*dialog, "shares").setText("0.25");
  const json ticked = dialog->wish().experiment;
  const std::filesystem::path file = home.filePath("mine").toStdString();
  ASSERT_TRUE(answerFileDialog(file, [&] { dialog->findChild<QPushButton*>("saveExperiment")->click(); }));
  EXPECT_TRUE(said(*dialog).contains("mine.json")) << said(*dialog).toStdString();
  EXPECT_EQ(readJsonFile(file.string() + ".json").value(), ticked);

  auto* which = dialog->findChild<QComboBox*>("experimentFile");
  line(*dialog, "keptFractions").setText("0.9");
  ASSERT_TRUE(answerFileDialog(file.string() + ".json", [&] {
    which->setCurrentIndex(which->count() - 1);
    Q_EMIT which->activated(which->currentIndex());
  }));
  EXPECT_EQ(dialog->wish().experiment, ticked);
  EXPECT_FALSE(dialog->findChild<QTreeWidget*>()->isVisibleTo(dialog.get()));

  const auto next = made();
  next->setState(dialog->state());
  EXPECT_EQ(next->wish().experiment, ticked) << "the file of the last time";
  next->findChild<QComboBox*>("experimentFile")->setCurrentIndex(0);
  Q_EMIT next->findChild<QComboBox*>("experimentFile")->activated(0);
  EXPECT_EQ(next->wish().experiment["sweeps"][0]["values"], json({0.9})) << "and what was ticked";
}

}  // namespace
}  // namespace kvista::test
