// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/policy_choice.h"

#include <QLineEdit>
#include <QSignalBlocker>

namespace kvista {

PolicyChoice::PolicyChoice(QWidget* parent) : QComboBox(parent) {
  setEditable(true);
  setInsertPolicy(QComboBox::NoInsert);
  setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  setMinimumContentsLength(8);
  setAccessibleName(tr("Policy"));
  lineEdit()->setPlaceholderText(tr("no policy"));
  setToolTip(tr(
      "Keeps the cache small while a text is read: a policy, the share of the 16-bit cache's bytes that may stay,\n"
      "after how many tokens it acts again, and its options, as in \"snapkv+fp8 share=0.25 interval=64 window=16\".\n"
      "The help page Policies says what there is."));
  addItem(QString());
  connect(this, &QComboBox::currentTextChanged, this, [this] { setProblem({}); });
  connect(lineEdit(), &QLineEdit::editingFinished, lineEdit(),
          [this] { lineEdit()->home(false); });  // its name in sight
}

void PolicyChoice::setPolicies(const std::vector<Line>& lines) {
  const QSignalBlocker quiet(this);
  const QString chosen = currentText();
  clear();
  addItem(QString());
  for (const Line& line : lines) {
    addItem(line.text);
    setItemData(count() - 1, line.summary, Qt::ToolTipRole);
  }
  setEditText(chosen);
  lineEdit()->home(false);
}

QString PolicyChoice::policy() const { return currentText().trimmed(); }

void PolicyChoice::setProblem(const QString& problem) {
  if (problem == problem_) return;
  problem_ = problem;
  Q_EMIT problemChanged();
}

}  // namespace kvista
