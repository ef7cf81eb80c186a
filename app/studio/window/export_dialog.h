// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <optional>

#include "core/base/error.h"
#include "core/protocol/records.h"
#include "views/policy_choice.h"

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QPushButton;

namespace kvista {

class MemoryRow;

/// Where a plan is written and how. Every change asks for a dry run, and what it would do is shown before it is done.
class ExportDialog final : public QDialog {
  Q_OBJECT

 public:
  ExportDialog(const std::vector<Choice>& forms, const QString& suggestedTarget, QWidget* parent);
  [[nodiscard]] QString form() const;
  [[nodiscard]] QString container() const;  ///< "safetensors" or "gguf".
  [[nodiscard]] QString dtype() const;
  /// Of the tensors that are carried over; empty: as they are.
  [[nodiscard]] QString weightDtype() const;
  /// Most bytes of a weight file; 0 where it is not divided.
  [[nodiscard]] qint64 shardBytes() const;
  [[nodiscard]] QString target() const;
  [[nodiscard]] bool overwrite() const;
  /// That the model code keeps its cache small with, in a line; empty: none.
  [[nodiscard]] QString policy() const;
  void setPolicies(const std::vector<PolicyChoice::Line>& lines) { policy_->setPolicies(lines); }
  /// The dry run has found nothing against it.
  [[nodiscard]] bool canExport() const;
  void showPreview(const Result<ExportPreview>& preview);
  /// What writing would take; what does not fit cannot be written.
  void showMemory(const Result<std::vector<MemoryForecast>>& forecast);
  /// The folder is one of another machine: its path is typed.
  void setElsewhere(bool elsewhere);

 Q_SIGNALS:
  void previewWanted();

 private:
  void ask();
  QComboBox* form_;
  QComboBox* container_;
  QComboBox *dtype_, *weightDtype_;
  PolicyChoice* policy_;
  QDoubleSpinBox* shard_;
  QLineEdit* target_;
  QCheckBox* overwrite_;
  QLabel* formSummary_;
  QLabel* preview_;
  MemoryRow* memory_;
  QPushButton* browse_;
  bool isWritable_ = false;
  QPushButton* write_;
};

}  // namespace kvista
