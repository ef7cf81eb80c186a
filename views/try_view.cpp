// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/try_view.h"

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFormLayout>
#include <QLabel>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QShortcut>
#include <QSpinBox>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <limits>

#include "views/elided_label.h"
#include "views/generated_pane.h"
#include "views/local_files.h"
#include "views/number_text.h"
#include "views/theme.h"
#include "views/token_loss_text.h"
#include "views/view_state.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kMargin = 16, kMaxTokens = 4096;

QLabel* heading(const QString& text, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setFont(textFont(TextRole::strong));
  return label;
}

}  // namespace

TryView::TryView(QWidget* parent) : View(parent) {
  setTitle(tr("Try"), tr("the original and the plan on the same words"));
  setAcceptDrops(true);
  auto* answers = new QWidget;
  auto* row = new QHBoxLayout(answers);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(kMargin);
  original_ = new GeneratedPane(QStringLiteral("original"), tr("Original"), answers);
  plan_ = new GeneratedPane(QStringLiteral("plan"), tr("Plan"), answers);
  underPolicy_ = new GeneratedPane(QStringLiteral("policy"), tr("Policy"), answers);
  for (GeneratedPane* pane : {original_, plan_, underPolicy_}) row->addWidget(pane, 1);
  underPolicy_->hide();
  QSplitter* above = split("prompt", Qt::Horizontal, makePrompt(), answers, {24, 76});
  texts_ = new TextMeasures;
  QSplitter* below = split("texts", Qt::Horizontal, makeTokens(), texts_, {52, 48});
  above->setContentsMargins(kMargin, kMargin, kMargin, 8);
  below->setContentsMargins(kMargin, 8, kMargin, kMargin);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(split("split", Qt::Vertical, above, below, {50, 50}));
  connect(texts_, &TextMeasures::measureRequested, this, &TryView::measureRequested);
  connect(texts_, &TextMeasures::filesWanted, this, &TryView::measureFilesWanted);
  connect(texts_, &TextMeasures::retrievalRequested, this, &TryView::retrievalRequested);
  connect(&Theme::instance(), &Theme::changed, this, &TryView::showLosses);
  setChatTemplate({});
  updateButtons();
  showLosses();
}

void TryView::setFilesElsewhere(bool elsewhere) {
  elsewhere_ = elsewhere;
  texts_->setFilesElsewhere(elsewhere);
}

QSplitter* TryView::split(const char* name, Qt::Orientation orientation, QWidget* first, QWidget* second,
                          const QList<int>& shares) {
  auto* splitter = new QSplitter(orientation);
  splitter->setObjectName(QLatin1String(name));
  splitter->addWidget(first);
  splitter->addWidget(second);
  splitter->setChildrenCollapsible(false);
  splits_.push_back({splitter, shares});
  splitter->setSizes({100 * shares[0], 100 * shares[1]});
  if (orientation == Qt::Horizontal) splitter->setHandleWidth(kMargin);
  connect(splitter, &QSplitter::splitterMoved, this, [this, splitter] {
    std::ranges::find(splits_, splitter, &Split::splitter)->isByHand = true;
    Q_EMIT viewStateChanged();
  });
  return splitter;
}

QJsonObject TryView::viewState() const {
  QJsonObject state;
  for (const Split& each : splits_)
    if (const QList<int> sizes = each.splitter->sizes(); each.isByHand)
      state[each.splitter->objectName()] = QJsonArray{sizes[0], sizes[1]};
  return state;
}

bool TryView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  for (Split& each : splits_) {
    const std::vector<double> sizes = reader.numbers(each.splitter->objectName().toUtf8().constData(), 2, 2);
    each.isByHand = !sizes.empty() && sizes[0] > 0 && sizes[1] > 0 && sizes[0] + sizes[1] < 1e5;
    if (!sizes.empty() && !each.isByHand) reader.reject();
    each.splitter->setSizes(each.isByHand ? QList<int>{static_cast<int>(sizes[0]), static_cast<int>(sizes[1])}
                                          : QList<int>{100 * each.shares[0], 100 * each.shares[1]});
  }
  return reader.isSound();
}

