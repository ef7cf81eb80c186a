// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/budget_header.h"

#include <QPainter>

#include "views/theme.h"

namespace kvista {

BudgetHeader::BudgetHeader(QWidget* parent) : QHeaderView(Qt::Horizontal, parent) {
  setSectionsClickable(true);
  setFixedHeight(32);
}

void BudgetHeader::paintSection(QPainter* painter, const QRect& rect, int section) const {
  const Palette& look = colours();
  const bool sorted = section == sortIndicatorSection();
  painter->fillRect(rect, look.panel);
  painter->fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), look.hairline);
  painter->setPen(sorted ? look.text : look.soft);
  const int alignment = model()->headerData(section, Qt::Horizontal, Qt::TextAlignmentRole).toInt();
  const QRect inside = rect.adjusted(8, 4, -8, 0);
  const QString text = model()->headerData(section, Qt::Horizontal, Qt::DisplayRole).toString();
  painter->drawText(inside, alignment, painter->fontMetrics().elidedText(text, Qt::ElideRight, inside.width()));
  if (!sorted) return;
  const double x = (alignment & Qt::AlignLeft)    ? inside.left() + 4
                   : (alignment & Qt::AlignRight) ? inside.right() - 4
                                                  : inside.center().x();
  const bool up = sortIndicatorOrder() == Qt::AscendingOrder;
  const double base = up ? 8 : 4, tip = up ? 4 : 8;
  painter->setRenderHint(QPainter::Antialiasing);
  painter->setPen(Qt::NoPen);
  painter->setBrush(look.soft);
  painter->drawPolygon(QPolygonF{{x - 4, base}, {x + 4, base}, {x, tip}});
  painter->setRenderHint(QPainter::Antialiasing, false);
}

}  // namespace kvista
