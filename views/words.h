// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>

class QFontMetrics;
class QLabel;
class QWidget;

namespace kvista {

/// "8 s", "3 min 20 s", "1 h 05 min".
QString durationText(double seconds);
/// From here on the application says "1 file" and "2 files" where its source says "%n file(s)". Translations that are
/// installed later come first.
void installEnglishPlurals();
/// As much of a remark as has room, with whole words and numbers: its later parts, after " · ", go first, then its last
/// words for "…". A number that is cut would say another one.
QString wholeWords(const QString& text, const QFontMetrics& metrics, int room);
/// Quiet words in the middle of a view that has nothing to show: what would be here and how it comes.
QLabel* emptyState(const QString& text, QWidget* parent);
/// A label in the colour of quiet text.
QLabel* softLabel(const QString& text, QWidget* parent);

}  // namespace kvista
