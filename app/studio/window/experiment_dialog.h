// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <nlohmann/json.hpp>

#include "app/studio/workflow.h"
#include "core/protocol/records.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace kvista {

class FileList;

/// Asks which methods shall be compared on which texts, and where the results go.
class ExperimentDialog final : public QDialog {
  Q_OBJECT

 public:
  /// `text`: windows like those of calibration, BOS included; its paths and their number can be changed. `folder`: for results, unless another one is named.
  ExperimentDialog(const ModelRecord& model, const TextSelection& text, const QString& folder, QWidget* parent);
  [[nodiscard]] ExperimentWish wish() const;
  /// The results' folder is on another machine and can only be typed.
  void setElsewhere(bool elsewhere);

 private:
  void add(const QString& file);
  void choose(int index);
  void check();
  QComboBox* which_;
  QLabel* about_;
  FileList* files_;
  QSpinBox* windows_;
  QLineEdit* folder_;
  QPushButton *browse_, *start_ = nullptr;
  std::int64_t window_;
  bool beginWithBos_;
  int shown_ = 0;
  std::vector<nlohmann::json> experiments_;  // As `which_` lists them.
};

}  // namespace kvista
