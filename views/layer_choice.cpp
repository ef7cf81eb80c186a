// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/layer_choice.h"

#include <QDialogButtonBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QVBoxLayout>

namespace kvista {

LayerChoice::LayerChoice(const QString& what, int layers, int except, QWidget* parent)
    : QDialog(parent), list_(new QListWidget(this)) {
  setWindowTitle(what);
  list_->setAccessibleName(tr("Layers"));
  for (int layer = 0; layer < layers; ++layer) {
    if (layer == except) continue;
    auto* item = new QListWidgetItem(tr("Layer %1").arg(layer), list_);
    item->setData(Qt::UserRole, layer);
    item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable);
    item->setCheckState(Qt::Checked);
  }
  auto* all = new QPushButton(tr("All"), this);
  auto* none = new QPushButton(tr("None"), this);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
  accept_ = buttons->addButton(tr("Apply"), QDialogButtonBox::AcceptRole);
  accept_->setProperty("primary", true);
  accept_->setDefault(true);
  auto* label = new QLabel(tr("The same groups for these layers; every layer keeps its own bits."), this);
  label->setWordWrap(true);
  auto* row = new QHBoxLayout;
  row->addWidget(all);
  row->addWidget(none);
  row->addStretch();
  row->addWidget(buttons);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(16, 16, 16, 16);
  column->setSpacing(12);
  column->addWidget(label);
  column->addWidget(list_, 1);
  column->addLayout(row);
  connect(all, &QPushButton::clicked, this, [this] { checkAll(Qt::Checked); });
  connect(none, &QPushButton::clicked, this, [this] { checkAll(Qt::Unchecked); });
  connect(list_, &QListWidget::itemChanged, this, [this] { accept_->setEnabled(!chosen().empty()); });
  connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  accept_->setEnabled(list_->count() > 0);
  resize(360, 400);
}

void LayerChoice::checkAll(Qt::CheckState state) {
  for (int row = 0; row < list_->count(); ++row) list_->item(row)->setCheckState(state);
}

std::vector<int> LayerChoice::chosen() const {
  std::vector<int> layers;
  for (int row = 0; row < list_->count(); ++row)
    if (list_->item(row)->checkState() == Qt::Checked) layers.push_back(list_->item(row)->data(Qt::UserRole).toInt());
  return layers;
}

}  // namespace kvista
