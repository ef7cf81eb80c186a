// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/retrieval_tables.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>
#include <numeric>

#include "views/number_text.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

double meanOf(const Matrix& matrix) {
  return std::accumulate(matrix.values.begin(), matrix.values.end(), 0.0) /
         static_cast<double>(std::max<std::size_t>(1, matrix.values.size()));
}

QString plantedText(const RetrievalTable& table) {
  switch (table.kind) {
    case RetrievalKind::needle:
      return RetrievalTables::tr("one number");
    case RetrievalKind::multiKey:
      return RetrievalTables::tr("one of %Ln number(s)", nullptr, table.planted);
    case RetrievalKind::variableTracking:
      return RetrievalTables::tr("a chain of %Ln variable(s)", nullptr, table.planted);
  }
  return {};
}

}  // namespace

RetrievalTables::RetrievalTables(QWidget* parent)
    : QWidget(parent),
      test_(new QPushButton(tr("Test retrieval…"), this)),
      original_(new RetrievalModel(this)),
      plan_(new RetrievalModel(this)),
      tables_(new QWidget(this)),
      empty_(softLabel(
          tr("Does what stands far back in a long text still come out? The original and the plan are asked the same."),
          this)),
      facts_(softLabel({}, this)),
      other_(softLabel({}, tables_)) {
  empty_->setWordWrap(true);
  empty_->setAlignment(Qt::AlignLeft | Qt::AlignTop);
  test_->setObjectName(QStringLiteral("testRetrieval"));
  test_->setToolTip(
      tr("Plants sentences in a text, at several depths of several lengths, and asks for them at the end"));
  for (QLabel* label : {facts_, other_}) label->setWordWrap(true);  // Nothing of their numbers is cut.
  facts_->setObjectName(QStringLiteral("retrievalFacts"));
  other_->setObjectName(QStringLiteral("retrievalOther"));
  original_->setObjectName(QStringLiteral("retrievalOfOriginal"));
  plan_->setObjectName(QStringLiteral("retrievalOfPlan"));
  auto* line = new QHBoxLayout;
  line->setSpacing(8);
  line->addWidget(facts_, 1);
  line->addWidget(test_);
  auto* sides = new QGridLayout(tables_);
  sides->setContentsMargins(0, 0, 0, 0);
  sides->setHorizontalSpacing(12);
  sides->setVerticalSpacing(4);
  auto* original = softLabel(tr("Original, by depth and length"), tables_);
  original->setWordWrap(true);
  sides->addWidget(original, 0, 0, Qt::AlignBottom);
  sides->addWidget(other_, 0, 1, Qt::AlignBottom);
  for (const int column : {0, 1}) sides->setColumnStretch(column, 1);
  sides->addWidget(makeTable(tr("Retrieval by the original, by depth and length"), original_), 1, 0);
  sides->addWidget(makeTable(tr("Retrieval by the plan, by depth and length"), plan_), 1, 1);
  tables_->hide();
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(6);
  column->addLayout(line);
  column->addWidget(tables_, 1);
  column->addWidget(empty_, 1);
  connect(test_, &QPushButton::clicked, this, &RetrievalTables::testRequested);
}

QTableView* RetrievalTables::makeTable(const QString& name, RetrievalModel* model) {
  auto* table = new QTableView(tables_);
  table->setModel(model);
  table->setObjectName(model->objectName());
  table->setAccessibleName(name);
  table->setTabKeyNavigation(false);
  table->setSelectionMode(QAbstractItemView::SingleSelection);
  table->setFont(textFont(TextRole::axis));
  table->setProperty("headerPadding", 2);
  table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  for (QHeaderView* header : {table->horizontalHeader(), table->verticalHeader()})
    header->setFont(textFont(TextRole::axis));
  table->horizontalHeader()->setMinimumSectionSize(
      QFontMetrics(textFont(TextRole::axis)).horizontalAdvance(percentText(1, 0)) + 16);
  table->horizontalHeader()->setHighlightSections(false);
  table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
  table->verticalHeader()->setDefaultSectionSize(2 * table->fontMetrics().height() + 4);
  table->verticalHeader()->setHighlightSections(false);
  return table;
}

void RetrievalTables::setAvailable(bool available) { test_->setEnabled(available); }

void RetrievalTables::setTables(const RetrievalTable& original, const RetrievalTable& plan) {
  float range = 0;
  for (const RetrievalTable* each : {&original, &plan})
    for (const float loss : each->loss.values) range = std::max(range, loss);
  original_->setTable(original, range);
  plan_->setTable(plan, range);
  other_->setText(plan.name.isEmpty() ? tr("Plan") : plan.name);
  const bool known = original_->rowCount() > 0 && plan_->rowCount() > 0;
  tables_->setVisible(known);
  empty_->setVisible(!known);
  facts_->setText(known ? tr("%1: found %2 → %3 · mean %4 → %5 nats")
                              .arg(plantedText(original), percentText(meanOf(original.found), 0),
                                   percentText(meanOf(plan.found), 0), decimalText(meanOf(original.loss), 2),
                                   decimalText(meanOf(plan.loss), 2))
                        : QString());
}

}  // namespace kvista
