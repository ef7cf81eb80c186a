// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The evaluation lab in the window, with a real engine on the demo model.
#include <QCheckBox>
#include <QLabel>
#include <QListWidget>
#include <QTableView>
#include <filesystem>

#include "app/studio/window/file_list.h"
#include "app/studio/window/lab_dialog.h"
#include "app/studio/window/lab_findings.h"
#include "tests/unit/studio/real_engine.h"
#include "views/evaluations_model.h"
#include "views/lab_view.h"

namespace kvista::test {
namespace {

using Page = LabView::Page;

class LabWindow : public RealEngine {
 protected:
  [[nodiscard]] LabView& view() const { return *window->findChild<LabView*>(); }
  [[nodiscard]] const QAbstractItemModel& cells(const char* name) const {
    return *window->findChild<QTableView*>(QLatin1String(name))->model();
  }
  [[nodiscard]] QString cell(const char* name, int row, int column) const {
    return cells(name).index(row, column).data().toString();
  }
};

TEST_F(LabWindow, MeasuresThePlanAndTrainsForItsModel) {
  startWithEngine();
  for (const char* id : {"plan.questions", "plan.agreement", "plan.ranks", "plan.predictor"})
    EXPECT_FALSE(action(id)->isEnabled()) << id;
  calibrateDemo();

  answer("plan.questions", "questionsDialog", {{"items", 3}});
  ASSERT_TRUE(waitFor([this] { return isIdle() && cells("labSummary").rowCount() > 0; })) << window->facts().dump(1);
  EXPECT_EQ(view().page(), Page::questions);
  EXPECT_TRUE(view().isVisible()) << "the panel comes to sight";
  EXPECT_EQ(cells("labSummary").rowCount(), 2) << "acc and acc_norm";
  EXPECT_EQ(cell("labSummary", 0, 0), "questions.jsonl");
  EXPECT_EQ(cell("labSummary", 0, 2), "3");
  EXPECT_EQ(cells("labDetails").columnCount(), 8);

  answer("plan.agreement", "agreementDialog",
         {{"window", 64}, {"windows", 2}, {"prompts", 2}, {"promptTokens", 8}, {"written", 6}});
  ASSERT_TRUE(waitFor([this] {
    return isIdle() && view().page() == Page::agreement && cells("labSummary").rowCount() > 0;
  })) << window->facts().dump(1);
  EXPECT_EQ(cell("labSummary", 0, 0), "126");
  EXPECT_EQ(cells("labDetails").rowCount(), 2) << "what both wrote";

  // Under a policy: what was foretold behind half of each window.
  const auto agreeUnder = [this](const char* policy) {
    action("plan.agreement")->trigger();
    QDialog* asked = dialog("agreementDialog");
    asked->findChild<PolicyChoice*>()->setEditText(QLatin1String(policy));
    asked->findChild<QPushButton*>("startButton")->click();
  };
  agreeUnder("snapkv share=0.9 window=2 interval=8");
  ASSERT_TRUE(waitFor([this] { return isIdle() && cell("labSummary", 0, 0) == "62"; })) << window->facts().dump(1);
  EXPECT_TRUE(cells("labDetails").headerData(4, Qt::Horizontal).toString().contains("policy"));
  agreeUnder("");
  ASSERT_TRUE(waitFor([this] { return isIdle() && cell("labSummary", 0, 0) == "126"; })) << window->facts().dump(1);

  answer("plan.ranks", "ranksDialog", {{"kept", 25}, {"windows", 1}});
  ASSERT_TRUE(waitFor([this] {
    return isIdle() && view().page() == Page::ranks && cells("labSummary").rowCount() > 0;
  })) << window->facts().dump(1);
  EXPECT_EQ(cell("labSummary", 0, 5), "25.0");
  EXPECT_EQ(cells("labDetails").rowCount(), 8) << "a row for each layer";
  EXPECT_EQ(cells("labDetails").columnCount(), 3);
  EXPECT_TRUE(view().findChild<LabScatter*>()->isVisible());

  const std::filesystem::path file = home.filePath("demo.gate").toStdString();
  action("plan.predictor")->trigger();
  QDialog* asked = dialog("predictorDialog");
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->findChild<QLineEdit*>("predictorFile")->text().endsWith("model.gate"));
  asked->findChild<QLineEdit*>("predictorFile")->setText(QString::fromStdString(file.string()));
  asked->findChild<QSpinBox*>("window")->setValue(64);
  asked->findChild<QSpinBox*>("windows")->setValue(4);
  asked->findChild<QPushButton*>("startButton")->click();
  ASSERT_TRUE(waitFor([this] {
    return isIdle() && view().page() == Page::predictors && cells("labSummary").rowCount() > 0;
  })) << window->facts().dump(1);
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_EQ(cell("labSummary", 0, 1), "fast-kvzip");
  EXPECT_EQ(cell("labSummary", 0, 3), "1");
  EXPECT_FALSE(cell("labSummary", 0, 5).isEmpty());
  EXPECT_TRUE(view().findChild<QLabel*>("labStatus")->text().contains("correlation"));

