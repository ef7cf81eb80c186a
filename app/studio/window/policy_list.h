// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QHash>
#include <QPlainTextEdit>
#include <functional>

namespace kvista {

/// Policies as they are typed, a line each in the language of --policy: "kvzip+hadamard bits=3".
class PolicyList final : public QPlainTextEdit {
  Q_OBJECT

 public:
  explicit PolicyList(QWidget* parent = nullptr);
  /// Without spaces around them; empty ones are none.
  [[nodiscard]] QStringList lines() const;
  /// What is wrong with the first line that something is wrong with, in a sentence; empty: nothing is known against
  /// them.
  [[nodiscard]] QString problem() const;
  /// Whoever can read a line says what is wrong with it, or nothing. An answer to any but the newest question need not
  /// come.
  using Checking =
      std::function<void(const QString& line, QObject* context, std::function<void(const QString& problem)> done)>;
  void setChecking(Checking checking);

 Q_SIGNALS:
  void changed();

 private:
  void ask();
  Checking checking_;
  QHash<QString, QString> said_;  // What is wrong with lines that were read.
};

}  // namespace kvista
