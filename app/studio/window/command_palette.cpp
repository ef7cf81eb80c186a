// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/command_palette.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QVBoxLayout>
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "app/studio/action_registry.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kWidth = 560, kHeight = 380, kMargin = 8;
constexpr int kAction = Qt::UserRole, kKeys = Qt::UserRole + 1;

/// The name of an action at the left, its keys at the right.
class ActionDelegate final : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    QStyledItemDelegate::paint(painter, option, index);
    painter->save();
    painter->setPen(colours().soft);
    painter->drawText(option.rect.adjusted(kMargin, 0, -kMargin, 0), Qt::AlignRight | Qt::AlignVCenter,
                      index.data(kKeys).toString());
    painter->restore();
  }
};

}  // namespace

int fuzzyRank(const QString& typed, const QString& text) {
  constexpr int kNone = std::numeric_limits<int>::max();
  // best[i]: the least that the letters up to now cost if the last of them is the text's letter before i.
  std::vector<int> best(static_cast<std::size_t>(text.size()) + 1, kNone);
  best[0] = 0;
  for (const QChar letter : typed) {
    if (letter.isSpace()) continue;
    std::vector<int> next(best.size(), kNone);
    for (qsizetype found = 0; found < text.size(); ++found) {
      if (text[found].toCaseFolded() != letter.toCaseFolded()) continue;
      const bool startsWord = found == 0 || !text[found - 1].isLetterOrNumber();
      for (qsizetype at = 0; at <= found; ++at)
        if (const int before = best[static_cast<std::size_t>(at)]; before != kNone)
          next[static_cast<std::size_t>(found) + 1] = std::min(
              next[static_cast<std::size_t>(found) + 1], before + static_cast<int>(found - at) * (startsWord ? 1 : 3));
    }
    best = std::move(next);
  }
  const int rank = *std::ranges::min_element(best);
  return rank == kNone ? -1 : rank;
}

CommandPalette::CommandPalette(const QList<QAction*>& actions, QWidget* parent)
    : QDialog(parent, Qt::Popup), actions_(actions), field_(new QLineEdit(this)), list_(new QListWidget(this)) {
  setObjectName(QStringLiteral("commandPalette"));
  setAccessibleName(tr("Command palette"));
  field_->setPlaceholderText(tr("Type what you want to do"));
  field_->setAccessibleName(tr("Command"));
  list_->setUniformItemSizes(true);
  list_->setFocusPolicy(Qt::NoFocus);
  list_->setItemDelegate(new ActionDelegate(list_));
  frameList(*list_);
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
  struct Match {
    int rank;
    qsizetype length;  // Of two that fit as well, the shorter one has less that was not typed.
    QAction* action;
  };
  std::vector<Match> matches;
  for (QAction* action : actions_) {
    const QString name = plainText(*action);
    if (const int rank = fuzzyRank(typed, name); rank >= 0 && !action->isSeparator())
      matches.push_back({rank, typed.isEmpty() ? 0 : name.size(), action});
  }
  std::ranges::stable_sort(matches, {}, [](const Match& match) { return std::pair(match.rank, match.length); });
  list_->clear();
  for (const auto& [rank, length, action] : matches) {
    auto* item = new QListWidgetItem(plainText(*action), list_);
    item->setData(kAction, QVariant::fromValue(action));
    item->setData(kKeys, action->isEnabled() ? action->shortcut().toString(QKeySequence::NativeText)
                                             : action->property(kNeed).toString());
    if (!action->isEnabled()) item->setFlags(Qt::NoItemFlags);
  }
  list_->setCurrentRow(0);
}

void CommandPalette::runCurrent() {
  const QListWidgetItem* item = list_->currentItem();
  QAction* action = item && item->flags().testFlag(Qt::ItemIsEnabled) ? item->data(kAction).value<QAction*>() : nullptr;
  if (!action) return;
  accept();
  action->trigger();
}

/// No desktop draws a frame round it.
void CommandPalette::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setPen(colours().soft);
  painter.setBrush(colours().window);
  painter.drawRect(rect().adjusted(0, 0, -1, -1));
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
