// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/lab_cells.h"

#include <QFileInfo>
#include <cmath>

#include "views/number_text.h"
#include "views/plain_table.h"

namespace kvista {
namespace {

constexpr qsizetype kShown = 90;  // Characters of a text in a cell.

QString line(const QString& text, bool end) {
  const QString flat = text.simplified();
  if (flat.size() <= kShown) return flat;
  return end ? QStringLiteral("…") + flat.right(kShown) : flat.left(kShown) + QStringLiteral("…");
}

}  // namespace

QString signedText(double value, int decimals) {
  const QString size = decimalText(std::abs(value), decimals);
  if (size == decimalText(0, decimals)) return size;
  return (value < 0 ? QStringLiteral("−") : value > 0 ? QStringLiteral("+") : QString()) + size;
}
LabCell number(double value, const QString& text) { return {text, plainNumber(value)}; }
LabCell percent(double part) { return number(part, decimalText(100 * part, 1)); }
LabCell none() { return {QStringLiteral("–"), QStringLiteral("")}; }
LabCell count(std::int64_t value) { return {countText(value), QString::number(value)}; }

LabCell words(const std::string& text, bool end) {
  const QString whole = QString::fromStdString(text);
  return {line(whole, end), whole, whole};
}
LabCell token(const std::string& text) {
  QString shown = QString::fromStdString(text);
  const QString whole = shown;
  shown.replace(QLatin1Char('\n'), QStringLiteral("⏎"));
  return {QStringLiteral("“%1”").arg(shown), whole};
}
LabCell file(const std::string& path) {
  const QString whole = QString::fromStdString(path);
  return {QFileInfo(whole).fileName(), whole, whole};
}

}  // namespace kvista
