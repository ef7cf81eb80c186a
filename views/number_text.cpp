// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/number_text.h"

#include <QCoreApplication>
#include <QLocale>
#include <algorithm>
#include <cmath>

namespace kvista {
namespace {

const QChar kMinus(0x2212), kNarrowSpace(0x00A0);

/// A minus as long as a plus, where the locale has a hyphen.
/// Whether nothing of a number is left but zeros: such a one has no sign.
bool isZero(const QString& text) {
  return std::none_of(text.begin(), text.end(), [](QChar each) { return each.isDigit() && each.digitValue() != 0; });
}

QString withMinus(QString text) {
  if (text.startsWith(QLatin1Char('-')) && isZero(text)) return text.mid(1);
  if (text.startsWith(QLatin1Char('-'))) text[0] = kMinus;
  return text;
}

}  // namespace

QString bytesText(std::int64_t bytes) {
  return QCoreApplication::translate("NumberText", "%1 B")
      .arg(countText(bytes))
      .replace(QLatin1Char(' '), kNarrowSpace);
}

QString countText(std::int64_t count) { return withMinus(QLocale().toString(static_cast<qlonglong>(count))); }

QString decimalText(double value, int decimals) { return withMinus(QLocale().toString(value, 'f', decimals)); }

QString significantText(double value, int digits) {
  return withMinus(QLocale().toString(value, 'g', digits).replace(QStringLiteral("e-0"), QStringLiteral("e-")));
}

QString changeText(double relative) {
  const double percent = 100 * relative;
  const double size = std::abs(percent);
  const int decimals = size > 0 && size < 0.1 ? 2 : size < 100 ? 1 : 0;
  const QString digits = QLocale().toString(size, 'f', decimals);
  const QString sign = percent < 0 && !isZero(digits) ? QString(kMinus) : QStringLiteral("+");
  return sign + digits + kNarrowSpace + QLatin1Char('%');
}

QString percentText(double part, int decimals) {
  return decimalText(100 * part, decimals) + kNarrowSpace + QLatin1Char('%');
}

QString powerText(int exponent) { return exponent == 0 ? QStringLiteral("1") : QStringLiteral("1e%1").arg(exponent); }

}  // namespace kvista