  // Another plan's figures go, and come back with the plan; what was trained is the model's.
  ASSERT_TRUE(document().setTarget({Target::Kind::share, 0.25}));
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  EXPECT_EQ(cells("labSummary").rowCount(), 1);
  view().showPage(Page::questions);
  EXPECT_EQ(cells("labSummary").rowCount(), 0);
  action("edit.undo")->trigger();
  EXPECT_TRUE(waitFor([this] { return cells("labSummary").rowCount() == 2; }));

  // What takes long is stopped, and what was known stays.
  answer("plan.agreement", "agreementDialog", {{"window", 256}, {"windows", 0}});
  auto* stop = view().findChild<QPushButton*>("stopLab");
  ASSERT_TRUE(
      waitFor([&] { return stop->isVisible() && view().findChild<QLabel*>("labStatus")->text().contains("compare"); }));
  stop->click();
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  EXPECT_EQ(view().findChild<QLabel*>("labStatus")->text(), "Stopped.");
  EXPECT_EQ(cell("labSummary", 0, 0), "126");
  EXPECT_TRUE(window->facts().at("problems").empty());
}

TEST_F(LabWindow, ComparesKeyVariantsAtTheRanksOfAPlanThatHasThem) {
  startWithEngine();
  calibrateDemo();
  EXPECT_FALSE(action("plan.variants")->isEnabled()) << "keys of the first plan are compressed before RoPE";
  action("view.layout.try")->trigger();
  action("view.panel.lab")->trigger();  // It stands behind Try.
  view().showPage(Page::variants);
  auto* start = view().findChild<QPushButton*>("startLab");
  EXPECT_FALSE(start->isEnabled());
  const auto says = [this](const char* words) {
    for (const auto* label : view().findChildren<QLabel*>())
      if (label->isVisible() && label->text().contains(QLatin1String(words))) return true;
    return false;
  };
  EXPECT_TRUE(says("keys after RoPE at 16 bits"));
  makePlan("kqsvd", "50%");
  ASSERT_TRUE(waitFor([this] { return isIdle() && document().plan().method == "kqsvd"; })) << window->facts().dump(1);
  ASSERT_TRUE(waitFor([&] { return start->isEnabled(); })) << window->facts().dump(1);
  start->click();
  ASSERT_TRUE(waitFor([this] { return isIdle() && cells("labSummary").rowCount() == 3; })) << window->facts().dump(1);
  EXPECT_TRUE(cell("labSummary", 0, 0).startsWith("KQ-SVD"));
  EXPECT_LT(cell("labSummary", 0, 3).toDouble(), cell("labSummary", 1, 3).toDouble())
      << "scores are what KQ-SVD is for";
  EXPECT_TRUE(cells("labSummary").index(0, 3).data(Qt::FontRole).isValid()) << "the least is bold";
  EXPECT_FALSE(cells("labSummary").index(1, 3).data(Qt::FontRole).isValid());
  EXPECT_TRUE(cells("labSummary").index(1, 1).data(Qt::FontRole).isValid()) << "keys are what K-SVD is for";
  EXPECT_TRUE(view().findChild<QLabel*>("labStatus")->text().contains("kqsvd"));
  EXPECT_EQ(view().plainTable().rows.size(), 3U) << "the table leaves the window";
  ASSERT_TRUE(document().setTarget({Target::Kind::share, 0.25}));
  ASSERT_TRUE(waitFor([this] { return isIdle() && cells("labSummary").rowCount() == 0; })) << "another plan's ranks";
}

TEST_F(LabWindow, MeasuresUnderAPolicyAndTestsRetrievalAsTheCommandLineDoes) {
  startWithEngine();
  calibrateDemo();
  const auto& perplexities = cells("perplexities");
  action("plan.measure")->trigger();
  QDialog* asked = dialog("measureDialog");
  ASSERT_TRUE(asked);
  asked->findChild<QSpinBox*>("window")->setValue(64);
  asked->findChild<QSpinBox*>("windows")->setValue(2);
  asked->findChild<PolicyChoice*>()->setEditText("streaming-llm share=0.25 interval=8");
  asked->findChild<QSpinBox*>("policyPrompt")->setValue(24);
  asked->findChild<QPushButton*>("startButton")->click();
  ASSERT_TRUE(waitFor([&] { return isIdle() && perplexities.rowCount() == 1; })) << window->facts().dump(1);
  const auto figure = [&](int column) { return perplexities.index(0, column).data().toString(); };
  EXPECT_EQ(figure(EvaluationsModel::text), "streaming-llm · evaluation.txt");
  EXPECT_EQ(figure(EvaluationsModel::predictions), "78") << "behind the prompt, of two windows";
  EXPECT_GT(figure(EvaluationsModel::underPolicy).toDouble(), figure(EvaluationsModel::before).toDouble());
  EXPECT_TRUE(window->findChild<QTableView*>("perplexities")->isVisible()) << "it comes to sight";
  EXPECT_TRUE(document().results().empty()) << "the plan's own figure is another";

  action("plan.retrieval")->trigger();
  asked = dialog("retrievalDialog");
  ASSERT_TRUE(asked);
  asked->findChild<QComboBox*>("retrievalKind")->setCurrentIndex(1);
  asked->findChild<QLineEdit*>("lengths")->setText("96 128");
  asked->findChild<QLineEdit*>("depths")->setText("0 100");
  asked->findChild<QSpinBox*>("planted")->setValue(2);
  asked->findChild<QSpinBox*>("trials")->setValue(1);
  asked->findChild<QPushButton*>("startButton")->click();
  const auto& tested = cells("retrievalOfPlan");
  ASSERT_TRUE(waitFor([&] { return isIdle() && tested.rowCount() == 2; })) << window->facts().dump(1);
  EXPECT_EQ(tested.columnCount(), 2);
  EXPECT_EQ(tested.headerData(1, Qt::Horizontal).toString(), "128");
  EXPECT_EQ(tested.headerData(1, Qt::Vertical).toString(), "100 %");
  EXPECT_TRUE(window->findChild<QLabel*>("retrievalFacts")->text().startsWith("one of 2 number"));
  EXPECT_TRUE(window->findChild<QTableView*>("retrievalOfPlan")->isVisible());
  action("plan.retrieval")->trigger();
  asked = dialog("retrievalDialog");
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->findChild<QLineEdit*>("lengths")->text(), "96 128") << "as it was filled in last";
  asked->reject();
  EXPECT_TRUE(window->facts().at("problems").empty());
}

