// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QSize>
#include <QString>
#include <functional>

#include "core/base/error.h"

class QPainter;
class QRectF;

namespace kvista {

/// Draws a figure for paper, light whatever the window is, into a PNG (at three times the size), SVG or PDF, by the
/// file's ending. `size` is in pixels of the screen. Errors: invalidArgument for another ending, io.
Result<void> writeFigure(const QString& file, const QSize& size,
                         const std::function<void(QPainter&, const QRectF&)>& draw);

}  // namespace kvista
