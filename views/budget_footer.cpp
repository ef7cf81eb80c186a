// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/budget_footer.h"

#include <QEvent>
#include <QHeaderView>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "views/budget_model.h"
#include "views/icon.h"
#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kSums = 32, kLine = 38, kMargin = 8, kSign = 24;

}  // namespace

BudgetFooter::BudgetFooter(QHeaderView* header, QWidget* parent) : QWidget(parent), header_(header) {
  // Not fixed: that would be the height at the width before.
  QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Minimum);
  policy.setHeightForWidth(true);
  setSizePolicy(policy);
  connect(header, &QHeaderView::sectionResized, this, qOverload<>(&QWidget::update));
  connect(header, &QHeaderView::geometriesChanged, this, qOverload<>(&QWidget::update));
}

void BudgetFooter::setRecord(const BudgetRecord& record) {
  groups_ = static_cast<int>(record.rows.size());
  locked_ = 0;
  ranks_ = directions_ = bytes_ = 0;
  double loss = 0;
  bool known = !record.rows.empty();
  for (const BudgetRow& row : record.rows) {
    locked_ += row.locked ? 1 : 0;
    ranks_ += row.rank;
    directions_ += row.directions;
    bytes_ += row.bytes;
    known = known && row.predictedLoss;
    loss += row.predictedLoss.value_or(0);
  }
  loss_ = known ? std::optional(loss) : std::nullopt;
  record_ = record;
  record_.rows.clear();
  setAccessibleName(tr("Total"));
  setAccessibleDescription(budgetText());
  layOut();
}

void BudgetFooter::setControls(QWidget* controls) {
  controls_ = controls;
  layOut();
}

void BudgetFooter::setReason(const QString& reason) {
  reason_ = reason;
  layOut();
}

QString BudgetFooter::line() const {
  if (!reason_.isEmpty()) return reason_;
  return record_.note.isEmpty() || isOverBudget() ? budgetText() : budgetText() + QStringLiteral(" · ") + record_.note;
}

BudgetFooter::Places BudgetFooter::placesIn(int width) const {
  constexpr int kTop = kSums - 2, kHeight = kLine - 4;
  const QFontMetrics metrics(textFont(TextRole::body));
  const int left = 2 * kMargin + (warns() ? kSign : 0), right = width - kMargin;
  const QSize controls =
      controls_ ? controls_->sizeHint().boundedTo({std::max(0, right - kMargin), kHeight}) : QSize(0, 0);
  const bool isBeside = left + metrics.horizontalAdvance(line()) + 2 * kMargin + controls.width() <= right;
  const QRect room(left, kTop, std::max(1, right - left), 10 * kLine);
  Places places;
  places.line = QRect(left, kTop, isBeside ? right - controls.width() - 2 * kMargin - left : room.width(),
                      isBeside ? kHeight : metrics.boundingRect(room, Qt::TextWordWrap, line()).height() + kMargin);
  const int top = isBeside || !controls_ ? kTop : places.line.bottom() + 1;
  places.controls = QRect(QPoint(right - controls.width(), top + (kHeight - controls.height()) / 2), controls);
  places.height = std::max(top + kHeight, places.line.bottom() + 1) + 6;
  return places;
}

QSize BudgetFooter::sizeHint() const { return {4 * kLine, heightForWidth(width())}; }

void BudgetFooter::layOut() {
  if (controls_) controls_->setGeometry(placesIn(width()).controls);
  updateGeometry();
  update();
}

void BudgetFooter::resizeEvent(QResizeEvent*) {
  if (controls_) controls_->setGeometry(placesIn(width()).controls);
}

bool BudgetFooter::event(QEvent* event) {
  if (event->type() == QEvent::LayoutRequest) layOut();  // The controls are as wide as what is in them.
  return QWidget::event(event);
}

QString BudgetFooter::budgetText() const {
  QString text =
      record_.target.kind == Target::Kind::maxLoss
          ? tr("achieved %1").arg(bytesText(record_.achievedBytes))
          : tr("requested %1 · achieved %2").arg(bytesText(record_.requestedBytes), bytesText(record_.achievedBytes));
  if (record_.measuredLoss)
    text += tr(" · measured %1 nats a token")
                .arg(decimalText(*record_.measuredLoss, lossDecimals(std::abs(*record_.measuredLoss))));
  if (isOverBudget())
    text = tr("Over budget by %1 · ").arg(bytesText(record_.achievedBytes - record_.requestedBytes)) + text;
  return text;
}

void BudgetFooter::paintSums(QPainter& painter, const QRectF& row) const {
  const Palette& look = colours();
  painter.setFont(textFont(TextRole::strong));
  painter.setPen(look.text);
  const auto put = [&](int column, const QString& text, Qt::Alignment alignment) {
    const QRectF cell(row.left() + header_->sectionViewportPosition(column) + kMargin, row.top(),
                      header_->sectionSize(column) - 2 * kMargin, row.height());
    if (header_->isSectionHidden(column)) return;
    painter.drawText(cell, static_cast<int>(Qt::AlignVCenter | alignment), text);
  };
  const double left = row.left() + header_->sectionViewportPosition(BudgetModel::layer) + kMargin + 8;
  const QString locked = locked_ > 0 ? tr(" · %1 locked").arg(locked_) : QString();
  painter.drawText(QRectF(left, row.top(), 400, row.height()), Qt::AlignVCenter,
                   tr("%n group(s)", nullptr, groups_) + locked);
  put(BudgetModel::rank, countText(ranks_), Qt::AlignRight);
  put(BudgetModel::bytes, countText(bytes_), Qt::AlignRight);
  if (record_.fullBytes > 0)
    put(BudgetModel::kept, percentText(static_cast<double>(bytes_) / static_cast<double>(record_.fullBytes)),
        Qt::AlignRight);
  if (loss_)
    put(BudgetModel::predicted, QStringLiteral("~ ") + decimalText(*loss_, lossDecimals(*loss_)), Qt::AlignRight);
}

void BudgetFooter::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const Palette& look = colours();
  painter.fillRect(QRect(0, 0, width(), 1), look.hairline);
  paintSums(painter, QRectF(0, 1, width(), kSums - 1));
  painter.setFont(textFont(TextRole::body));
  const QRect place = placesIn(width()).line;
  if (warns())
    icon(QStringLiteral("dialog-warning"), look.warning)
        .paint(&painter, QRect(place.left() - kSign, place.center().y() - 7, 16, 16));
  painter.setPen(warns() ? look.warning : look.soft);
  painter.drawText(place, Qt::AlignVCenter | Qt::TextWordWrap, line());
}

}  // namespace kvista
