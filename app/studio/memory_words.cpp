// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/memory_words.h"

#include <QCoreApplication>
#include <QLocale>
#include <QStringList>

namespace kvista {
namespace {

QString translate(const char* text) { return QCoreApplication::translate("kvista::MemoryWords", text); }

}  // namespace

MemoryWords memoryWords(const Result<std::vector<MemoryForecast>>& forecast) {
  if (!forecast) return {QString::fromStdString(forecast.error().message)};
  MemoryWords words;
  QStringList lines;
  const auto size = [](std::int64_t bytes) { return QLocale().formattedDataSize(bytes, 1, QLocale::DataSizeSIFormat); };
  for (const MemoryForecast& each : *forecast) {
    const QString device = QString::fromStdString(each.device);
    words.fits = words.fits && (!each.bytesFree || each.bytesNeeded <= *each.bytesFree);
    lines << (each.bytesFree
                  ? translate("about %1 of %2 free on %3").arg(size(each.bytesNeeded), size(*each.bytesFree), device)
                  : translate("about %1 on %2").arg(size(each.bytesNeeded), device));
  }
  words.text = lines.join(QLatin1Char('\n'));
  return words;
}

QString memoryAdvice(const QString& method) {
  if (method == QStringLiteral("refine"))
    return translate("Take fewer windows a step, shorter ones, or an engine with more memory.");
  if (method == QStringLiteral("calibrate") || method == QStringLiteral("evaluate"))
    return translate("Take shorter windows, or an engine with more memory.");
  return translate("Close other programs, or take an engine with more memory.");
}

}  // namespace kvista
