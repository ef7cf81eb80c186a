// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/policy_list.h"

#include <QRegularExpression>

namespace kvista {
namespace {

constexpr int kRows = 3, kAround = 16;  // The padding of the theme.

}  // namespace

PolicyList::PolicyList(QWidget* parent) : QPlainTextEdit(parent) {
  setTabChangesFocus(true);
  setLineWrapMode(NoWrap);
  setPlaceholderText(tr("a line each, such as\nkvzip+hadamard bits=3\nkivi window=32"));
  setToolTip(
      tr("Policies with options, and two joined with a plus, as `kvista evaluate --policy` takes them.\n"
         "How much stays, and after how many tokens they act again, is said below for all of them."));
  const int frame = 2 * frameWidth() + kAround;
  setFixedHeight(kRows * fontMetrics().lineSpacing() + frame);
  connect(this, &QPlainTextEdit::textChanged, this, [this] {
    ask();
    Q_EMIT changed();
  });
}

QStringList PolicyList::lines() const {
  QStringList lines;
  for (const QString& line : toPlainText().split(QLatin1Char('\n')))
    if (const QString trimmed = line.trimmed(); !trimmed.isEmpty()) lines << trimmed;
  return lines;
}

QString PolicyList::problem() const {
  static const QRegularExpression kOfAll(QStringLiteral(R"(\s(share|interval)=)"));
  for (const QString& line : lines()) {
    if (const auto of = kOfAll.match(line); of.hasMatch())
      return tr("Take “%1” out of “%2”: it is said below for all policies.")
          .arg(of.captured(1) + QLatin1Char('='), line);
    if (const QString problem = said_.value(line); !problem.isEmpty()) return problem;
  }
  return {};
}

void PolicyList::setChecking(Checking checking) {
  checking_ = std::move(checking);
  ask();
}

/// One line after the other: only the newest question is answered.
void PolicyList::ask() {
  if (!checking_) return;
  for (const QString& line : lines()) {
    if (said_.contains(line)) continue;
    checking_(line, this, [this, line](const QString& problem) {
      said_.insert(line, problem);
      ask();
      Q_EMIT changed();
    });
    return;
  }
}

}  // namespace kvista