TEST_F(LabWindow, ARankingIsStoppedAndOneOfAnUnusableFileSaysSo) {
  startWithEngine();
  calibrateDemo();
  answer("plan.ranks", "ranksDialog", {{"kept", 50}, {"windows", 65536}});
  auto* stop = view().findChild<QPushButton*>("stopLab");
  const auto status = [this] { return view().findChild<QLabel*>("labStatus")->text(); };
  ASSERT_TRUE(waitFor([&] { return stop->isVisible() && status().contains("truncate"); })) << status().toStdString();
  stop->click();
  ASSERT_TRUE(waitFor([this] { return isIdle(); }));
  EXPECT_EQ(status(), "Stopped.");
  EXPECT_EQ(cells("labSummary").rowCount(), 0) << "nothing half done";

  action("plan.ranks")->trigger();
  QDialog* asked = dialog("ranksDialog");
  ASSERT_TRUE(asked);
  auto* files = asked->findChild<FileList*>();
  const QStringList good = files->paths();
  files->setPaths({QStringLiteral(KVISTA_SOURCE_DIR "/resources/demo/text/evaluation.txt")});
  asked->findChild<QPushButton*>("startButton")->click();
  ASSERT_TRUE(waitFor([&] { return isIdle() && status().contains("evaluation.txt"); })) << status().toStdString();
  EXPECT_EQ(window->facts().at("problems").size(), 1U);

  action("plan.ranks")->trigger();
  asked = dialog("ranksDialog");
  ASSERT_TRUE(asked);
  asked->findChild<FileList*>()->setPaths(good);
  asked->findChild<QSpinBox*>("kept")->setValue(0);
  asked->findChild<QPushButton*>("startButton")->click();
  ASSERT_TRUE(waitFor([&] { return isIdle() && cells("labSummary").rowCount() == 1; })) << window->facts().dump(1);
  EXPECT_TRUE(status().startsWith("ranks on 1 calibration")) << status().toStdString();
}