QWidget* TryView::makePrompt() {
  auto* part = new QWidget;
  part->setMinimumWidth(200);
  prompt_ = new QPlainTextEdit(part);
  prompt_->setObjectName(QStringLiteral("prompt"));
  prompt_->setPlaceholderText(tr("Write a prompt"));
  prompt_->setAccessibleName(tr("Prompt"));
  prompt_->setTabChangesFocus(true);
  prompt_->setAcceptDrops(false);  // Files that are dropped anywhere are measured.
  tokens_ = new QSpinBox(part);
  tokens_->setRange(1, kMaxTokens);
  tokens_->setValue(GenerateSettings{}.tokens);
  temperature_ = new QDoubleSpinBox(part);
  temperature_->setRange(0, 4);
  temperature_->setSingleStep(0.1);
  temperature_->setDecimals(2);
  temperature_->setToolTip(tr("0 takes the likeliest token each time; higher draws more freely."));
  seed_ = new QSpinBox(part);
  seed_->setRange(0, std::numeric_limits<int>::max());
  seed_->setToolTip(tr("The same seed draws the same tokens."));
  for (QAbstractSpinBox* box : {static_cast<QAbstractSpinBox*>(tokens_), static_cast<QAbstractSpinBox*>(temperature_),
                                static_cast<QAbstractSpinBox*>(seed_)})
    box->setButtonSymbols(QAbstractSpinBox::NoButtons);
  policy_ = new PolicyChoice(part);
  policy_->setObjectName(QStringLiteral("tryPolicy"));
  chat_ = new QCheckBox(part);
  chat_->setChecked(true);
  generate_ = new QPushButton(tr("Generate"), part);
  generate_->setObjectName(QStringLiteral("generate"));
  generate_->setProperty("primary", true);
  stop_ = new QPushButton(tr("Stop"), part);
  newConversation_ = new QPushButton(tr("New conversation"), part);
  newConversation_->setObjectName(QStringLiteral("newConversation"));
  newConversation_->setToolTip(tr("Both sides forget what was said"));
  reason_ = softLabel({}, part);
  noChat_ = softLabel({}, part);
  noChat_->setObjectName(QStringLiteral("noChatTemplate"));
  for (QLabel* label : {reason_, noChat_}) label->setWordWrap(true);

  auto* form = new QFormLayout;
  form->setHorizontalSpacing(12);
  form->setVerticalSpacing(6);
  form->setLabelAlignment(Qt::AlignLeft);
  form->addRow(tr("Tokens"), tokens_);
  form->addRow(tr("Temperature"), temperature_);
  form->addRow(tr("Seed"), seed_);
  form->addRow(policy_);
  auto* column = new QVBoxLayout(part);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(6);
  column->addWidget(heading(tr("Prompt"), part));
  column->addWidget(prompt_, 1);
  column->addLayout(form);
  column->addWidget(chat_);
  column->addWidget(noChat_);
  column->addWidget(generate_);
  column->addWidget(stop_);
  column->addWidget(newConversation_);
  column->addWidget(reason_);

  connect(prompt_, &QPlainTextEdit::textChanged, this, &TryView::updateButtons);
  connect(generate_, &QPushButton::clicked, this, [this] {
    asked_ = policy_->policy();
    underPolicy_->setVisible(!asked_.isEmpty());
    underPolicy_->setName(asked_.section(QLatin1Char(' '), 0, 0), asked_);
    Q_EMIT generateRequested(prompt(), settings());
  });
  connect(newConversation_, &QPushButton::clicked, this, &TryView::newConversationRequested);
  connect(stop_, &QPushButton::clicked, this, [this] {
    stop_->setEnabled(false);
    Q_EMIT stopRequested();
  });
  auto* enter = new QShortcut(QKeySequence(Qt::CTRL | Qt::Key_Return), prompt_, nullptr, nullptr, Qt::WidgetShortcut);
  connect(enter, &QShortcut::activated, generate_, &QPushButton::click);
  generate_->setToolTip(tr("Ctrl+Return in the prompt"));
  return part;
}

