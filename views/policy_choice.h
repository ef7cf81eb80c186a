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
};

}  // namespace kvista