TEST_F(LabWindow, DialogsComeBackAsTheyWereFilledIn) {
  const TextSelection text{{"/a.txt"}, 0, 0, 0, {}, false};
  LabDialog first(LabDialog::Purpose::predictor, madeUpModel(), text, "/out.gate", nullptr);
  auto* start = first.findChild<QPushButton*>("startButton");
  EXPECT_TRUE(start->isEnabled());
  first.findChild<QSpinBox*>("windows")->setValue(1);
  EXPECT_FALSE(start->isEnabled()) << "one of them is held out";
  first.findChild<QSpinBox*>("windows")->setValue(12);
  first.findChild<QLineEdit*>("predictorFile")->clear();
  EXPECT_FALSE(start->isEnabled());
  first.findChild<QLineEdit*>("predictorFile")->setText("/other.gate");
  first.findChild<QComboBox*>("predictorKind")->setCurrentIndex(1);
  LabDialog second(LabDialog::Purpose::predictor, madeUpModel(), {}, "/out.gate", nullptr);
  EXPECT_FALSE(second.findChild<QPushButton*>("startButton")->isEnabled()) << "no text";
  second.setState(first.state());
  EXPECT_EQ(second.predictor().kind, kPredictorKinds[1].value);
  EXPECT_EQ(second.predictor().output, "/other.gate");
  EXPECT_EQ(second.predictor().text.windows, 12);
  EXPECT_EQ(second.predictor().text.paths, text.paths);
  EXPECT_EQ(second.state(), first.state());

  LabDialog questions(LabDialog::Purpose::questions, madeUpModel(), {{"/q.jsonl"}, 0, 0, 0, {}, false}, {}, nullptr);
  questions.findChild<QCheckBox*>("beginWithBos")->setChecked(true);
  questions.findChild<PolicyChoice*>()->setEditText(" snapkv share=0.5 ");
  EXPECT_EQ(questions.questions().policy, "snapkv share=0.5");
  LabDialog again(LabDialog::Purpose::questions, madeUpModel(), {}, {}, nullptr);
  again.setState(questions.state());
  EXPECT_EQ(again.questions().policy, "snapkv share=0.5");
  questions.setState({{"items", "many"}, {"files", 5}});
  EXPECT_EQ(questions.questions().files, QStringList{"/q.jsonl"}) << "what does not fit is left as it is";
  EXPECT_EQ(questions.questions().items, 0);
  EXPECT_TRUE(questions.questions().beginWithBos);
}

