// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/memory_words.h"

#include <QCoreApplication>
#include <QLocale>
#include <QStringList>

namespace kvista {

MemoryWords memoryWords(const Result<std::vector<MemoryForecast>>& forecast, const QString& advice) {
  const auto translate = [](const char* text) { return QCoreApplication::translate("kvista::MemoryWords", text); };
  if (!forecast) return {QString::fromStdString(forecast.error().message)};
  MemoryWords words;
  QStringList lines;
  const auto size = [](std::int64_t bytes) { return QLocale().formattedDataSize(bytes, 1, QLocale::DataSizeSIFormat); };
  for (const MemoryForecast& each : *forecast) {
    const QString device = QString::fromStdString(each.device);
    words.fits = words.fits && (!each.bytesFree || each.bytesNeeded <= *each.bytesFree);
    lines << (each.bytesFree ? translate("about %1 of %2 free on %3").arg(size(each.bytesNeeded), size(*each.bytesFree), device)
                             : translate("about %1 on %2").arg(size(each.bytesNeeded), device));
  }
  if (!words.fits) lines << translate("That is more than there is: %1.").arg(advice);
  words.text = lines.join(QLatin1Char('\n'));
  return words;
}

}  // namespace kvista
