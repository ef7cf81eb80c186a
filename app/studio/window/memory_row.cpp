// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/memory_row.h"

#include <utility>

#include "app/studio/memory_words.h"

namespace kvista {

MemoryRow::MemoryRow(QString method, QWidget* parent)
    : QLabel(tr("being worked out"), parent), method_(std::move(method)) {
  setObjectName(QStringLiteral("memory"));
  setWordWrap(true);
}

void MemoryRow::setForecast(const Result<std::vector<MemoryForecast>>& forecast) {
  const MemoryWords words = memoryWords(forecast);
  fits_ = words.fits;
  setText(fits_ ? words.text : tr("%1\nThat is more than there is. %2").arg(words.text, memoryAdvice(method_)));
  setForegroundRole(fits_ ? QPalette::PlaceholderText : QPalette::WindowText);
}

}  // namespace kvista
