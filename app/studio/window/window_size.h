// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QSize>
#include <QWidget>

namespace kvista {

/// Makes a window this large, or as large as its screen has room for beside the frame that the desktop adds.
void resizeToScreen(QWidget& window, QSize size);

}  // namespace kvista
