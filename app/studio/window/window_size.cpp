// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/window_size.h"

#include <QScreen>

namespace kvista {
namespace {

constexpr QSize kFrame(16, 48);

}  // namespace

void resizeToScreen(QWidget& window, QSize size) {
  window.resize(size.boundedTo(window.screen()->availableSize() - kFrame));
}

}  // namespace kvista
