// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

#include "app/studio/window/sharing_dialog.h"
#include "core/base/error.h"
#include "core/plan/plan.h"
#include "core/protocol/records.h"

class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;

namespace kvista {

class MemoryRow;
class PlanOptions;

/// Asks by which method, with which of its parts changed, and for what target a plan shall be made anew.
class PlanDialog final : public QDialog {
  Q_OBJECT

 public:
  /// Begins with the method and the target of `plan`, and with the parts in which it differs from its method.
  PlanDialog(const Catalogue& catalogue, const CompressionPlan& plan, QWidget* parent);
  /// What is asked for: of the method's own parts nothing is said, and nothing that the method cannot do.
  [[nodiscard]] PlanWish wish() const;
  /// What planning would take; where that does not fit it cannot be started.
  void showMemory(const Result<std::vector<MemoryForecast>>& forecast);
  /// Asks for a method with parts changed alone, to be compared with others: not for its target.
  void askForVariant();
  /// Who finds out which layers can share a cache; without it maps are made by hand or come from files.
  void setSharing(AskSharing ask);

 private:
  void addMethod();
  void addTarget();
  void check();
  [[nodiscard]] const MethodChoice* method() const;

  const std::vector<MethodChoice> methods_;
  QFormLayout* form_;
  QComboBox* method_;
  QLineEdit* typed_;
  QLabel *why_, *summary_, *reason_;
  PlanOptions* options_;
  MemoryRow* memory_;
  QPushButton* start_;
  bool isVariant_ = false;
  const Target given_;
  Target target_;
};

}  // namespace kvista
