// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/lab_chart.h"

#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>

#include "views/theme.h"

namespace kvista {

LabChart::LabChart(QWidget* parent, int mostHeight) : QWidget(parent) {
  setMouseTracking(true);
  setMinimumHeight(110);  // On a small screen its table wants room below.
  setMaximumHeight(mostHeight);
  connect(&Theme::instance(), &Theme::changed, this, [this] { fill(); });
}

void LabChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  chart_.paint(painter, {});
}

void LabChart::resizeEvent(QResizeEvent*) { fill(); }

bool LabChart::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QWidget::event(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  if (const QString tip = tipAt(help->pos()); !tip.isEmpty())
    QToolTip::showText(help->globalPos(), tip, this);
  else
    QToolTip::hideText();
  return true;
}

}  // namespace kvista
