// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QComboBox>
#include <vector>

namespace kvista {

/// A run-time policy in a line, "snapkv share=0.5 interval=64": one of a list, or as it is typed.
class PolicyChoice final : public QComboBox {
  Q_OBJECT

 public:
  struct Line {
    QString text;     ///< How it is asked for.
    QString summary;  ///< What it does.
  };
  explicit PolicyChoice(QWidget* parent = nullptr);
  /// What is chosen stays.
  void setPolicies(const std::vector<Line>& lines);
  /// Empty: none.
  [[nodiscard]] QString policy() const;
  /// What is wrong with the line, as whoever can read it says; empty: nothing, or nobody has read it. What is changed
  /// has no problem yet.
  void setProblem(const QString& problem);
  [[nodiscard]] const QString& problem() const { return problem_; }

 Q_SIGNALS:
  void problemChanged();

 private:
  QString problem_;
};

}  // namespace kvista
