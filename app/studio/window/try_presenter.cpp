// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/try_presenter.h"

#include <QFileInfo>
#include <algorithm>
#include <cmath>

#include "app/studio/window/path_dialog.h"
#include "views/number_text.h"
#include "views/try_view.h"

namespace kvista {

TryPresenter::TryPresenter(Document& document, Workflow& workflow, Lab& lab, TryView& view)
    : document_(document), workflow_(workflow), view_(view), trial_(document, workflow.work()) {
  for (const auto signal : {&Document::modelChanged, &Document::projectChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, &TryPresenter::showState);
  for (const auto signal : {&Document::resultsChanged, &Document::planChanged, &Document::projectChanged})
    connect(&document_, signal, this, &TryPresenter::showResults);
  connect(&view_, &TryView::generateRequested, this, &TryPresenter::generate);
  connect(&view_, &TryView::newConversationRequested, this, [this] {
    turns_.clear();
    view_.endConversation();
  });
  connect(&view_, &TryView::stopRequested, &trial_, &Trial::stopGenerating);
  connect(&trial_, &Trial::generationEnded, this, [this] {
    // What was stopped half-way was said all the same; without a word of either side the turn failed.
    if (turn_ && !(turn_->original.isEmpty() && turn_->plan.isEmpty())) turns_.push_back(*turn_);
    turn_.reset();
    view_.setGenerating(false);
  });
  connect(&trial_, &Trial::piece, this, [this](const GeneratedPiece& piece) {
    const QString text = QString::fromStdString(piece.text);
    if (turn_) (piece.underPolicy ? turn_->policy : piece.compressed ? turn_->plan : turn_->original) += text;
    if (piece.underPolicy)
      view_.appendPolicyPiece(piece.compressed, text, piece.tokens, piece.cacheBytes);
    else
      view_.appendPiece(piece.compressed, text, piece.tokens, piece.cacheBytes);
  });
  connect(&view_, &TryView::measureRequested, this, [this](const QStringList& paths) {
    TextSelection text;
    for (const QString& path : paths) text.paths.push_back(path.toStdString());
    workflow_.measure(text);
  });
  connect(&view_, &TryView::tokenLossRequested, &trial_, &Trial::tokenLosses);
  connect(&view_, &TryView::fileLossRequested, &trial_, &Trial::tokenLossesOfFile);
  connect(&view_, &TryView::retrievalRequested, this,
          [this] { Q_EMIT actionRequested(QStringLiteral("plan.retrieval")); });
  connect(&lab, &Lab::retrieved, this, [this](const RetrievalRecord& record, const QString& under) {
    const auto table = [&](const Matrix& loss, const Matrix& found) {
      return RetrievalTable{record.lengths,
                            record.depths,
                            static_cast<int>(record.trials),
                            loss,
                            found,
                            record.kind,
                            {},
                            static_cast<int>(record.planted)};
    };
    RetrievalTable other = table(record.lossAfter, record.foundAfter);
    other.name = under;
    view_.setRetrieval(table(record.lossBefore, record.foundBefore), other);
  });
  connect(&lab, &Lab::measuredUnder, this, [this](const PolicyEvaluationRecord& record) {
    std::erase_if(underPolicies_, [&](const PolicyEvaluationRecord& other) {
      return other.planFingerprint == record.planFingerprint && other.policy == record.policy &&
             other.prompt == record.prompt && other.text == record.text && other.predictions == record.predictions;
    });
    underPolicies_.push_back(record);
    showResults();
  });
  const auto forget = [this] {
    turns_.clear();
    underPolicies_.clear();
    showResults();
    if (!trial_.isGenerating()) view_.endConversation();
    view_.setRetrieval({}, {});
  };
  connect(&document_, &Document::modelChanged, this, forget);
  // A project that was only saved is the same; another one is without its model at first.
  connect(&document_, &Document::projectChanged, this, [this, forget] {
    if (!document_.hasModel()) forget();
  });
  connect(&workflow_.engine(), &EngineClient::stateChanged, this, &TryPresenter::showState);
  connect(&view_, &TryView::lossFileWanted, this, [this] {
    askForFile(tr("Loss of every token of a file"), [this](const QString& path) { trial_.tokenLossesOfFile(path); });
  });
  connect(&view_, &TryView::measureFilesWanted, this, [this] {
    askForFile(tr("Perplexity on file"), [this](const QString& path) {
      workflow_.measure({{path.toStdString()}, 0, 0, 0, {}, false});
    });
  });
  // Another plan's numbers would only mislead.
  connect(&document_, &Document::planChanged, this, [this] { view_.setRetrieval({}, {}); });
  connect(&trial_, &Trial::tokenLossesReady, this, [this](const TokenLossRecord& record) {
    std::vector<QString> pieces;
    pieces.reserve(record.pieces.size());
    for (const std::string& piece : record.pieces) pieces.push_back(QString::fromStdString(piece));
    view_.setTokenLosses(pieces, record.before, record.after);
  });
  showState();
  showResults();
}

void TryPresenter::generate(const QString& prompt, const GenerateSettings& settings) {
  // Another plan, or policy, has not said what stands there.
  const std::string spokenBy = document_.planFingerprint() + " " + settings.policy.toStdString();
  if (!settings.chatTemplate || conversationPlan_ != spokenBy) turns_.clear();
  conversationPlan_ = spokenBy;
  turn_.reset();
  if (settings.chatTemplate) {
    view_.beginTurn(prompt, turns_.empty());
    turn_ = GenerationWish::Turn{prompt, {}, {}, {}};
  }
  view_.setGenerating(true);
  trial_.generate({.prompt = prompt,
                   .maxTokens = settings.tokens,
                   .chat = settings.chatTemplate,
                   .temperature = settings.temperature,
                   .seed = static_cast<std::uint64_t>(settings.seed),
                   .turns = turns_,
                   .policy = settings.policy});
}

void TryPresenter::askForFile(const QString& title, std::function<void(const QString&)> chosen) {
  choosePath(&view_, workflow_, title, std::move(chosen));
}

void TryPresenter::showState() {
  view_.setFilesElsewhere(workflow_.host().has_value());
  view_.setUnavailable(!document_.hasModel()     ? tr("Open a model first.")
                       : !document_.statistics() ? tr("Calibrate the model first: a plan is made from its statistics.")
                                                 : QString());
  const ModelRecord model = document_.hasModel() ? document_.model() : ModelRecord();
  view_.setChatTemplate(QString::fromStdString(model.chatTemplate), QString::fromStdString(model.chatTemplateProblem));
}

void TryPresenter::showResults() {
  std::vector<EvaluationRow> rows;
  for (const MeasuredResult& result : document_.results()) {
    EvaluationRow row = rowOf(result.text, result.planFingerprint);
    row.predictions = result.predictions;
    row.before = result.perplexityBefore;
    row.after = result.perplexityAfter;
    rows.push_back(std::move(row));
  }
  for (const PolicyEvaluationRecord& result : underPolicies_) {
    EvaluationRow row = rowOf(result.text, result.planFingerprint);
    row.predictions = result.predictions;
    row.before = result.original;
    row.after = result.plan;
    row.policy = QString::fromStdString(result.policy);
    row.underPolicy = result.underPolicy;
    row.timesSmaller = result.bytesAtEnd > 0 ? static_cast<double>(result.fullBytes) / result.bytesAtEnd : 0;
    const QString over = result.overPlan ? tr("The plan under %1") : tr("The original under %1");
    const auto bytes = [](double value) { return bytesText(std::llround(value)); };
    row.facts = tr("%1, behind the first %2 tokens of each window.\n%3 of cache at the end, %4 of the 16-bit cache's; "
                   "%5 at most. A head keeps %6 tokens.")
                    .arg(over.arg(row.policy), countText(result.prompt), bytes(result.bytesAtEnd),
                         percentText(result.bytesAtEnd / static_cast<double>(result.fullBytes)),
                         bytes(result.bytesAtMost), decimalText(result.tokensKept, 1));
    rows.push_back(std::move(row));
  }
  view_.setEvaluations(rows);
}

/// Of which text and plan.
EvaluationRow TryPresenter::rowOf(const std::string& text, const std::string& plan) const {
  EvaluationRow row{.text = QFileInfo(QString::fromStdString(text)).fileName(), .plan = {}};
  if (document_.isOpen() && plan == document_.planFingerprint()) return row;
  const auto& kept = document_.triedFingerprints();
  const auto found = std::ranges::find(kept, plan);
  row.plan = tr("older plan");
  if (found != kept.end()) {
    const TriedPlan& tried = document_.tried()[static_cast<std::size_t>(found - kept.begin())];
    row.plan = QString::fromStdString(tried.name);
    row.timesSmaller = 1 / share(tried.plan, document_.model().shape);
  }
  return row;
}

}  // namespace kvista
