// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QJsonObject>

#include "app/studio/lab.h"
#include "views/policy_choice.h"

class QCheckBox;
class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace kvista {

class FileList;

/// Asks for what a measure of the lab, or the training of a predictor, needs.
class LabDialog final : public QDialog {
  Q_OBJECT

 public:
  enum class Purpose { questions, agreement, ranks, predictor };
  /// `text`: to begin with; of ranks, files of statistics. `output`: for the file of a predictor.
  LabDialog(Purpose purpose, const ModelRecord& model, const TextSelection& text, const QString& output,
            QWidget* parent);
  [[nodiscard]] TasksWish questions() const;
  [[nodiscard]] AgreementWish agreement() const;
  [[nodiscard]] RanksWish ranks() const;
  [[nodiscard]] PredictorWish predictor() const;
  /// What was filled in, for the next time.
  [[nodiscard]] QJsonObject state() const;
  /// What does not fit is left as it is.
  void setState(const QJsonObject& state);
  /// The file to write is on another machine and can only be typed.
  void setElsewhere(bool elsewhere);
  /// Of measures that can be taken under one; else null.
  [[nodiscard]] PolicyChoice* policyChoice() const { return policy_; }
  /// Of measures that can be taken under one.
  void setPolicies(const std::vector<PolicyChoice::Line>& lines);

 private:
  void addText(QFormLayout& form, const ModelRecord& model, const TextSelection& text, int windows);
  QSpinBox* addNumber(QFormLayout& form, const char* name, const QString& label, int least, int most, int value,
                      const QString& zero = {});
  void addPolicy(QFormLayout& form);
  void check();
  [[nodiscard]] TextSelection text() const;

  Purpose purpose_;
  FileList* files_;
  QSpinBox *window_ = nullptr, *windows_ = nullptr;  // of texts
  QSpinBox* items_ = nullptr;                        // of questions
  QCheckBox* bos_ = nullptr;
  QSpinBox *prompts_ = nullptr, *promptTokens_ = nullptr, *written_ = nullptr;  // of agreement
  QSpinBox* kept_ = nullptr;                                                    // of ranks, in per cent
  QComboBox* kind_ = nullptr;                                                   // of a predictor
  PolicyChoice* policy_ = nullptr;                                              // of questions and agreement
  QLineEdit* output_ = nullptr;
  int layers_ = 0;  // of the model
  QPushButton *browse_ = nullptr, *start_ = nullptr;
  QLabel* forecast_;
};

}  // namespace kvista