QWidget* TryView::makeTokens() {
  auto* part = new QWidget;
  tokenText_ = new TokenLossText(part);
  tokenText_->setPlaceholderText(
      tr("Shows on the text where the plan costs more: write a prompt, generate, then measure."));
  tokenText_->setObjectName(QStringLiteral("tokenText"));
  means_ = new ElidedLabel(part);
  means_->setObjectName(QStringLiteral("tokenMeans"));
  legend_ = new QLabel(part);
  piece_ = new ElidedLabel(part);
  piece_->setObjectName(QStringLiteral("tokenFacts"));
  measureTokens_ = new QPushButton(tr("Measure tokens"), part);
  measureTokens_->setObjectName(QStringLiteral("measureTokens"));
  measureTokens_->setToolTip(tr("Loss of every token of the prompt and the original's answer"));
  auto* line = new QHBoxLayout;
  line->setSpacing(8);
  line->addWidget(heading(tr("Loss by token"), part));
  lossesOfFile_ = new QPushButton(tr("Losses of a file…"), part);
  lossesOfFile_->setObjectName(QStringLiteral("lossesOfFile"));
  lossesOfFile_->setToolTip(tr("Loss of every token of a text file, window after window, up to 16,384 tokens"));
  line->addStretch(1);
  line->addWidget(measureTokens_);
  line->addWidget(lossesOfFile_);
  auto* foot = new QHBoxLayout;
  foot->addWidget(piece_, 1);
  foot->addWidget(legend_);
  auto* column = new QVBoxLayout(part);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(6);
  column->addLayout(line);
  column->addWidget(means_);
  column->addWidget(tokenText_, 1);
  column->addLayout(foot);
  connect(measureTokens_, &QPushButton::clicked, this,
          [this] { Q_EMIT tokenLossRequested(prompt() + original_->answer()); });
  connect(lossesOfFile_, &QPushButton::clicked, this, [this] {
    if (elsewhere_) return Q_EMIT lossFileWanted();
    auto* dialog = new QFileDialog(window(), tr("Loss of every token of a file"), {},
                                   tr("Text (*.txt *.md *.jsonl);;All files (*)"));
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &QFileDialog::fileSelected, this, &TryView::fileLossRequested);
    dialog->open();
  });
  connect(tokenText_, &TokenLossText::pieceFocused, this,
          [this](int piece) { piece_->setText(tokenText_->describe(piece)); });
  return part;
}

void TryView::setChatTemplate(const QString& name, const QString& problem) {
  noChat_->setVisible(!problem.isEmpty());
  noChat_->setText(tr("%1 The prompt is a text that goes on.").arg(problem));
  chat_->setVisible(!name.isEmpty());
  chat_->setText(tr("Chat template (%1)").arg(name));
  chat_->setProperty("template", name);
}

void TryView::setUnavailable(const QString& reason) {
  unavailable_ = reason;
  updateButtons();
}

void TryView::updateButtons() {
  generate_->setVisible(!generating_);
  stop_->setVisible(generating_);
  newConversation_->setVisible(inConversation_ && !generating_);
  generate_->setEnabled(unavailable_.isEmpty() && !prompt().isEmpty());
  measureTokens_->setEnabled(unavailable_.isEmpty() && !generating_ && !prompt().isEmpty());
  lossesOfFile_->setEnabled(unavailable_.isEmpty() && !generating_);
  texts_->setAvailable(unavailable_.isEmpty());
  reason_->setText(unavailable_);
  reason_->setVisible(!unavailable_.isEmpty());
}

void TryView::setGenerating(bool generating) {
  if (generating == generating_) return;
  generating_ = generating;
  stop_->setEnabled(true);
  if (generating && !inTurn_) endConversation();
  if (!generating && inConversation_) prompt_->selectAll();  // What is typed next takes its place.
  inTurn_ = false;
  updateButtons();
}

void TryView::beginTurn(const QString& said, bool first) {
  if (first) endConversation();
  inTurn_ = inConversation_ = true;
  for (GeneratedPane* pane : {original_, plan_, underPolicy_}) pane->beginTurn(said);
  updateButtons();
}

