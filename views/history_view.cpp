// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/history_view.h"

#include <QCoreApplication>
#include <QLabel>
#include <QPainter>
#include <QStackedLayout>
#include <QStyledItemDelegate>
#include <QUndoStack>
#include <QUndoView>

#include "views/icon.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

/// What is undone is quiet and lies below the present state, which has a mark beside it.
class HistoryDelegate final : public QStyledItemDelegate {
 public:
  HistoryDelegate(const QUndoView* view, QObject* parent) : QStyledItemDelegate(parent), view_(view) {}

  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const QUndoStack* stack = view_->stack();
    const int present = stack ? stack->index() : 0;
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    if (index.row() == present) {
      painter->fillRect(option.rect, colours().accentGround);
      painter->setPen(Qt::NoPen);
      painter->setBrush(colours().accent);
      painter->drawEllipse(QPointF(option.rect.left() + 16, option.rect.center().y() + 0.5), 3, 3);
    }
    painter->setFont(textFont(index.row() == present ? TextRole::strong : TextRole::body));
    painter->setPen(index.row() > present ? colours().soft : colours().text);
    QString text = index.data(Qt::DisplayRole).toString();
    if (index.row() > present) text = QCoreApplication::translate("kvista::HistoryView", "%1 (undone)").arg(text);
    const bool saved = stack && stack->cleanIndex() == index.row();
    const QRect room = option.rect.adjusted(28, 0, saved ? -64 : -12, 0);
    painter->drawText(room, Qt::AlignLeft | Qt::AlignVCenter,
                      painter->fontMetrics().elidedText(text, Qt::ElideRight, room.width()));
    if (saved) {
      painter->setFont(textFont(TextRole::body));
      painter->setPen(colours().soft);
      painter->drawText(option.rect.adjusted(0, 0, -12, 0), Qt::AlignRight | Qt::AlignVCenter,
                        QCoreApplication::translate("kvista::HistoryView", "saved"));
    }
    painter->restore();
  }

  [[nodiscard]] QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override { return {120, 28}; }

 private:
  const QUndoView* view_;
};

}  // namespace

HistoryView::HistoryView(QWidget* parent)
    : View(parent),
      list_(new QUndoView(this)),
      empty_(emptyState(tr("Nothing done yet.\nEvery edit has a name here and can be taken back."), this)) {
  setTitle(tr("History"));
  list_->setEmptyLabel(tr("As it was opened"));
  list_->setItemDelegate(new HistoryDelegate(list_, list_));
  list_->setAccessibleName(tr("History"));
  auto* stack = new QStackedLayout(this);
  stack->addWidget(empty_);
  stack->addWidget(list_);
  connect(&Theme::instance(), &Theme::changed, list_->viewport(), qOverload<>(&QWidget::update));
}

// The stack may be a child and outlive this part of the view.
HistoryView::~HistoryView() {
  if (stack_) stack_->disconnect(this);
}

void HistoryView::setStack(QUndoStack* stack) {
  if (stack_) stack_->disconnect(this);
  stack_ = stack;
  list_->setStack(stack);
  if (stack) {
    connect(stack, &QUndoStack::indexChanged, this, &HistoryView::showCount);
    connect(stack, &QUndoStack::cleanChanged, list_->viewport(), qOverload<>(&QWidget::update));
    connect(stack, &QObject::destroyed, this, [this] {
      stack_ = nullptr;
      showCount();
    });
  }
  showCount();
}

void HistoryView::showCount() {
  const bool empty = !stack_ || stack_->count() == 0;
  static_cast<QStackedLayout*>(layout())->setCurrentWidget(empty ? static_cast<QWidget*>(empty_) : list_);
  list_->viewport()->update();
}

}  // namespace kvista
