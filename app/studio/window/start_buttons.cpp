// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/start_buttons.h"

#include "views/theme.h"

namespace kvista {

StartButtons startButtons(QDialog& dialog, const QString& text) {
  auto* box = new QDialogButtonBox(QDialogButtonBox::Cancel, &dialog);
  QPushButton* start = box->addButton(text, QDialogButtonBox::AcceptRole);
  start->setObjectName(QStringLiteral("startButton"));
  markPrimary(start);
  start->setDefault(true);
  QObject::connect(box, &QDialogButtonBox::accepted, &dialog, &QDialog::accept);
  QObject::connect(box, &QDialogButtonBox::rejected, &dialog, &QDialog::reject);
  return {box, start};
}

}  // namespace kvista