void TryView::endConversation() {
  inConversation_ = false;
  for (GeneratedPane* pane : {original_, plan_, underPolicy_}) pane->clear();
  updateButtons();
}

void TryView::appendPiece(bool compressed, const QString& text, std::int64_t tokens, std::int64_t cacheBytes) {
  (compressed ? plan_ : original_)->append(text, tokens, cacheBytes);
  showRatios();
}

void TryView::appendPolicyPiece(bool compressed, const QString& text, std::int64_t tokens, std::int64_t cacheBytes) {
  const QString name = asked_.section(QLatin1Char(' '), 0, 0);
  underPolicy_->setName(compressed ? tr("Plan with %1").arg(name) : tr("Original with %1").arg(name), asked_);
  underPolicy_->append(text, tokens, cacheBytes);
  showRatios();
}

/// Bytes a token read of each side: one may have written more than the other.
void TryView::showRatios() {
  for (const GeneratedPane* pane : {plan_, underPolicy_}) {
    pane->remark()->clear();
    if (original_->tokens() <= 0 || pane->tokens() <= 0 || pane->cacheBytes() <= 0) continue;
    const double before = static_cast<double>(original_->cacheBytes()) / static_cast<double>(original_->tokens());
    const double after = static_cast<double>(pane->cacheBytes()) / static_cast<double>(pane->tokens());
    pane->remark()->setText(tr("%1 times smaller").arg(decimalText(before / after, 1)));
  }
}

void TryView::setTokenLosses(const std::vector<QString>& pieces, const std::vector<float>& before,
                             const std::vector<float>& after) {
  tokenText_->setLosses(pieces, before, after);
  piece_->clear();
  showLosses();
}

void TryView::showLosses() {
  means_->clear();
  legend_->clear();
  const auto count = static_cast<double>(tokenText_->counted());
  for (QLabel* label : {means_, piece_, legend_}) label->setVisible(count > 0);
  if (count == 0) return;
  const double difference = tokenText_->meanAfter() - tokenText_->meanBefore();
  const auto sign = [](double value) { return value < 0 ? QStringLiteral("−") : QStringLiteral("+"); };
  means_->setToolTip(tr("Means and sums over the tokens that are predicted"));
  means_->setText(tr("mean %1 → %2 nats (%3) · total %4 over %5 tokens")
                      .arg(decimalText(tokenText_->meanBefore(), 3), decimalText(tokenText_->meanAfter(), 3),
                           sign(difference) + decimalText(std::abs(difference), 3),
                           sign(difference) + decimalText(std::abs(difference) * count, 2),
                           countText(static_cast<std::int64_t>(count))));
  // Rich text for the two samples of how a sign looks.
  const auto sample = [](const QColor& colour, const QString& words) {
    return QStringLiteral("<span style='background-color:rgba(%1,%2,%3,0.38)'>&nbsp;%4&nbsp;</span>")
        .arg(colour.red())
        .arg(colour.green())
        .arg(colour.blue())
        .arg(words);
  };
  legend_->setTextFormat(Qt::RichText);
  legend_->setText(sample(colours().accent, tr("−%1 dotted").arg(decimalText(tokenText_->range(), 2))) +
                   QStringLiteral(" &nbsp; ") +
                   sample(colours().warning, tr("+%1 nats waved").arg(decimalText(tokenText_->range(), 2))));
}

GenerateSettings TryView::settings() const {
  return {tokens_->value(), temperature_->value(), seed_->value(),
          chat_->isChecked() && !chat_->property("template").toString().isEmpty(), policy_->policy()};
}

QString TryView::prompt() const { return prompt_->toPlainText(); }

void TryView::dragEnterEvent(QDragEnterEvent* event) {
  if (unavailable_.isEmpty() && !localFiles(event->mimeData()).isEmpty()) event->acceptProposedAction();
}

void TryView::dropEvent(QDropEvent* event) {
  const QStringList paths = localFiles(event->mimeData());
  if (paths.isEmpty()) return;
  event->acceptProposedAction();
  Q_EMIT measureRequested(paths);
}

}  // namespace kvista
