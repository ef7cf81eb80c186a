// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/sharing_row.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>

#include "views/words.h"

namespace kvista {

SharingRow::SharingRow(int layers, std::vector<int> given, QWidget* parent)
    : QWidget(parent),
      layers_(layers),
      given_(std::move(given)),
      words_(softLabel({}, this)),
      change_(new QPushButton(tr("Change…"), this)) {
  words_->setObjectName(QStringLiteral("sharing"));
  change_->setObjectName(QStringLiteral("changeSharing"));
  change_->setAccessibleName(tr("Change which layers share a cache"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(8);
  row->addWidget(words_, 1);
  row->addWidget(change_);
  connect(change_, &QPushButton::clicked, this, &SharingRow::change);
}

std::vector<int> SharingRow::map() const { return change_->isEnabled() ? map_ : std::vector<int>(); }

void SharingRow::allow(const QString& reason, bool isFound) {
  const QString problem = layers_ > 1 ? reason : tr("One layer has no other to read.");
  isFound_ = isFound;
  change_->setEnabled(problem.isEmpty());
  change_->setToolTip(problem.isEmpty() ? tr("Layers that read the cache of another store nothing themselves.")
                                        : problem);
  const std::vector<int> shared = map();
  words_->setText(map_.empty() && isFound ? tr("as many layers read another's as the target needs")
                                          : sharingInWords(shared, shared.empty() ? std::nullopt : cosine_));
}

void SharingRow::change() {
  auto* dialog = new SharingDialog(layers_, map_.empty() && isFound_ ? given_ : map_, ask_, window());
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog] {
    map_ = dialog->map();
    cosine_ = dialog->cosine();
    Q_EMIT changed();
  });
  dialog->open();
}

}  // namespace kvista
