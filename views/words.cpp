// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/words.h"

#include <QCoreApplication>
#include <QLabel>
#include <QLocale>
#include <QTranslator>
#include <algorithm>
#include <cmath>

namespace kvista {
namespace {

/// Qt counts by translations only: without one for English every count would be said as "3 file(s)".
class EnglishPlurals final : public QTranslator {
 public:
  using QTranslator::QTranslator;
  [[nodiscard]] bool isEmpty() const override { return false; }
  [[nodiscard]] QString translate(const char*, const char* text, const char*, int count) const override {
    if (count < 0) return {};
    return QString::fromUtf8(text).replace(QLatin1String("(s)"), QLatin1String(count == 1 ? "" : "s"));
  }
};

}  // namespace

void installEnglishPlurals() { QCoreApplication::installTranslator(new EnglishPlurals(QCoreApplication::instance())); }

QString durationText(double seconds) {
  const auto translate = [](const char* text) { return QCoreApplication::translate("kvista::Words", text); };
  const QLocale locale;
  if (!std::isfinite(seconds) || seconds < 0) return {};
  const auto whole = static_cast<qlonglong>(std::llround(seconds));
  if (whole < 60)
    return translate("%1 s").arg(whole < 10 && seconds > 0 && whole != seconds ? locale.toString(seconds, 'f', 1)
                                                                               : locale.toString(whole));
  if (whole < 3600)
    return translate("%1 min %2 s").arg(locale.toString(whole / 60)).arg(whole % 60, 2, 10, QLatin1Char('0'));
  return translate("%1 h %2 min").arg(locale.toString(whole / 3600)).arg(whole % 3600 / 60, 2, 10, QLatin1Char('0'));
}

QLabel* softLabel(const QString& text, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setForegroundRole(QPalette::PlaceholderText);
  return label;
}

QString wholeWords(const QString& text, const QFontMetrics& metrics, int room) {
  const QString between = QStringLiteral(" · ");
  QString some = text;
  while (metrics.horizontalAdvance(some) > room && some.contains(between)) some.truncate(some.lastIndexOf(between));
  if (metrics.horizontalAdvance(some) <= room) return some;
  const auto hasDigits = [](const QString& words) {
    return std::ranges::any_of(words, [](QChar each) { return each.isDigit(); });
  };
  const bool isNumber = hasDigits(some);
  while (some.contains(QLatin1Char(' '))) {
    some.truncate(some.lastIndexOf(QLatin1Char(' ')));
    if (isNumber && !hasDigits(some)) break;  // "of…" says nothing.
    if (const QString shortened = some + QChar(0x2026); metrics.horizontalAdvance(shortened) <= room) return shortened;
  }
  return {};
}

QLabel* emptyState(const QString& text, QWidget* parent) {
  QLabel* label = softLabel(text, parent);
  label->setAlignment(Qt::AlignCenter);
  label->setWordWrap(true);
  label->setMargin(24);
  return label;
}

}  // namespace kvista
