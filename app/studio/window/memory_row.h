// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QLabel>
#include <vector>

#include "core/base/error.h"
#include "core/protocol/records.h"

namespace kvista {

/// What a work would take of the memory and whether that is there, in the dialog that starts it.
class MemoryRow final : public QLabel {
  Q_OBJECT

 public:
  /// `method`: the engine's, see memoryAdvice.
  MemoryRow(QString method, QWidget* parent);
  void setForecast(const Result<std::vector<MemoryForecast>>& forecast);
  /// As far as it is known: until it is, nothing is refused.
  [[nodiscard]] bool fits() const { return fits_; }

 private:
  const QString method_;
  bool fits_ = true;
};

}  // namespace kvista
