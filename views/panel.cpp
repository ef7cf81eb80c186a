// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/panel.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QVBoxLayout>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kTitleHeight = 34, kRadius = 8, kMargin = 12;

}  // namespace

Panel::Panel(View* view, QWidget* parent)
    : QFrame(parent), view_(view), titleBar_(new QWidget(this)), title_(new QLabel(titleBar_)), remark_(new QLabel(titleBar_)) {
  titleBar_->setFixedHeight(kTitleHeight);
  title_->setFont(textFont(TextRole::title));
  remark_->setForegroundRole(QPalette::PlaceholderText);
  remark_->setMinimumWidth(0);
  remark_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  auto* bar = new QHBoxLayout(titleBar_);
  bar->setContentsMargins(kMargin, 0, 6, 0);
  bar->setSpacing(10);
  bar->addWidget(title_);
  bar->addWidget(remark_, 1);
  if (QWidget* controls = view->controls()) bar->addWidget(controls);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(1, 1, 1, 1);
  column->setSpacing(0);
  column->addWidget(titleBar_);
  column->addSpacing(1);
  column->addWidget(view_, 1);
  connect(view_, &View::titleChanged, this, &Panel::showTitle);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  showTitle();
}

void Panel::showTitle() {
  title_->setText(view_->title());
  remark_->setText(view_->remark());
  setAccessibleName(view_->title());
}

void Panel::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(colours().hairline);
  painter.setBrush(colours().panel);
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), kRadius, kRadius);
  painter.setRenderHint(QPainter::Antialiasing, false);
  painter.drawLine(1, kTitleHeight + 1, width() - 2, kTitleHeight + 1);
}

}  // namespace kvista
