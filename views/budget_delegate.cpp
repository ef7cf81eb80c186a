// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/budget_delegate.h"

#include <QKeyEvent>
#include <QLineEdit>
#include <QPainter>
#include <QPainterPath>
#include <QPixmapCache>
#include <algorithm>

#include "views/budget_model.h"
#include "views/icon.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kRowHeight = 30, kMargin = 8, kChipHeight = 20, kBandHeight = 6, kPageSteps = 8;

const BudgetRow& rowOf(const QModelIndex& index) {
  return *static_cast<const BudgetRow*>(index.data(BudgetModel::rowRole).value<void*>());
}

void paintChips(QPainter& painter, const QRect& cell, const std::vector<Slot>& slots) {
  QFont font = textFont(TextRole::axis);
  painter.setFont(font);
  const QFontMetrics metrics(font);
  const auto chips = headChips(slots);
  int x = cell.left() + kMargin;
  for (std::size_t i = 0; i < chips.size(); ++i) {
    const int width = metrics.horizontalAdvance(chips[i].second) + 12;
    const QString more = QStringLiteral("+%1").arg(chips.size() - i);
    const int room = i + 1 < chips.size() ? metrics.horizontalAdvance(more) + 10 : 0;
    if (x + width + room > cell.right() - 2) {
      painter.setPen(colours().soft);
      painter.drawText(QRect(x, cell.top(), cell.right() - x, cell.height()), Qt::AlignVCenter, more);
      return;
    }
    const QRectF chip(x, cell.center().y() - kChipHeight / 2 + 1, width, kChipHeight);
    painter.setPen(Qt::NoPen);
    painter.setBrush(colours().ground(chips[i].first));
    painter.drawRoundedRect(chip, 4, 4);
    painter.setPen(colours().chipText(chips[i].first));
    painter.drawText(chip, Qt::AlignCenter, chips[i].second);
    x += width + 4;
  }
}

/// In place of chips, where the heads have no directions of their own.
void paintWords(QPainter& painter, const QRect& cell, const QString& words) {
  painter.setFont(textFont(TextRole::body));
  painter.setPen(colours().soft);
  const QRect room = cell.adjusted(kMargin, 0, -kMargin, 0);
  painter.drawText(room, Qt::AlignVCenter, painter.fontMetrics().elidedText(words, Qt::ElideRight, room.width()));
}

void paintBands(QPainter& painter, const QRect& cell, const BudgetRow& row) {
  const QRectF bar(cell.left() + kMargin, cell.center().y() - kBandHeight / 2 + 1, cell.width() - 2 * kMargin,
                   kBandHeight);
  QPainterPath round;
  round.addRoundedRect(bar, kBandHeight / 2.0, kBandHeight / 2.0);
  painter.save();
  painter.setClipPath(round);
  double x = bar.left();
  for (const auto& [width, count] : row.bands) {
    const double length = bar.width() * count / std::max(row.directions, 1);
    painter.fillRect(QRectF(x, bar.top(), length, bar.height()), colours().bits(width));
    x += length;
  }
  painter.restore();
}

/// Kept, because reading the file for every row would be a good part of a frame.
QPixmap lockPicture(bool locked, double pixelRatio) {
  const QColor colour = locked ? colours().accent : colours().faint;
  const QString key = QStringLiteral("budget-lock-%1-%2-%3").arg(locked).arg(colour.name()).arg(pixelRatio);
  QPixmap picture;
  if (QPixmapCache::find(key, &picture)) return picture;
  const QString name = locked ? QStringLiteral("object-locked") : QStringLiteral("object-unlocked");
  picture = icon(name, colour).pixmap(QSize(16, 16), pixelRatio);
  QPixmapCache::insert(key, picture);
  return picture;
}

void paintNumber(QPainter& painter, const QRect& cell, const QModelIndex& index) {
  const QVariant bar = index.data(BudgetModel::barRole);
  QRect textCell = cell.adjusted(kMargin, 0, -kMargin, 0);
  if (bar.isValid()) {
    // The bar starts at the left, the number stands at the right: both line up over the rows.
    const int textWidth =
        QFontMetrics(textFont(TextRole::body)).horizontalAdvance(QStringLiteral("~ 0.0000000")) + kMargin;
    const int room = textCell.width() - textWidth;
    if (room > 16) {
      painter.setPen(Qt::NoPen);
      painter.setBrush(colours().bits2);
      painter.drawRoundedRect(
          QRectF(textCell.left(), cell.center().y() - 2, std::max(2.0, room * bar.toDouble()), kBandHeight), 2, 2);
    }
  }
  const QString text = index.data(Qt::DisplayRole).toString();
  const int column = index.column();
  painter.setFont(textFont(column == BudgetModel::rank ? TextRole::strong : TextRole::body));
  painter.setPen(column == BudgetModel::layer || column == BudgetModel::kept ? colours().soft : colours().text);
  if (index.data(BudgetModel::staleRole).toBool()) {
    const int length = painter.fontMetrics().horizontalAdvance(text);
    painter.fillRect(QRectF(textCell.right() - length - 3, cell.top() + 5, length + 6, cell.height() - 10),
                     QBrush(colours().faint, Qt::BDiagPattern));
  }
  painter.drawText(textCell, static_cast<int>(Qt::AlignVCenter | Qt::AlignRight), text);
}

}  // namespace

void BudgetDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing);
  const Palette& look = colours();
  const bool selected = option.state.testFlag(QStyle::State_Selected);
  painter->fillRect(option.rect, selected ? look.accentGround : look.panel);
  const BudgetRow& row = rowOf(index);
  switch (index.column()) {
    case BudgetModel::heads:
      if (row.instead.isEmpty())
        paintChips(*painter, option.rect, row.slots);
      else
        paintWords(*painter, option.rect, row.instead);
      break;
    case BudgetModel::bits:
      if (row.instead.isEmpty()) paintBands(*painter, option.rect, row);
      break;
    case BudgetModel::lock:
      painter->drawPixmap(QPoint(option.rect.center().x() - 7, option.rect.center().y() - 7),
                          lockPicture(row.locked, painter->device()->devicePixelRatio()));
      break;
    default:
      paintNumber(*painter, option.rect, index);
  }
  if (selected && index.column() == BudgetModel::layer) paintChosenMark(*painter, option.rect);
  painter->setRenderHint(QPainter::Antialiasing, false);
  painter->fillRect(QRect(option.rect.left(), option.rect.bottom(), option.rect.width(), 1), look.hairline);
  if (option.state.testFlag(QStyle::State_HasFocus)) {
    painter->setRenderHint(QPainter::Antialiasing);
    painter->setPen(QPen(look.accent, 1.5));
    painter->setBrush(Qt::NoBrush);
    painter->drawRoundedRect(QRectF(option.rect).adjusted(1.5, 1.5, -1.5, -2), 4, 4);
  }
  painter->restore();
}

QSize BudgetDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
  QSize size = QStyledItemDelegate::sizeHint(option, index);
  size.setHeight(kRowHeight);
  return size;
}

QWidget* BudgetDelegate::createEditor(QWidget* parent, const QStyleOptionViewItem&, const QModelIndex&) const {
  auto* line = new QLineEdit(parent);
  line->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  line->setProperty("cell", true);
  connect(line, &QLineEdit::textEdited, this, [this] { Q_EMIT refused({}); });
  return line;
}

void BudgetDelegate::setEditorData(QWidget* editor, const QModelIndex& index) const {
  auto* line = qobject_cast<QLineEdit*>(editor);
  // Numbers that change while one is typed must not take the typed one away.
  if (line && !line->isModified()) {
    line->setText(index.data(Qt::EditRole).toString());
    line->selectAll();
  }
}

void BudgetDelegate::setModelData(QWidget* editor, QAbstractItemModel* model, const QModelIndex& index) const {
  const auto* line = qobject_cast<QLineEdit*>(editor);
  if (line && line->text() != index.data(Qt::EditRole).toString()) model->setData(index, line->text(), Qt::EditRole);
}

bool BudgetDelegate::eventFilter(QObject* object, QEvent* event) {
  auto* line = qobject_cast<QLineEdit*>(object);
  if (line && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    const int steps = key == Qt::Key_Up         ? 1
                      : key == Qt::Key_Down     ? -1
                      : key == Qt::Key_PageUp   ? kPageSteps
                      : key == Qt::Key_PageDown ? -kPageSteps
                                                : 0;
    if (steps != 0) {
      bool isNumber = false;
      const int rank = line->text().toInt(&isNumber);
      if (isNumber) {
        line->setText(QString::number(std::max(0, rank + steps * rankStep_)));
        line->setModified(true);
      }
      return true;
    }
    if (key == Qt::Key_Return || key == Qt::Key_Enter || key == Qt::Key_Tab || key == Qt::Key_Backtab) {
      if (const auto change = rankChangeFromText(line->text()); !change) {
        const QString reason = QString::fromStdString(change.error().message + " " + change.error().hint);
        line->setToolTip(reason);
        line->setProperty("refused", true);
        line->update();
        Q_EMIT refused(reason);
        return true;
      }
      Q_EMIT refused({});
    }
    if (key == Qt::Key_Escape) Q_EMIT refused({});
  }
  return QStyledItemDelegate::eventFilter(object, event);
}

}  // namespace kvista
