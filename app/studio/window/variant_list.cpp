// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/variant_list.h"

#include <QHBoxLayout>
#include <QKeySequence>
#include <QListWidget>
#include <QPushButton>
#include <QShortcut>
#include <QVBoxLayout>

#include "app/studio/chosen_experiment.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kListHeight = 68;

}  // namespace

VariantList::VariantList(const Catalogue& catalogue, QWidget* parent)
    : QWidget(parent),
      catalogue_(catalogue),
      list_(new QListWidget(this)),
      add_(new QPushButton(tr("Add variant…"), this)),
      remove_(new QPushButton(tr("Remove"), this)) {
  list_->setObjectName(QStringLiteral("variants"));
  list_->setAccessibleName(tr("Variants of methods"));
  list_->setToolTip(tr("Methods of which some parts are changed: centred, compensated, with equal ranks and so on."));
  list_->setFixedHeight(kListHeight);
  frameList(*list_);
  add_->setObjectName(QStringLiteral("addVariant"));
  add_->setEnabled(false);
  add_->setAutoDefault(false);
  remove_->setObjectName(QStringLiteral("removeVariant"));
  remove_->setAutoDefault(false);
  auto* buttons = new QVBoxLayout;
  for (QPushButton* button : {add_, remove_}) buttons->addWidget(button);
  buttons->addStretch(1);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(8);
  row->addWidget(list_, 1);
  row->addLayout(buttons);
  connect(add_, &QPushButton::clicked, this, [this] {
    asking_([this](const PlanWish& chosen) {
      std::vector<PlanWish> all = variants_;
      all.push_back(chosen);
      setVariants(std::move(all));
    });
  });
  connect(remove_, &QPushButton::clicked, this, &VariantList::remove);
  connect(new QShortcut(QKeySequence::Delete, list_, nullptr, nullptr, Qt::WidgetShortcut), &QShortcut::activated, this,
          &VariantList::remove);
  setVariants({});
}

void VariantList::setVariants(std::vector<PlanWish> variants) {
  variants_ = std::move(variants);
  list_->clear();
  for (const PlanWish& variant : variants_) {
    auto* item = new QListWidgetItem(QString::fromStdString(nameOf(variant, catalogue_)), list_);
    item->setToolTip(item->text());
  }
  list_->setCurrentRow(list_->count() - 1);
  remove_->setEnabled(!variants_.empty());
  Q_EMIT changed();
}

void VariantList::setAsking(Asking asking) {
  asking_ = std::move(asking);
  add_->setEnabled(true);
}

void VariantList::remove() {
  const int row = list_->currentRow();
  if (row < 0) return;
  std::vector<PlanWish> left = variants_;
  left.erase(left.begin() + row);
  setVariants(std::move(left));
}

}  // namespace kvista
