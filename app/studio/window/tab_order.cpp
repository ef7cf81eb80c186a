// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/tab_order.h"

#include <QFormLayout>
#include <QScrollArea>
#include <QWidget>
#include <vector>

namespace kvista {
namespace {

void collect(QLayout& layout, std::vector<QWidget*>& seen);

void collect(QLayoutItem* item, std::vector<QWidget*>& seen) {
  if (!item) return;
  if (item->layout()) return collect(*item->layout(), seen);
  QWidget* widget = item->widget();
  if (!widget) return;
  if (widget->focusPolicy() & Qt::TabFocus)
    seen.push_back(widget);
  else if (const auto* area = qobject_cast<QScrollArea*>(widget); area && area->widget() && area->widget()->layout())
    collect(*area->widget()->layout(), seen);
  else if (widget->layout())
    collect(*widget->layout(), seen);
}

void collect(QLayout& layout, std::vector<QWidget*>& seen) {
  const auto* form = qobject_cast<QFormLayout*>(&layout);
  // A form counts its items in the order in which they were added.
  for (int row = 0; form && row < form->rowCount(); ++row)
    for (const auto role : {QFormLayout::SpanningRole, QFormLayout::LabelRole, QFormLayout::FieldRole}) {
      QLayoutItem* item = form->itemAt(row, role);
      if (role != QFormLayout::FieldRole || item != form->itemAt(row, QFormLayout::SpanningRole)) collect(item, seen);
    }
  for (int i = 0; !form && i < layout.count(); ++i) collect(layout.itemAt(i), seen);
}

}  // namespace

void tabAsSeen(QLayout& layout) {
  std::vector<QWidget*> seen;
  collect(layout, seen);
  for (std::size_t i = 1; i < seen.size(); ++i) QWidget::setTabOrder(seen[i - 1], seen[i]);
}

}  // namespace kvista
