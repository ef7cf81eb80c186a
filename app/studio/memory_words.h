// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "core/base/error.h"
#include "core/protocol/records.h"

namespace kvista {

/// What a work would take, a line a device, or why that is not known.
struct MemoryWords {
  QString text;
  bool fits = true;  ///< As far as it is known.
};
MemoryWords memoryWords(const Result<std::vector<MemoryForecast>>& forecast);

/// What to do where `method` of the engine (calibrate, makePlan, evaluate, refine or export) does not fit, as a
/// sentence.
QString memoryAdvice(const QString& method);

}  // namespace kvista
