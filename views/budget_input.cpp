// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Keys, the wheel and the clipboard in the budget's table.
#include <QApplication>
#include <QClipboard>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QSortFilterProxyModel>
#include <QTableView>
#include <QWheelEvent>
#include <algorithm>

#include "views/budget_model.h"
#include "views/budget_view.h"

namespace kvista {
namespace {

constexpr int kPageSteps = 8;

}  // namespace

const QSortFilterProxyModel& BudgetView::proxy() const {
  return *static_cast<const QSortFilterProxyModel*>(table_->model());
}

void BudgetView::pasteRanks(const QString& text) {
  QStringList lines = text.split(QLatin1Char('\n'));
  for (QString& line : lines)
    if (line.endsWith(QLatin1Char('\r'))) line.chop(1);
  while (!lines.isEmpty() && lines.back().trimmed().isEmpty()) lines.removeLast();
  if (lines.isEmpty()) return setReason(tr("There is nothing to paste."));
  int column = 0;
  const QStringList header = lines.front().split(QLatin1Char('\t'));
  const QString rankName = model_->headerData(BudgetModel::rank, Qt::Horizontal, Qt::DisplayRole).toString();
  if (const auto found = header.indexOf(rankName); found >= 0) {
    column = static_cast<int>(found);
    lines.removeFirst();
  } else if (header.size() > 1) {
    return setReason(
        tr("%1 columns were pasted and none is headed \"%2\": copy the column of ranks alone, or its header with it.")
            .arg(header.size())
            .arg(rankName));
  }
  std::vector<RankChange> changes;
  for (int line = 0; line < lines.size(); ++line) {
    const auto change = rankChangeFromText(lines[line].split(QLatin1Char('\t')).value(column));
    if (!change)
      return setReason(
          tr("Line %1: %2 Nothing was pasted.").arg(line + 1).arg(QString::fromStdString(change.error().message)));
    changes.push_back(*change);
  }
  std::vector<int> rows = selectedRows();
  if (changes.size() == 1 && !rows.empty()) return changeRanks(rows, changes.front());
  // A column goes to the rows on screen from the first selected one on.
  const int first = rows.empty() ? 0 : proxy().mapFromSource(model_->index(rows.front(), 0)).row();
  if (first + static_cast<int>(changes.size()) > proxy().rowCount())
    return setReason(tr("%1 ranks were pasted and there are %2 rows from the selected one on. Nothing was pasted.")
                         .arg(changes.size())
                         .arg(proxy().rowCount() - first));
  std::vector<std::pair<int, RankChange>> pasted;
  for (std::size_t i = 0; i < changes.size(); ++i)
    pasted.emplace_back(proxy().mapToSource(proxy().index(first + static_cast<int>(i), 0)).row(), changes[i]);
  changeRanks(pasted);
}

bool BudgetView::keyPressed(QKeyEvent* event) {
  if (event->matches(QKeySequence::Copy)) {
    QApplication::clipboard()->setText(selectedAsTsv());
    return true;
  }
  if (event->matches(QKeySequence::Paste)) {
    pasteRanks(QApplication::clipboard()->text());
    return true;
  }
  const QModelIndex current = table_->currentIndex();
  if (!current.isValid()) return false;
  if (event->key() == Qt::Key_Space && event->modifiers() == Qt::NoModifier) {
    toggleLocks(selectedRows());
    return true;
  }
  // A digit or F2 edits the rank, wherever in the row the cursor is.
  const QString text = event->text();
  const bool starts =
      event->key() == Qt::Key_F2 || (!text.isEmpty() && (text.front().isDigit() || text.front() == QLatin1Char('+') ||
                                                         text.front() == QLatin1Char('-')));
  if (starts && current.column() != BudgetModel::rank) {
    table_->selectionModel()->setCurrentIndex(current.siblingAtColumn(BudgetModel::rank),
                                              QItemSelectionModel::NoUpdate);
  }
  return false;
}

bool BudgetView::eventFilter(QObject* watched, QEvent* event) {
  if (watched == table_->viewport() && event->type() == QEvent::Resize) fitColumns();
  if (watched == table_ && event->type() == QEvent::KeyPress) return keyPressed(static_cast<QKeyEvent*>(event));
  if (watched == table_->viewport() && event->type() == QEvent::Wheel) {
    auto* wheel = static_cast<QWheelEvent*>(event);
    const QModelIndex index = table_->indexAt(wheel->position().toPoint());
    if (!wheel->modifiers().testFlag(Qt::ControlModifier) || !index.isValid() || wheel->angleDelta().y() == 0)
      return false;
    const int row = proxy().mapToSource(index).row();
    std::vector<int> rows = selectedRows();
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows = {row};
    const int steps =
        (wheel->angleDelta().y() > 0 ? 1 : -1) * (wheel->modifiers().testFlag(Qt::ShiftModifier) ? kPageSteps : 1);
    changeRanks(rows, {RankChange::Kind::add, static_cast<double>(steps * record_.rankStep)});
    return true;
  }
  if (watched == table_->viewport() && event->type() == QEvent::MouseButtonRelease) {
    auto* mouse = static_cast<QMouseEvent*>(event);
    const QModelIndex index = table_->indexAt(mouse->position().toPoint());
    if (mouse->button() == Qt::LeftButton && index.isValid() && index.column() == BudgetModel::lock &&
        mouse->modifiers() == Qt::NoModifier)
      toggleLocks({proxy().mapToSource(index).row()});
  }
  return View::eventFilter(watched, event);
}

}  // namespace kvista
