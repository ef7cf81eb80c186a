// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/target_editor.h"

#include <QKeyEvent>
#include <QLocale>
#include <QRegularExpression>

#include "core/plan/target_text.h"
#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {

QString targetText(const Target& target) {
  switch (target.kind) {
    case Target::Kind::share:
      return TargetEditor::tr("%1 times smaller").arg(decimalText(target.value > 0 ? 1 / target.value : 0, 1));
    case Target::Kind::keptFraction:
      return TargetEditor::tr("%1 kept").arg(significantText(100 * target.value, 3) + QStringLiteral(" %"));
    case Target::Kind::bytesPerToken:
      return bytesText(static_cast<std::int64_t>(target.value));
    case Target::Kind::maxLoss:
      return TargetEditor::tr("%1 loss").arg(significantText(100 * target.value, 3) + QStringLiteral(" %"));
  }
  return {};
}

Result<Target> targetFromText(const QString& text) {
  static const QRegularExpression kNumber(QStringLiteral(R"([-+]?[\d.,'’\x{00A0}\x{202F}]*\d)"));
  QString plain = text;
  const QRegularExpressionMatch match = kNumber.match(text);
  bool isLocal = false;
  if (match.hasMatch() && match.captured().contains(QRegularExpression(QStringLiteral("[^0-9]")))) {
    const double number = QLocale().toDouble(match.captured(), &isLocal);
    if (isLocal) plain.replace(match.capturedStart(), match.capturedLength(), QString::number(number, 'g', 15));
  }
  plain.replace(QChar(0x00A0), QLatin1Char(' '));
  return parseTarget(plain.toStdString());
}

TargetEditor::TargetEditor(QWidget* parent) : QLineEdit(parent) {
  setPlaceholderText(tr("8, 12.5 %, 2048 B, 2 % loss"));
  setAccessibleName(tr("Target"));
  connect(this, &QLineEdit::textEdited, this, [this] { setReason({}); });
}

void TargetEditor::setTarget(const Target& target) {
  before_ = targetText(target);
  setText(before_);
  setCursorPosition(0);  // Where there is little room, its beginning is seen.
  setReason({});
}

void TargetEditor::setReason(const QString& reason) {
  if (reason == reason_) return;
  reason_ = reason;
  setToolTip(reason);
  setProperty("refused", !reason.isEmpty());
  update();
  Q_EMIT reasonChanged(reason);
}

void TargetEditor::enter() {
  if (text() == before_) {
    Q_EMIT left();
    return;
  }
  const Result<Target> target = targetFromText(text());
  if (target) {
    before_ = text();
    setReason({});
    Q_EMIT targetEntered(*target);
  } else {
    setReason(QString::fromStdString(target.error().message + " " + target.error().hint));
  }
}

void TargetEditor::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter) return enter();
  if (event->key() == Qt::Key_Escape) {
    setText(before_);
    setReason({});
    Q_EMIT left();
    return;
  }
  QLineEdit::keyPressEvent(event);
}

void TargetEditor::focusOutEvent(QFocusEvent* event) {
  QLineEdit::focusOutEvent(event);
  // A menu over the line is not leaving it; what cannot be understood stays to be mended.
  if (event->reason() != Qt::PopupFocusReason && event->reason() != Qt::ActiveWindowFocusReason) enter();
}

bool TargetEditor::event(QEvent* event) {
  if (event->type() == QEvent::ShortcutOverride && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
    event->accept();
    return true;
  }
  return QLineEdit::event(event);
}

}  // namespace kvista
