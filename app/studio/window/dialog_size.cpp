// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/dialog_size.h"

#include <QScreen>

namespace kvista {
namespace {

constexpr QSize kFrame(16, 48);

}  // namespace

void resizeToScreen(QDialog& dialog, QSize size) {
  dialog.resize(size.boundedTo(dialog.screen()->availableSize() - kFrame));
}

}  // namespace kvista
