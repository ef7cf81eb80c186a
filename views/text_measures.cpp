// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/text_measures.h"

#include <QEvent>
#include <QFileDialog>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <numeric>

#include "views/retrieval_tables.h"
#include "views/segmented_control.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kLeastText = 100;

}  // namespace

TextMeasures::TextMeasures(QWidget* parent)
    : QWidget(parent),
      which_(new SegmentedControl(
          {{QStringLiteral("perplexity"), tr("Perplexity")}, {QStringLiteral("retrieval"), tr("Retrieval")}},
          tr("What is measured on texts"), this)),
      measure_(new QPushButton(tr("Perplexity on file…"), this)),
      pages_(new QStackedWidget(this)),
      evaluations_(new EvaluationsModel(this)),
      table_(new QTableView(this)),
      empty_(softLabel(tr("What does the plan cost? The original and the plan read the same text; their perplexities "
                          "are listed here."),
                       this)),
      retrieval_(new RetrievalTables(this)) {
  which_->segment(QStringLiteral("retrieval"))->setObjectName(QStringLiteral("showRetrieval"));
  table_->setModel(evaluations_);
  table_->setObjectName(QStringLiteral("perplexities"));
  table_->setAccessibleName(tr("Perplexities"));
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setProperty("headerPadding", 4);
  table_->setShowGrid(false);
  table_->setWordWrap(false);
  table_->setTabKeyNavigation(false);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(28);
  table_->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  table_->horizontalHeader()->setSectionResizeMode(EvaluationsModel::text, QHeaderView::Fixed);
  table_->horizontalHeader()->setHighlightSections(false);
  for (const int column : {EvaluationsModel::policy, EvaluationsModel::underPolicy})
    table_->setColumnHidden(column, true);
  table_->viewport()->installEventFilter(this);
  empty_->setWordWrap(true);
  empty_->setAlignment(Qt::AlignLeft | Qt::AlignTop);
  pages_->addWidget(table_);
  pages_->addWidget(retrieval_);
  pages_->addWidget(empty_);
  auto* line = new QHBoxLayout;
  line->addWidget(which_);
  line->addStretch();
  line->addWidget(measure_);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(6);
  column->addLayout(line);
  column->addWidget(pages_, 1);
  connect(which_, &SegmentedControl::chosen, this, [this](const QString& id) {
    showPage(id == QLatin1String("perplexity") ? Page::perplexity : Page::retrieval);
  });
  connect(retrieval_, &RetrievalTables::testRequested, this, &TextMeasures::retrievalRequested);
  connect(measure_, &QPushButton::clicked, this, &TextMeasures::askForFiles);
  showPage();
}

void TextMeasures::showPage(Page page) {
  page_ = page;
  showPage();
}

void TextMeasures::showPage() {
  const bool perplexity = page_ == Page::perplexity;
  which_->setCurrent(perplexity ? QStringLiteral("perplexity") : QStringLiteral("retrieval"));
  pages_->setCurrentWidget(!perplexity                    ? retrieval_
                           : evaluations_->rowCount() > 0 ? static_cast<QWidget*>(table_)
                                                          : empty_);
  measure_->setVisible(perplexity);
}

void TextMeasures::askForFiles() {
  if (elsewhere_) return Q_EMIT filesWanted();
  auto* dialog =
      new QFileDialog(window(), tr("Perplexity on file"), {}, tr("Text (*.txt *.md *.jsonl);;All files (*)"));
  dialog->setFileMode(QFileDialog::ExistingFiles);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QFileDialog::filesSelected, this, &TextMeasures::measureRequested);
  dialog->open();
}

void TextMeasures::setAvailable(bool available) {
  measure_->setEnabled(available);
  retrieval_->setAvailable(available);
}

void TextMeasures::setRetrieval(const RetrievalTable& original, const RetrievalTable& plan) {
  retrieval_->setTables(original, plan);
}

void TextMeasures::setEvaluations(const std::vector<EvaluationRow>& rows) {
  evaluations_->setRows(rows);
  const bool anyPolicy = std::ranges::any_of(rows, [](const EvaluationRow& row) { return !row.policy.isEmpty(); });
  table_->setColumnHidden(EvaluationsModel::underPolicy, !anyPolicy);
  showPage();
  fitColumns();
}

void TextMeasures::fitColumns() {
  const QAbstractItemView& cells = *table_;
  const QHeaderView& header = *table_->horizontalHeader();
  table_->setColumnHidden(EvaluationsModel::predictions, false);
  const auto widthOf = [&](int column) {
    return header.isSectionHidden(column) ? 0
                                          : std::max(cells.sizeHintForColumn(column), header.sectionSizeHint(column));
  };
  int room = table_->viewport()->width();
  for (int column = 0; column < EvaluationsModel::columns; ++column)
    if (column != EvaluationsModel::text) room -= widthOf(column);
  if (room < kLeastText) {
    room += widthOf(EvaluationsModel::predictions);
    table_->setColumnHidden(EvaluationsModel::predictions, true);
  }
  table_->setColumnWidth(EvaluationsModel::text, std::max(room, kLeastText));
}

bool TextMeasures::eventFilter(QObject* watched, QEvent* event) {
  if (watched == table_->viewport() && event->type() == QEvent::Resize) fitColumns();
  return QWidget::eventFilter(watched, event);
}

PlainTable TextMeasures::plainTable() const {
  std::vector<int> rows(static_cast<std::size_t>(evaluations_->rowCount()));
  std::iota(rows.begin(), rows.end(), 0);
  return kvista::plainTable(*evaluations_, rows, EvaluationsModel::plainRole);
}

}  // namespace kvista
