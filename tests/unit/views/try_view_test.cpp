// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "views/try_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QDropEvent>
#include <QFileDialog>
#include <QHeaderView>
#include <QLabel>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollBar>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTableView>
#include <QTest>
#include <QTextBlock>
#include <QTextCursor>
#include <QToolButton>
#include <cmath>
#include <limits>

#include "views/generated_pane.h"
#include "views/number_text.h"
#include "views/retrieval_model.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/token_loss_text.h"

namespace kvista {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

class TryWindow : public ::testing::Test {
 protected:
  TryWindow() {
    view.resize(1200, 760);
    view.show();
    EXPECT_TRUE(QTest::qWaitForWindowExposed(&view));
    for (auto* editor : view.findChildren<QPlainTextEdit*>())
      if (!editor->isReadOnly()) prompt = editor;
  }
  QPushButton* button(const QString& text) const {
    for (auto* each : view.findChildren<QPushButton*>())
      if (each->text() == text && each->isVisible()) return each;
    return nullptr;
  }
  QString words() const {
    QStringList texts;
    for (const QLabel* label : view.findChildren<QLabel*>())
      if (label->isVisible()) texts << label->text();
    return texts.join('|');
  }

  TryView view;
  QPlainTextEdit* prompt = nullptr;
};

TEST_F(TryWindow, GeneratesWithTheSettingsAndStops) {
  std::vector<std::pair<QString, GenerateSettings>> asked;
  QObject::connect(&view, &TryView::generateRequested,
                   [&](const QString& text, const GenerateSettings& settings) { asked.emplace_back(text, settings); });
  EXPECT_FALSE(button("Generate")->isEnabled()) << "without a prompt";
  QTest::keyClicks(prompt, "Anne had");
  for (auto* box : view.findChildren<QSpinBox*>())
    if (box->value() == 128) box->setValue(16);
  QTest::mouseClick(button("Generate"), Qt::LeftButton);
  prompt->setFocus();
  QTest::keyClick(prompt, Qt::Key_Return, Qt::ControlModifier);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].first, "Anne had");
  EXPECT_EQ(asked[1].second, (GenerateSettings{16, 0, 0, false})) << "no chat template where the model has none";
  view.setChatTemplate("chatml");
  EXPECT_TRUE(view.settings().chatTemplate);

  QSignalSpy stopped(&view, &TryView::stopRequested);
  view.setGenerating(true);
  EXPECT_EQ(button("Generate"), nullptr);
  QTest::mouseClick(button("Stop"), Qt::LeftButton);
  EXPECT_EQ(stopped.size(), 1);
  EXPECT_FALSE(button("Stop")->isEnabled());
  view.setGenerating(false);
  EXPECT_NE(button("Generate"), nullptr);
}

