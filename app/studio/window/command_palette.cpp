// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/command_palette.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>
#include <vector>

namespace kvista {
namespace {

constexpr int kWidth = 560, kHeight = 380;

QString nameOf(const QAction& action) {
  QString text = action.text();
  return text.remove(QLatin1Char('&'));
}

}  // namespace

int fuzzyRank(const QString& typed, const QString& text) {
  int rank = 0;
  qsizetype at = 0;
  for (const QChar letter : typed) {
    if (letter.isSpace()) continue;
    const qsizetype found = text.indexOf(letter, at, Qt::CaseInsensitive);
    if (found < 0) return -1;
    const bool startsWord = found == 0 || !text[found - 1].isLetterOrNumber();
    rank += static_cast<int>(found - at) * (startsWord ? 1 : 3);
    at = found + 1;
  }
  return rank;
}

CommandPalette::CommandPalette(const QList<QAction*>& actions, QWidget* parent)
    : QDialog(parent, Qt::Popup), actions_(actions), field_(new QLineEdit(this)), list_(new QListWidget(this)) {
  setObjectName(QStringLiteral("commandPalette"));
  setAccessibleName(tr("Command palette"));
  field_->setPlaceholderText(tr("Type what you want to do"));
  field_->setAccessibleName(tr("Command"));
  list_->setUniformItemSizes(true);
  list_->setFocusPolicy(Qt::NoFocus);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(8, 8, 8, 8);
  column->addWidget(field_);
  column->addWidget(list_);
  resize(kWidth, kHeight);
  if (parent) move(parent->mapToGlobal(QPoint((parent->width() - kWidth) / 2, 72)));
  field_->installEventFilter(this);
  connect(field_, &QLineEdit::textChanged, this, &CommandPalette::showMatches);
  connect(field_, &QLineEdit::returnPressed, this, &CommandPalette::runCurrent);
  connect(list_, &QListWidget::itemClicked, this, &CommandPalette::runCurrent);
  showMatches({});
  field_->setFocus();
}

void CommandPalette::showMatches(const QString& typed) {
  std::vector<std::pair<int, QAction*>> matches;
  for (QAction* action : actions_)
    if (const int rank = fuzzyRank(typed, nameOf(*action)); rank >= 0 && !action->isSeparator())
      matches.emplace_back(rank, action);
  std::ranges::stable_sort(matches, {}, &std::pair<int, QAction*>::first);
  list_->clear();
  for (const auto& [rank, action] : matches) {
    const QString keys = action->shortcut().toString(QKeySequence::NativeText);
    auto* item =
        new QListWidgetItem(keys.isEmpty() ? nameOf(*action) : nameOf(*action) + QStringLiteral("    ") + keys, list_);
    item->setData(Qt::UserRole, QVariant::fromValue(action));
    if (!action->isEnabled()) item->setFlags(Qt::NoItemFlags);
  }
  list_->setCurrentRow(0);
}

void CommandPalette::runCurrent() {
  const QListWidgetItem* item = list_->currentItem();
  QAction* action =
      item && item->flags().testFlag(Qt::ItemIsEnabled) ? item->data(Qt::UserRole).value<QAction*>() : nullptr;
  if (!action) return;
  accept();
  action->trigger();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (watched == field_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_Down || key == Qt::Key_Up || key == Qt::Key_PageDown || key == Qt::Key_PageUp) {
      const int step = key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : key == Qt::Key_PageDown ? 8 : -8;
      list_->setCurrentRow(std::clamp(list_->currentRow() + step, 0, std::max(0, list_->count() - 1)));
      return true;
    }
  }
  return QDialog::eventFilter(watched, event);
}

}  // namespace kvista