TEST(LabFindings, SetsAnswersThatDifferApart) {
  TasksRecord record{
      "ab",
      {{"/x/q.jsonl",
        2,
        {{"acc", 4, 3, 2, 0.25, 0.5, 3}},
        {{1, "Who?", " me", " me", " you", true, false, 0.5, -0.25}, {2, "What?", "it", "it", "it", true, true}}}}};
  const LabFindings found = findingsOf(record);
  ASSERT_EQ(found.summary.rows.size(), 1U);
  const auto& row = found.summary.rows[0];
  ASSERT_EQ(row.size(), found.summary.columns.size());
  EXPECT_EQ(row[0].text, "q.jsonl");
  EXPECT_TRUE(row[0].tip.contains("too few positions"));
  EXPECT_EQ(row[3].text, "75.0");
  EXPECT_EQ(row[3].plain, "0.75");
  EXPECT_EQ(row[7].text, "−25.0");
  ASSERT_EQ(found.details.size(), 2U);
  ASSERT_EQ(found.details[0].table.rows.size(), 1U);
  EXPECT_EQ(found.details[1].table.rows.size(), 2U);
  const auto& changed = found.details[0].table.rows[0];
  EXPECT_EQ(changed[3].text, "✓ me");
  EXPECT_EQ(changed[4].text, "✗ you");
  EXPECT_EQ(changed[7].text, "−0.75");
  EXPECT_EQ(found.details[1].table.rows[1][7].text, "–") << "what is written has no margin";
  record.files.push_back(record.files[0]);
  EXPECT_EQ(findingsOf(record).details[0].table.columns.front().name, "File") << "once there are several";
}

TEST(LabFindings, SetsWhatAPredictorFindsBesideWhatNeedsNone) {
  const PredictorRecord gate{"/x/a.gate", PredictorKind::fastKvzip, 8, 1, 256, 0.5};
  EXPECT_EQ(findingsOf({gate}).summary.columns.size(), 6U) << "a gate has no recall";
  PredictorRecord network{"/x/b.attn", PredictorKind::attentionPredictor, 8, 1, 256, 0.625};
  network.recall = {0.91, 0.875, 0.89, 0.95};
  const LabTable table = findingsOf({gate, network}).summary;
  ASSERT_EQ(table.columns.size(), 10U);
  EXPECT_TRUE(table.columns[7].tip.contains("H2O") && table.columns[8].tip.contains("SnapKV"));
  EXPECT_EQ(table.rows[0][6].text, "–") << "a gate has no recall";
  EXPECT_EQ(table.rows[1][6].text, "91.0");
  EXPECT_EQ(table.rows[1][7].text, "87.5");
  EXPECT_EQ(table.rows[1][9].plain, "0.95");
  for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size());
}

