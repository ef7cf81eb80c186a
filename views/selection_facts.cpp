// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/selection_facts.h"

#include <QFontMetricsF>
#include <QHelpEvent>
#include <QPainter>
#include <QPushButton>
#include <QToolTip>
#include <algorithm>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kHeading = 24, kLine = 24, kLink = 24;

QPushButton* link(const QString& text, QWidget* parent) {
  auto* button = new QPushButton(text, parent);
  button->setProperty("link", true);
  button->setCursor(Qt::PointingHandCursor);
  return button;
}

}  // namespace

SelectionFacts::SelectionFacts(QWidget* parent)
    : QWidget(parent),
      group_(link(tr("Make a group of these"), this)),
      spectra_(link(tr("Show their spectra"), this)),
      explain_(link(QString(), this)) {
  setAccessibleName(tr("Selection"));
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void SelectionFacts::setFacts(const Facts& facts) {
  facts_ = facts;
  QStringList lines;
  for (const auto& [what, value, explanation] : facts_) {
    lines << tr("%1: %2").arg(what, value);
    if (!explanation.isEmpty()) lines << explanation;
  }
  setAccessibleDescription(lines.join(QLatin1Char('\n')));
  placeLinks();
  update();
}

void SelectionFacts::setLinks(const QString& measure, const QString& explanation, bool hasSelection) {
  group_->setVisible(hasSelection);
  spectra_->setVisible(hasSelection);
  explain_->setVisible(!measure.isEmpty());
  explain_->setText(tr("Explain %1").arg(measure));
  explain_->setToolTip(explanation);
  placeLinks();
}

void SelectionFacts::placeLinks() {
  int y = kHeading + std::max<int>(static_cast<int>(facts_.size()), 2) * kLine + 16;
  for (QPushButton* button : {group_, spectra_, explain_}) {
    if (button->isHidden()) continue;
    button->setGeometry(0, y, std::min(width(), button->sizeHint().width()), kLink);
    y += kLink;
  }
}

void SelectionFacts::resizeEvent(QResizeEvent*) { placeLinks(); }

bool SelectionFacts::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QWidget::event(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  const int line = help->pos().y() < kHeading ? -1 : (help->pos().y() - kHeading) / kLine;
  const bool isFact = line >= 0 && line < static_cast<int>(facts_.size());
  const QRect place(0, kHeading + line * kLine, width(), kLine);
  // Without a text there is no tooltip.
  QToolTip::showText(help->globalPos(), isFact ? facts_[static_cast<std::size_t>(line)].explanation : QString(), this,
                     place);
  return true;
}

void SelectionFacts::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setFont(textFont(TextRole::strong));
  painter.setPen(colours().text);
  painter.drawText(QRectF(0, 0, width(), 16), Qt::AlignLeft | Qt::AlignVCenter, tr("Selection"));
  const QFont body = textFont(TextRole::body);
  const QFontMetricsF metrics(body);
  painter.setFont(body);
  if (facts_.empty()) {
    painter.setPen(colours().soft);
    painter.drawText(QRectF(0, kHeading, width(), 2 * kLine), Qt::AlignLeft | Qt::AlignTop | Qt::TextWordWrap,
                     tr("Click a cell, or drag over several."));
  }
  double y = kHeading;
  for (const auto& [what, value, explanation] : facts_) {
    const double valueWidth = std::min<double>(metrics.horizontalAdvance(value) + 1, width());
    painter.setPen(colours().text);
    painter.drawText(QRectF(width() - valueWidth, y, valueWidth, kLine), Qt::AlignRight | Qt::AlignVCenter,
                     metrics.elidedText(value, Qt::ElideRight, width()));
    painter.setPen(colours().soft);
    const double room = width() - valueWidth - 8;
    if (room > 16)
      painter.drawText(QRectF(0, y, room, kLine), Qt::AlignLeft | Qt::AlignVCenter,
                       metrics.elidedText(what, Qt::ElideRight, room));
    y += kLine;
    painter.setPen(QPen(colours().hairline, 1));
    painter.drawLine(QPointF(0, y - 0.5), QPointF(width(), y - 0.5));
  }
}

}  // namespace kvista
