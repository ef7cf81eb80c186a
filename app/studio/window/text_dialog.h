// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

#include "core/protocol/records.h"
#include "views/policy_choice.h"

class QCheckBox;
class QDialogButtonBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QSpinBox;

namespace kvista {

class FileList;
class MemoryRow;

/// Asks which tokens of which texts a pass shall read: for calibration, and for measuring.
class TextDialog final : public QDialog {
  Q_OBJECT

 public:
  enum class Purpose { calibrate, measure };
  TextDialog(Purpose purpose, const ModelRecord& model, const TextSelection& before, QWidget* parent);
  [[nodiscard]] TextSelection selection() const;
  /// Whether the pass shall go backwards too; always true but for calibration.
  [[nodiscard]] bool gradients() const;
  /// Of measuring: under which run-time policy, in a line; empty: none. And how many tokens of a window are read before
  /// it acts; 0: half of them.
  [[nodiscard]] QString policy() const { return policy_ ? policy_->policy() : QString(); }
  [[nodiscard]] int prompt() const;
  void setPolicies(const std::vector<PolicyChoice::Line>& lines);
  [[nodiscard]] PolicyChoice* policyChoice() const { return policy_; }
  /// What the pass would take, for selection() and gradients(); what does not fit cannot be started.
  void showMemory(const Result<std::vector<MemoryForecast>>& forecast);

 Q_SIGNALS:
  /// Something that memory depends on has changed, or is known for the first time.
  void memoryWanted();

 private:
  void check();
  /// What is wrong with what was filled in; empty: nothing.
  [[nodiscard]] QString problem() const;
  [[nodiscard]] int windowLength() const;
  FileList* files_;
  QLineEdit* weights_ = nullptr;  // of calibration
  QSpinBox* window_;
  QSpinBox* windows_;
  QSpinBox* skip_;
  QCheckBox* random_;
  QSpinBox* seed_;
  QCheckBox* bos_;
  QCheckBox* gradients_ = nullptr;
  PolicyChoice* policy_ = nullptr;  // of measuring
  QSpinBox* prompt_ = nullptr;
  QLabel* forecast_;
  MemoryRow* memory_;
  QDialogButtonBox* buttons_;
};

}  // namespace kvista
