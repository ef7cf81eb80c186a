// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QRgb>
#include <QString>
#include <array>
#include <vector>

namespace kvista {

/// Lightness rises evenly along each (for `difference`: moves evenly away from the ground's to both sides of zero), and
/// none needs red told from green: they can be read by colour-blind eyes and in grey print.
enum class ColourMap { viridis, cividis, grey, difference };

using ColourTable = std::array<QRgb, 256>;

/// Opaque colours from the low end to the high. Those of differences depend on the look: ask again when the theme
/// changes.
const ColourTable& colourTable(ColourMap map, bool inverted);
/// Black or white, whichever is read better on `ground`: WCAG's relative luminance, on 0.179 of which both have the
/// same contrast.
QColor wordsOn(const QColor& ground);
QString colourMapName(ColourMap map);
/// The same in any language.
QString colourMapId(ColourMap map);
/// Those for values that are no differences.
const std::vector<ColourMap>& colourMaps();

}  // namespace kvista
