// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QJsonObject>
#include <nlohmann/json.hpp>

#include "app/studio/window/policy_list.h"
#include "app/studio/window/variant_list.h"
#include "app/studio/workflow.h"
#include "core/protocol/records.h"

class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace kvista {

class ExperimentChoice;
class FileList;

/// Asks which methods shall be compared on which texts, and where the results go: ticked here, or as a file has them.
class ExperimentDialog final : public QDialog {
  Q_OBJECT

 public:
  /// `text`: windows like those of calibration, BOS included; its paths and their number can be changed. `folder`: for
  /// results, unless another one is named.
  ExperimentDialog(const Catalogue& catalogue, const ModelRecord& model, const TextSelection& text,
                   const QString& folder, QWidget* parent);
  [[nodiscard]] ExperimentWish wish() const;
  /// The results' folder and the texts are on another machine, and their paths can only be typed.
  void setElsewhere(bool elsewhere);
  /// Reads typed policies.
  void setChecking(PolicyList::Checking checking);
  /// Asks for variants of methods.
  void setAskingForVariants(VariantList::Asking asking);
  /// What was filled in, for the next time; the folder is that of this model.
  [[nodiscard]] QJsonObject state() const;
  /// What does not fit is left as it is.
  void setState(const QJsonObject& state);

 private:
  /// Where `which_` lists it; -1: it cannot be read.
  int add(const QString& file);
  void choose(int index);
  void save();
  void check();
  [[nodiscard]] bool isTicked() const;
  /// What a file has, or is to have.
  [[nodiscard]] nlohmann::json experiment() const;
  /// Why the texts cannot be read; empty: nothing is known against them.
  [[nodiscard]] QString problemOfTexts() const;

  const std::string model_;  // By content.
  QFormLayout* form_;
  QComboBox* which_;
  ExperimentChoice* choice_;
  QLabel *about_, *said_;
  FileList* files_;
  QSpinBox* windows_;
  QLineEdit* folder_;
  QPushButton *browse_, *save_ = nullptr, *start_ = nullptr;
  std::int64_t window_;
  bool beginWithBos_, elsewhere_ = false;
  int shown_ = 0;
  std::vector<nlohmann::json> experiments_;  // Of files, as `which_` lists them behind the one that is ticked.
};

}  // namespace kvista