TEST_F(TryWindow, StreamsBothSidesWithTheirCaches) {
  view.setGenerating(true);
  view.appendPiece(false, " been", 10, 160'000);
  EXPECT_FALSE(words().contains("times smaller")) << "nothing to compare with yet";
  view.appendPiece(false, " too", 20, 320'000);
  view.appendPiece(true, " been", 10, 20'000);
  const auto panes = view.findChildren<GeneratedPane*>();
  ASSERT_EQ(panes.size(), 3);
  EXPECT_FALSE(panes[2]->isVisible()) << "there is no policy";
  EXPECT_EQ(panes[0]->text(), " been too");
  EXPECT_EQ(panes[1]->text(), " been");
  EXPECT_TRUE(words().contains("20 tokens · 320.0 kB cache")) << words().toStdString();
  EXPECT_TRUE(words().contains("8.0 times smaller")) << "by token: the sides have written different numbers of them";
  view.setGenerating(false);
  EXPECT_EQ(panes[0]->text(), " been too") << "the end keeps what was written";
  view.setGenerating(true);
  EXPECT_EQ(panes[0]->text(), "");
}

TEST_F(TryWindow, ShowsOnTheTextWhatEachTokenCosts) {
  view.setTokenLosses({"Anne", " had", " been", " too"}, {kNone, 2.0F, 3.0F, 1.0F}, {kNone, 2.5F, 2.6F, 1.0F});
  auto* text = view.findChild<TokenLossText*>();
  EXPECT_EQ(text->toPlainText(), "Anne had been too");
  EXPECT_TRUE(words().contains("mean 2.000 → 2.033 nats (+0.033) · total +0.10 over 3 tokens"))
      << words().toStdString();
  const auto formatAt = [&](int position) {
    QTextCursor cursor(text->document());
    cursor.setPosition(position + 1);
    return cursor.charFormat();
  };
  EXPECT_EQ(formatAt(5).underlineStyle(), QTextCharFormat::WaveUnderline) << "more loss";
  EXPECT_EQ(formatAt(9).underlineStyle(), QTextCharFormat::DotLine) << "less loss";
  EXPECT_EQ(formatAt(14).underlineStyle(), QTextCharFormat::NoUnderline) << "the same";
  EXPECT_EQ(formatAt(5).background().color().rgb(), colours().warning.rgb());
  EXPECT_EQ(formatAt(9).background().color().rgb(), colours().accent.rgb());
  EXPECT_FALSE(formatAt(0).hasProperty(QTextFormat::BackgroundBrush)) << "the first token is not predicted";

  QTextCursor cursor(text->document());
  cursor.setPosition(6);
  text->setTextCursor(cursor);
  EXPECT_TRUE(words().contains("“ had”: original 2.000, plan 2.500, +0.500 nats")) << words().toStdString();
  const QRect beenCharacter = [&] {
    cursor.setPosition(11);
    return text->cursorRect(cursor);
  }();
  QTest::mouseMove(text->viewport(), beenCharacter.center() + QPoint(3, 0));
  EXPECT_EQ(text->pieceAt(beenCharacter.center() + QPoint(3, 0)), 2);
  EXPECT_EQ(text->pieceAt({5, text->viewport()->height() - 3}), -1) << "below the text there is no token";
}

TEST_F(TryWindow, GroundsOfTokensKeepTheTextReadable) {
  const auto luminance = [](const QColor& colour) {
    const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF());
  };
  for (const bool dark : {false, true}) {
    Theme::instance().setMode(dark ? Theme::Mode::dark : Theme::Mode::light);
    view.setTokenLosses({"a", "b"}, {1, 1}, {9, -9});
    auto* text = view.findChild<TokenLossText*>();
    for (int position : {1, 2}) {
      QTextCursor cursor(text->document());
      cursor.setPosition(position);
      const QColor tint = cursor.charFormat().background().color(), panel = colours().panel;
      const auto mix = [&](float a, float b) { return a * tint.alphaF() + b * (1 - tint.alphaF()); };
      const QColor ground = QColor::fromRgbF(mix(tint.redF(), panel.redF()), mix(tint.greenF(), panel.greenF()),
                                             mix(tint.blueF(), panel.blueF()));
      const double x = luminance(ground), y = luminance(colours().text);
      EXPECT_GE((std::max(x, y) + 0.05) / (std::min(x, y) + 0.05), 4.5) << dark << position;
    }
  }
  Theme::instance().setMode(Theme::Mode::light);
}

TEST_F(TryWindow, MeasuresTheAnswerAndFiles) {
  QSignalSpy tokens(&view, &TryView::tokenLossRequested), files(&view, &TryView::measureRequested);
  prompt->setPlainText("Anne had");
  view.appendPiece(false, " been", 3, 100);
  QTest::mouseClick(button("Measure tokens"), Qt::LeftButton);
  ASSERT_EQ(tokens.size(), 1);
  EXPECT_EQ(tokens[0][0].toString(), "Anne had been");

  QMimeData dropped;
  dropped.setUrls({QUrl::fromLocalFile("/data/a.txt")});
  QDragEnterEvent enter({20, 20}, Qt::CopyAction, &dropped, Qt::LeftButton, {});
  QApplication::sendEvent(&view, &enter);
  QDropEvent drop({20, 20}, Qt::CopyAction, &dropped, Qt::LeftButton, {});
  QApplication::sendEvent(&view, &drop);
  ASSERT_EQ(files.size(), 1);
  EXPECT_EQ(files[0][0].toStringList(), QStringList{"/data/a.txt"});
  QTest::mouseClick(button("Perplexity on file…"), Qt::LeftButton);
  auto* dialog = view.findChild<QFileDialog*>();
  ASSERT_NE(dialog, nullptr);
  dialog->reject();
  EXPECT_EQ(files.size(), 1);
}

TEST_F(TryWindow, AsksForTheLossesOfAFile) {
  QSignalSpy asked(&view, &TryView::fileLossRequested);
  QTest::mouseClick(button("Losses of a file…"), Qt::LeftButton);
  auto* dialog = view.findChild<QFileDialog*>();
  ASSERT_NE(dialog, nullptr);
  EXPECT_EQ(dialog->fileMode(), QFileDialog::ExistingFile);
  Q_EMIT dialog->fileSelected("/data/persuasion.txt");
  ASSERT_EQ(asked.size(), 1);
  EXPECT_EQ(asked[0][0].toString(), "/data/persuasion.txt");
  view.setGenerating(true);
  EXPECT_FALSE(button("Losses of a file…")->isEnabled());
}

TEST_F(TryWindow, ShowsWhetherASentenceFarBackComesOut) {
  QSignalSpy asked(&view, &TryView::retrievalRequested);
  EXPECT_EQ(button("Test retrieval…"), nullptr) << "perplexities are in sight first";
  QTest::mouseClick(view.findChild<SegmentedControl*>()->segment("retrieval"), Qt::LeftButton);
  EXPECT_EQ(button("Perplexity on file…"), nullptr);
  QTest::mouseClick(button("Test retrieval…"), Qt::LeftButton);
  EXPECT_EQ(asked.size(), 1);
  const auto tables = [&] {
    std::vector<QTableView*> found;
    for (auto* table : view.findChildren<QTableView*>())
      if (qobject_cast<RetrievalModel*>(table->model())) found.push_back(table);
    return found;
  }();
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_FALSE(tables[0]->isVisible()) << "nothing to show yet";
  const RetrievalTable original{
      {256, 512}, {0, 50, 100}, 4, {3, 2, {0, 1, 2, 3, 4, 1}}, {3, 2, {1, 1, 0.5F, 0.25F, 0, 1}}};
  RetrievalTable plan = original;
  plan.loss.values.back() = 8;
  plan.found.values.back() = 0.75F;
  view.setRetrieval(original, plan);
  EXPECT_TRUE(tables[0]->isVisible() && tables[1]->isVisible());
  const auto* other = view.findChild<QLabel*>("retrievalOther");
  EXPECT_EQ(other->text(), "Plan");
  RetrievalTable kept = plan;
  kept.name = QStringLiteral("Plan under snapkv share=0.25");
  view.setRetrieval(original, kept);
  EXPECT_EQ(other->text(), kept.name);
  view.setRetrieval(original, plan);
  EXPECT_TRUE(words().contains("one number: found")) << words().toStdString();
  EXPECT_TRUE(words().contains("mean 1.83 → 3.00 nats")) << words().toStdString();
  const auto cell = [&](int side, int row, int column, int role) {
    return tables[static_cast<std::size_t>(side)]->model()->index(row, column).data(role);
  };
  EXPECT_EQ(cell(1, 2, 1, Qt::DisplayRole).toString(), percentText(0.75, 0) + QStringLiteral("\n8.00"));
  EXPECT_TRUE(cell(1, 2, 1, Qt::ToolTipRole)
                  .toString()
                  .contains(QStringLiteral("512 tokens, sentence at 100 %: %1 found in 4 trials, 8.000 nats")
                                .arg(percentText(0.75, 0))));
  EXPECT_EQ(tables[0]->model()->headerData(1, Qt::Horizontal, Qt::DisplayRole).toString(), "512");
  EXPECT_EQ(tables[0]->model()->headerData(1, Qt::Vertical, Qt::DisplayRole).toString(), "50 %");
  // The same loss has the same colour on both sides, and what costs less is brighter.
  const auto ground = [&](int side, int row, int column) {
    return cell(side, row, column, Qt::BackgroundRole).value<QColor>();
  };
  EXPECT_EQ(ground(0, 1, 1), ground(1, 1, 1));
  EXPECT_GT(ground(0, 0, 0).lightness(), ground(0, 2, 0).lightness());
  EXPECT_GT(ground(0, 2, 0).lightness(), ground(1, 2, 1).lightness());
  view.setUnavailable("Open a model first.");
  EXPECT_FALSE(button("Test retrieval…")->isEnabled());
  view.setUnavailable({});
  RetrievalTable keys = original;
  keys.kind = RetrievalKind::multiKey;
  keys.planted = 6;
  view.setRetrieval(keys, plan);
  EXPECT_TRUE(words().contains("one of 6 number")) << words().toStdString();
  view.setRetrieval({}, {});
  EXPECT_FALSE(tables[0]->isVisible());
}

TEST(RetrievalModel, KeepsItsWordsReadableAndItsSizes) {
  RetrievalModel model;
  const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  const auto luminance = [](const QColor& colour) {
    const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(colour.redF()) + 0.7152 * linear(colour.greenF()) + 0.0722 * linear(colour.blueF());
  };
  for (int step = 0; step <= 64; ++step) {
    model.setTable({{64}, {0}, 1, {1, 1, {static_cast<float>(step) / 64}}, {1, 1, {0}}}, 1);
    const double ground = luminance(model.index(0, 0).data(Qt::BackgroundRole).value<QColor>());
    const double words = luminance(model.index(0, 0).data(Qt::ForegroundRole).value<QColor>());
    EXPECT_GE((std::max(ground, words) + 0.05) / (std::min(ground, words) + 0.05), 4.5) << step;
  }
  model.setTable({{64, 128}, {0}, 1, {1, 1, {1}}, {1, 1, {0}}}, 1);
  EXPECT_EQ(model.rowCount(), 0) << "a matrix of another size than the lists say";
}

TEST_F(TryWindow, SaysWhyNothingCanBeTried) {
  prompt->setPlainText("Anne");
  view.setUnavailable("Open a model first.");
  EXPECT_TRUE(words().contains("Open a model first."));
  EXPECT_FALSE(button("Generate")->isEnabled());
  EXPECT_FALSE(button("Perplexity on file…")->isEnabled());
  view.setUnavailable({});
  EXPECT_TRUE(button("Generate")->isEnabled());
}

TEST(EvaluationsModel, TellsBeforeAndAfter) {
  EvaluationsModel model;
  const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.setRows({{"persuasion.txt", {}, 8, 65'504, 37.57, 37.63},
                 {"persuasion.txt", "coded, by hand", 16, 65'504, 37.57, 38.9},
                 {"persuasion.txt", "older plan", 0, 0, 37.57, 39.1}});
  const auto cell = [&](int row, int column) { return model.index(row, column).data().toString(); };
  EXPECT_EQ(cell(0, EvaluationsModel::predictions), "65,504");
  EXPECT_EQ(cell(0, EvaluationsModel::before), "37.57");
  EXPECT_EQ(cell(0, EvaluationsModel::after), "37.63");
  EXPECT_EQ(cell(0, EvaluationsModel::change), QStringLiteral("+0.2\u00a0%"));
  EXPECT_EQ(cell(0, EvaluationsModel::plan), "this plan") << "not by colour alone";
  EXPECT_EQ(cell(1, EvaluationsModel::plan), "16.0 times");
  EXPECT_EQ(model.index(1, 0).data(Qt::ToolTipRole).toString(),
            "persuasion.txt · of coded, by hand · 65,504 tokens predicted");
  EXPECT_EQ(cell(2, EvaluationsModel::plan), "older plan");
}

TEST_F(TryWindow, WhatAPolicyMakesStandsBesideWhatTheSameTokensCostWithoutIt) {
  auto* table = view.findChild<QTableView*>("perplexities");
  const EvaluationRow plain{"persuasion.txt", {}, 8, 65'504, 37.57, 37.63};
  EvaluationRow under{
      "persuasion.txt", {}, 4, 32'000, 36, 36.5, "snapkv share=0.25 interval=64", 45, "512 B of cache at the end."};
  view.setEvaluations({plain});
  EXPECT_TRUE(table->isColumnHidden(EvaluationsModel::underPolicy)) << "no room is lost where there is none";
  view.setEvaluations({plain, under});
  EXPECT_FALSE(table->isColumnHidden(EvaluationsModel::underPolicy));
  EXPECT_TRUE(table->isColumnHidden(EvaluationsModel::policy)) << "its name stands with the text";
  const auto cell = [&](int row, int column) { return table->model()->index(row, column).data().toString(); };
  EXPECT_EQ(cell(1, EvaluationsModel::text), "snapkv · persuasion.txt");
  EXPECT_EQ(cell(1, EvaluationsModel::plan), "4.0 times") << "of the cache that the policy leaves";
  EXPECT_EQ(cell(1, EvaluationsModel::before), "36.00");
  EXPECT_EQ(cell(1, EvaluationsModel::after), "36.50");
  EXPECT_EQ(cell(1, EvaluationsModel::underPolicy), "45.00");
  EXPECT_EQ(cell(0, EvaluationsModel::underPolicy), "–");
  EXPECT_EQ(cell(1, EvaluationsModel::change), QStringLiteral("+25.0\u00a0%")) << "of the policy";
  EXPECT_EQ(cell(0, EvaluationsModel::change), QStringLiteral("+0.2\u00a0%"));
  EXPECT_TRUE(table->model()->index(1, 0).data(Qt::ToolTipRole).toString().contains("512 B of cache"));
}

TEST_F(TryWindow, ANarrowTableOfPerplexitiesStillTellsItsRowsApart) {
  auto* table = view.findChild<QTableView*>("perplexities");
  EXPECT_FALSE(table->isVisible());
  EXPECT_TRUE(words().contains("perplexities are listed here")) << "an empty table says what comes into it";
  const EvaluationRow plain{"persuasion.txt", {}, 8, 65'504, 37.57, 37.63};
  EvaluationRow under{"persuasion.txt", {}, 4, 32'000, 36, 36.5, "snapkv share=0.25 interval=64", 45};
  view.setEvaluations({plain, under});
  EXPECT_TRUE(table->isVisible());
  const auto whole = [&](int column) {
    const QAbstractItemView& cells = *table;
    return table->columnWidth(column) >=
           std::max(cells.sizeHintForColumn(column), table->horizontalHeader()->sectionSizeHint(column));
  };
  for (const int width : {1600, 900, 700}) {
    view.resize(width, 700);
    QApplication::processEvents();
    EXPECT_GE(table->columnWidth(EvaluationsModel::text), 100) << width;
    for (const int column : {EvaluationsModel::plan, EvaluationsModel::before, EvaluationsModel::after,
                             EvaluationsModel::underPolicy, EvaluationsModel::change})
      EXPECT_TRUE(whole(column)) << column;
  }
  EXPECT_TRUE(table->isColumnHidden(EvaluationsModel::predictions)) << "the tip says it too";
  view.resize(1600, 700);
  QApplication::processEvents();
  EXPECT_FALSE(table->isColumnHidden(EvaluationsModel::predictions));
  EXPECT_EQ(table->horizontalScrollBar()->maximum(), 0);
  view.setEvaluations({});
  EXPECT_FALSE(table->isVisible());
}

TEST_F(TryWindow, NumbersOfRetrievalAreWrappedAndNoLineIsLeftBelow) {
  view.resize(900, 760);
  view.showTexts(TextMeasures::Page::retrieval);
  RetrievalTable original{{64, 128}, {0, 100}, 4, {2, 2, {0, 1, 2, 3}}, {2, 2, {1, 1, 0.5F, 0.25F}}}, plan = original;
  plan.name = QStringLiteral("Plan under snapkv share=0.25 window=8");
  view.setRetrieval(original, plan);
  QApplication::processEvents();
  for (const char* name : {"retrievalFacts", "retrievalOther"}) {
    const auto* label = view.findChild<QLabel*>(name);
    const QRect needed =
        label->fontMetrics().boundingRect(QRect(0, 0, label->width(), 1000), Qt::TextWordWrap, label->text());
    EXPECT_GE(label->height(), needed.height()) << name;
    EXPECT_GE(label->width(), needed.width()) << name;
  }
  auto* table = view.findChild<QTableView*>("retrievalOfPlan");
  QHeaderView* depths = table->verticalHeader();
  ASSERT_GT(depths->height(), depths->length() + 4);
  const QImage image = depths->viewport()->grab().toImage();
  for (int y = static_cast<int>((depths->length() + 2) * image.devicePixelRatio()); y < image.height(); ++y)
    EXPECT_EQ(image.pixelColor(4, y).rgb(), colours().panel.rgb()) << y;
}

TEST_F(TryWindow, APolicyHasAPaneOfItsOwnWhileOneIsAskedFor) {
  QSignalSpy asked(&view, &TryView::generateRequested);
  auto* policy = view.findChild<PolicyChoice*>();
  view.setPolicies({{QStringLiteral("snapkv share=0.5"), QStringLiteral("What the last queries look at")},
                    {QStringLiteral("kivi"), {}}});
  EXPECT_EQ(policy->policy(), QString());
  EXPECT_EQ(policy->itemData(1, Qt::ToolTipRole).toString(), QStringLiteral("What the last queries look at"));
  auto* pane = view.findChildren<GeneratedPane*>().at(2);
  prompt->setPlainText(QStringLiteral("Emma"));
  button(TryView::tr("Generate"))->click();
  EXPECT_FALSE(pane->isVisible());
  EXPECT_EQ(asked.takeFirst().at(1).value<GenerateSettings>().policy, QString());

  policy->setCurrentIndex(1);
  policy->setEditText(QStringLiteral(" snapkv share=0.25 interval=16 "));
  button(TryView::tr("Generate"))->click();
  EXPECT_EQ(asked.takeFirst().at(1).value<GenerateSettings>().policy, QStringLiteral("snapkv share=0.25 interval=16"));
  ASSERT_TRUE(pane->isVisible());
  view.appendPiece(false, QStringLiteral(" Woodhouse"), 10, 4000);
  view.appendPiece(true, QStringLiteral(" Woodhouse"), 10, 1000);
  view.appendPolicyPiece(true, QStringLiteral(" Watson"), 10, 500);
  EXPECT_EQ(pane->text(), QStringLiteral(" Watson"));
  EXPECT_EQ(pane->remark()->text(), TryView::tr("%1 times smaller").arg(decimalText(8, 1)));
  EXPECT_TRUE(words().contains(TryView::tr("Plan with %1").arg(QStringLiteral("snapkv")))) << words().toStdString();
  view.setPolicies({{QStringLiteral("kivi"), {}}});
  EXPECT_EQ(policy->policy(), QStringLiteral("snapkv share=0.25 interval=16")) << "what was typed stays";

  policy->setEditText({});
  button(TryView::tr("Generate"))->click();
  EXPECT_FALSE(pane->isVisible());
}

}  // namespace
}  // namespace kvista
