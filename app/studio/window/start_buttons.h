// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QDialogButtonBox>
#include <QPushButton>

namespace kvista {

/// Cancel beside the button that a dialog is for, `startButton`, which Return presses; both close the dialog.
struct StartButtons {
  QDialogButtonBox* box;
  QPushButton* start;
};
StartButtons startButtons(QDialog& dialog, const QString& text);

}  // namespace kvista