TEST(LabFindings, SetsRanksOfModelsAndTextsSideBySide) {
  const TextRanksRecord plain{"/x/a.kvstats",
                              4096,
                              64,
                              {2, 2, {0.5F, 0.75F, 0.25F, 0.25F}},
                              {2, 1, {0.5F, 0.25F}},
                              {2, 2, {0.5F, 1, 0.25F, 0}},
                              {}};
  LabFindings found = findingsOf({ModelRanks{"1", "one", {0, {plain}}}});
  EXPECT_EQ(found.summary.rows[0][3].plain, "0.375");
  EXPECT_EQ(found.summary.rows[0][7].text, "–") << "no truncation was measured";
  EXPECT_FALSE(found.points);
  ASSERT_EQ(found.details.size(), 3U);
  EXPECT_EQ(found.details[0].table.columns[1].name, "keys");
  EXPECT_EQ(found.details[2].table.columns[2].name, "V1");
  EXPECT_EQ(found.details[0].table.rows[1][2].heat, 0.25);

  TextRanksRecord cut = plain, few = plain;
  cut.losses = {2, 2, {0.5F, 0.25F, 0.75F, 0.75F}};  // Falls as the rank rises.
  few.losses = {2, 2, {0.5F, 0.75F, 0.25F, 0.25F}};
  few.tokens = 1023;
  few.statistics = "/x/b.kvstats";
  TextRanksRecord deeper = plain;
  deeper.layers = {3, 2, {0.5F, 0.75F, 0.25F, 0.25F, 1, 1}};
  deeper.keyHeads = {3, 1, {0, 0, 0}};
  deeper.valueHeads = deeper.keyHeads;
  const std::vector<ModelRanks> models = {{"2", "deep", {0, {deeper}}}, {"1", "one", {0.5, {cut, few}}}};
  found = findingsOf(models);
  ASSERT_EQ(found.summary.rows.size(), 4U) << "three texts, and all together";
  EXPECT_EQ(found.summary.rows[1][7].text, "−1.000");
  EXPECT_EQ(found.summary.rows[1][6].plain, "0.5625");
  EXPECT_EQ(found.summary.rows[2][8].text, "+1.000");
  EXPECT_EQ(found.summary.rows[2][2].text, "1,023, few") << "fewer than 16 for each of 64 directions";
  EXPECT_EQ(found.summary.rows[1][2].text, "4,096");
  EXPECT_EQ(found.summary.rows[3][0].text, "all");
  EXPECT_EQ(found.details[0].table.rows.size(), 3U);
  EXPECT_EQ(found.details[0].table.rows[2][3].text, "–") << "the other model has no such layer";
  EXPECT_EQ(found.details[0].table.columns[1].name, "deep · a keys");
  EXPECT_EQ(found.details[3].table.rows[0].back().plain, "0.75") << "what costs most is first";
  ASSERT_TRUE(found.points);
  EXPECT_EQ(found.points->points.size(), 8U);
  EXPECT_EQ(found.points->texts, (QStringList{"one · a", "one · b"}));
  for (const auto& row : found.summary.rows) EXPECT_EQ(row.size(), found.summary.columns.size());
  for (const LabDetails& each : found.details)
    for (const auto& row : each.table.rows) EXPECT_EQ(row.size(), each.table.columns.size());
}

TEST(LabFindings, SaysWhereTextsPart) {
  AgreementRecord record{"ab",
                         {"a.txt"},
                         64,
                         126,
                         0.75,
                         0.1,
                         0.05,
                         0.9,
                         1.5,
                         {{1, 3, 1.5, "a b", "\n", " d", "e"}},
                         12,
                         8,
                         0.5,
                         4,
                         3.5,
                         1,
                         {{"Once", 3, "up on a", "time", "day"}, {"Then", 8, "all the same", "", ""}}};
  const LabFindings found = findingsOf(record);
  EXPECT_EQ(found.summary.rows[0].back().text, "1 of 2");
  const auto& written = found.details[0].table.rows;
  EXPECT_EQ(written[0][0].text, "3");
  EXPECT_EQ(written[1][0].text, "never");
  EXPECT_EQ(written[1][0].plain, "8");
  EXPECT_EQ(found.details[1].table.rows[0][4].text, "“⏎”");
  EXPECT_EQ(found.curve, (LabCurve{8, {3, 8}}));
  for (const LabDetails& each : found.details)
    for (const auto& row : each.table.rows) EXPECT_EQ(row.size(), each.table.columns.size());
}

}  // namespace
}  // namespace kvista::test
