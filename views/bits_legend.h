// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QRectF>
#include <QString>

class QPainter;

namespace kvista {

/// Of directions that are kept, as bands show them.
inline constexpr int kShownWidths[] = {16, 8, 6, 4, 3, 2, 1};

/// "8 bit", "dropped" for none.
QString bitsText(int width);

/// What the colours of the waterline mean, in a row that begins `indent` from its left, or at its left where there is
/// no room. `coded`: with all widths; otherwise what is kept has 16 bits.
void paintBitsLegend(QPainter& painter, const QRectF& row, double indent, bool coded);

}  // namespace kvista
