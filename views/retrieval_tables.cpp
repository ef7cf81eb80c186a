// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/retrieval_tables.h"

#include <QComboBox>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QSignalBlocker>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>
#include <numeric>

#include "views/elided_label.h"
#include "views/number_text.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

double meanOf(const Matrix& matrix) {
  return std::accumulate(matrix.values.begin(), matrix.values.end(), 0.0) / static_cast<double>(std::max<std::size_t>(1, matrix.values.size()));
}

}  // namespace

RetrievalTables::RetrievalTables(QWidget* parent)
    : QWidget(parent),
      kind_(new QComboBox(this)),
      test_(new QPushButton(tr("Test retrieval"), this)),
      original_(new RetrievalModel(this)),
      plan_(new RetrievalModel(this)),
      tables_(new QWidget(this)),
      empty_(softLabel(tr("Does what stands far back in a long text still come out? The original and the plan are asked the same."), this)),
      facts_(new ElidedLabel(this)),
      other_(new ElidedLabel(tables_)) {
  empty_->setWordWrap(true);
  empty_->setAlignment(Qt::AlignLeft | Qt::AlignTop);
  test_->setObjectName(QStringLiteral("testRetrieval"));
  test_->setToolTip(tr("Plants sentences in the calibration's text, at several depths of several lengths, and asks for them at the end"));
  const auto add = [&](RetrievalKind kind, const QString& name, const QString& what) {
    kind_->addItem(name, static_cast<int>(kind));
    kind_->setItemData(kind_->count() - 1, what, Qt::ToolTipRole);
  };
  add(RetrievalKind::needle, tr("One number"), tr("A sentence with a random number"));
  add(RetrievalKind::multiKey, tr("One of four numbers"), tr("Sentences with a key and a number each; the number of one key is asked for (RULER)"));
  add(RetrievalKind::variableTracking, tr("A chain of variables"), tr("Assignments from one variable to the next; all that have the value are asked for (RULER)"));
  kind_->setObjectName(QStringLiteral("retrievalKind"));
  kind_->setAccessibleName(tr("What is planted in the text"));
  facts_->setObjectName(QStringLiteral("retrievalFacts"));
  other_->setObjectName(QStringLiteral("retrievalOther"));
  original_->setObjectName(QStringLiteral("retrievalOfOriginal"));
  plan_->setObjectName(QStringLiteral("retrievalOfPlan"));
  auto* line = new QHBoxLayout;
  line->setSpacing(8);
  line->addWidget(kind_);
  line->addStretch(1);
  line->addWidget(test_);
  auto* sides = new QGridLayout(tables_);
  sides->setContentsMargins(0, 0, 0, 0);
  sides->setHorizontalSpacing(12);
  sides->setVerticalSpacing(4);
  sides->addWidget(softLabel(tr("Original, by depth and length"), tables_), 0, 0);
  sides->addWidget(other_, 0, 1);
  sides->addWidget(makeTable(tr("Retrieval by the original, by depth and length"), original_), 1, 0);
  sides->addWidget(makeTable(tr("Retrieval by the plan, by depth and length"), plan_), 1, 1);
  tables_->hide();
  facts_->hide();
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(6);
  column->addLayout(line);
  column->addWidget(facts_);
  column->addWidget(tables_, 1);
  column->addWidget(empty_, 1);
  connect(kind_, &QComboBox::currentIndexChanged, this, [this] { setTables({}, {}); });
  connect(test_, &QPushButton::clicked, this, [this] { Q_EMIT testRequested(kind()); });
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
  table->horizontalHeader()->setMinimumSectionSize(28);
  table->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  for (QHeaderView* header : {table->horizontalHeader(), table->verticalHeader()}) header->setFont(textFont(TextRole::axis));
  table->horizontalHeader()->setHighlightSections(false);
  table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
  table->verticalHeader()->setDefaultSectionSize(2 * table->fontMetrics().height() + 4);
  table->verticalHeader()->setHighlightSections(false);
  return table;
}

void RetrievalTables::setAvailable(bool available) { test_->setEnabled(available); }

RetrievalKind RetrievalTables::kind() const { return static_cast<RetrievalKind>(kind_->currentData().toInt()); }

void RetrievalTables::setTables(const RetrievalTable& original, const RetrievalTable& plan) {
  float range = 0;
  for (const RetrievalTable* each : {&original, &plan})
    for (const float loss : each->loss.values) range = std::max(range, loss);
  original_->setTable(original, range);
  plan_->setTable(plan, range);
  other_->setText(plan.name.isEmpty() ? tr("Plan") : plan.name);
  const bool known = original_->rowCount() > 0 && plan_->rowCount() > 0;
  if (const QSignalBlocker quiet(kind_); known) kind_->setCurrentIndex(kind_->findData(static_cast<int>(original.kind)));
  tables_->setVisible(known);
  facts_->setVisible(known);
  empty_->setVisible(!known);
  facts_->setText(known ? tr("found %1 → %2 · mean %3 → %4 nats")
                              .arg(percentText(meanOf(original.found), 0), percentText(meanOf(plan.found), 0), decimalText(meanOf(original.loss), 2),
                                   decimalText(meanOf(plan.loss), 2))
                        : QString());
}

}  // namespace kvista
