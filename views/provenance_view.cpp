// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/provenance_view.h"

#include <QApplication>
#include <QClipboard>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QShortcut>
#include <QStackedLayout>
#include <QStandardItemModel>
#include <QTreeView>
#include <QVBoxLayout>

#include "views/theme.h"
#include "views/words.h"

namespace kvista {

ProvenanceView::ProvenanceView(QWidget* parent)
    : View(parent),
      facts_(new QStandardItemModel(this)),
      tree_(new QTreeView(this)),
      empty_(emptyState(
          tr("Nothing open.\nHashes, data, seeds, versions and devices behind every number are listed here."), this)),
      copy_(new QPushButton(tr("Copy all"), this)) {
  setTitle(tr("Provenance"));
  facts_->setColumnCount(2);
  tree_->setModel(facts_);
  tree_->setHeaderHidden(true);
  tree_->setIndentation(0);
  tree_->setRootIsDecorated(false);
  tree_->setItemsExpandable(false);
  tree_->setExpandsOnDoubleClick(false);
  tree_->setSelectionMode(QAbstractItemView::ExtendedSelection);
  tree_->setTextElideMode(Qt::ElideMiddle);
  tree_->setAllColumnsShowFocus(true);
  tree_->setTabKeyNavigation(false);
  tree_->setAccessibleName(tr("Provenance"));
  tree_->header()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
  tree_->header()->setStretchLastSection(true);
  copy_->setProperty("quiet", true);
  copy_->setEnabled(false);
  auto* stack = new QStackedLayout(this);
  stack->addWidget(empty_);
  // A stack has no margins of its own.
  auto* page = new QWidget(this);
  auto* margins = new QVBoxLayout(page);
  margins->setContentsMargins(12, 4, 4, 8);
  margins->addWidget(tree_);
  stack->addWidget(page);
  connect(&Theme::instance(), &Theme::changed, this, &ProvenanceView::fill);
  connect(copy_, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(text()); });
  auto* shortcut = new QShortcut(QKeySequence::Copy, tree_, nullptr, nullptr, Qt::WidgetShortcut);
  connect(shortcut, &QShortcut::activated, this, &ProvenanceView::copySelection);
}

QWidget* ProvenanceView::controls() { return copy_; }

void ProvenanceView::setRecord(const std::vector<ProvenanceSection>& sections) {
  if (sections == sections_) return;
  sections_ = sections;
  fill();
}

void ProvenanceView::fill() {
  facts_->removeRows(0, facts_->rowCount());
  for (const ProvenanceSection& section : sections_) {
    auto* head = new QStandardItem(section.title);
    head->setFont(textFont(TextRole::title));
    head->setFlags(Qt::ItemIsEnabled);
    for (const auto& [name, value] : section.facts) {
      auto* key = new QStandardItem(name);
      auto* fact = new QStandardItem(value);
      key->setForeground(colours().soft);
      fact->setToolTip(value);
      for (QStandardItem* item : {key, fact}) item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable);
      head->appendRow({key, fact});
    }
    facts_->appendRow(head);
    tree_->setFirstColumnSpanned(facts_->rowCount() - 1, {}, true);
  }
  tree_->expandAll();
  copy_->setEnabled(!sections_.empty());
  static_cast<QStackedLayout*>(layout())->setCurrentIndex(sections_.empty() ? 0 : 1);
}

QString ProvenanceView::text() const {
  QString lines;
  for (const ProvenanceSection& section : sections_) {
    lines += section.title + QLatin1Char('\n');
    for (const auto& [name, value] : section.facts) lines += name + QLatin1Char('\t') + value + QLatin1Char('\n');
  }
  return lines;
}

PlainTable ProvenanceView::plainTable() const {
  PlainTable table{{tr("Section"), tr("Fact"), tr("Value")}, {}};
  for (const ProvenanceSection& section : sections_)
    for (const auto& [name, value] : section.facts) table.rows.push_back({section.title, name, value});
  return table;
}

void ProvenanceView::copySelection() const {
  QStringList lines;
  for (const QModelIndex& key : tree_->selectionModel()->selectedRows(0))
    lines << key.data().toString() + QLatin1Char('\t') + key.siblingAtColumn(1).data().toString();
  if (!lines.isEmpty()) QApplication::clipboard()->setText(lines.join(QLatin1Char('\n')));
}

}  // namespace kvista
