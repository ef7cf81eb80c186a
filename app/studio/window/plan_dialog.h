// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

#include "core/base/error.h"
#include "core/plan/plan.h"
#include "core/protocol/records.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;

namespace kvista {

class MemoryRow;

/// Asks by which method, and for what target, a plan shall be made anew.
class PlanDialog final : public QDialog {
  Q_OBJECT

 public:
  /// Begins with the method and the target of `plan`.
  PlanDialog(const std::vector<MethodChoice>& methods, const CompressionPlan& plan, QWidget* parent);
  [[nodiscard]] QString method() const;
  [[nodiscard]] Target target() const { return target_; }
  /// Whether the plan shall be compensated where that helps; never by a method that cannot be.
  [[nodiscard]] bool compensate() const;
  /// What planning would take; where that does not fit it cannot be started.
  void showMemory(const Result<std::vector<MemoryForecast>>& forecast);

 private:
  void check();
  QComboBox* method_;
  QCheckBox* compensate_;
  QLineEdit* typed_;
  QLabel *summary_, *reason_;
  MemoryRow* memory_;
  QPushButton* start_;
  const Target given_;
  Target target_;
};

}  // namespace kvista
