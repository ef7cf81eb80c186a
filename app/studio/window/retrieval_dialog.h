// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QJsonObject>
#include <optional>
#include <vector>

#include "app/studio/lab.h"
#include "views/policy_choice.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace kvista {

class FileList;

/// Asks what to plant in which text, at which depths of which lengths: what `kvista retrieval` has as options.
class RetrievalDialog final : public QDialog {
  Q_OBJECT

 public:
  RetrievalDialog(const ModelRecord& model, QWidget* parent);
  void setPolicies(const std::vector<PolicyChoice::Line>& lines) { policy_->setPolicies(lines); }
  [[nodiscard]] PolicyChoice* policyChoice() const { return policy_; }
  void setPolicy(const QString& policy) { policy_->setEditText(policy); }
  [[nodiscard]] RetrievalWish wish() const;
  /// What was filled in, for the next time.
  [[nodiscard]] QJsonObject state() const;
  /// What does not fit is left as it is.
  void setState(const QJsonObject& state);

 private:
  void addKinds();
  QSpinBox* makeNumber(const char* name, const QString& accessible, int least, int most, int value);
  void check();
  [[nodiscard]] RetrievalKind kind() const;
  [[nodiscard]] QString problem() const;

  qint64 positions_;  ///< 0: not known.
  QComboBox* kind_;
  FileList* texts_;
  QLineEdit *lengths_, *depths_;
  QSpinBox *planted_, *trials_, *seed_;
  PolicyChoice* policy_;
  QLabel* forecast_;
  QPushButton* start_;
};

}  // namespace kvista
