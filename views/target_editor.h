// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QLineEdit>

#include "core/base/error.h"
#include "core/plan/plan.h"

namespace kvista {

/// "8.0 times smaller", "2,048 B", "40 % kept", "2 % loss".
QString targetText(const Target& target);
/// parseTarget for numbers as the person's locale writes them.
Result<Target> targetFromText(const QString& text);

/// A line for a target. What cannot be understood stays, with the reason.
class TargetEditor final : public QLineEdit {
  Q_OBJECT

 public:
  explicit TargetEditor(QWidget* parent = nullptr);
  void setTarget(const Target& target);
  /// Why the text is not accepted; empty while it is, or nobody has tried.
  [[nodiscard]] const QString& reason() const { return reason_; }

 Q_SIGNALS:
  void targetEntered(const kvista::Target& target);
  /// Esc, or the same as before.
  void left();
  void reasonChanged(const QString& reason);

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void enter();
  void setReason(const QString& reason);
  QString before_, reason_;
};

}  // namespace kvista
