// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QSize>

namespace kvista {

/// Makes a dialog this large, or as large as its screen has room for beside the frame that the desktop adds.
void resizeToScreen(QDialog& dialog, QSize size);

}  // namespace kvista
