// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/panel.h"

#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QScrollArea>
#include <QVBoxLayout>

#include "views/elided_label.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kTitleHeight = 35, kRadius = 8, kMargin = 12, kFrame = 1;
/// No body is required to be larger: four of them must fit a laptop's screen at a large scale.
constexpr QSize kLeast(180, 96);

/// The part of a rounded frame that `part` shows: the frame is drawn beyond the edge that the other part carries on
/// from.
void paintFrame(QWidget* part, int beyondTop, int beyondBottom) {
  QPainter painter(part);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(colours().hairline);
  painter.setBrush(colours().panel);
  painter.drawRoundedRect(QRectF(part->rect()).adjusted(0.5, 0.5 - beyondTop, -0.5, beyondBottom - 0.5), kRadius,
                          kRadius);
}

/// What is scrolled: the view, as large as there is room, and no smaller than it must be. By itself a scroll area would
/// give a view with wrapped texts the height it would like to have.
class Room final : public QWidget {
 public:
  explicit Room(View* view) : view_(view) { view->setParent(this); }
  [[nodiscard]] QSize minimumSizeHint() const override { return view_->minimumSizeHint(); }

 protected:
  void resizeEvent(QResizeEvent*) override { view_->setGeometry(rect()); }
  bool event(QEvent* event) override {
    if (event->type() == QEvent::LayoutRequest) updateGeometry();
    return QWidget::event(event);
  }

 private:
  View* view_;
};

}  // namespace

PanelTitle::PanelTitle(View* view, QWidget* parent)
    : QWidget(parent), view_(view), title_(new QLabel(this)), remark_(new ElidedLabel(this)) {
  setFixedHeight(kTitleHeight);
  title_->setFont(textFont(TextRole::title));
  auto* bar = new QHBoxLayout(this);
  bar->setContentsMargins(kMargin, 0, 6, 1);
  bar->setSpacing(10);
  bar->addWidget(title_);
  bar->addWidget(remark_, 1);
  if (QWidget* controls = view->controls()) bar->addWidget(controls);
  const auto show = [this] {
    title_->setText(view_->title());
    remark_->setText(view_->remark());
    remark_->setToolTip(view_->remark());
  };
  connect(view, &View::titleChanged, this, show);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  show();
}

QSize PanelTitle::sizeHint() const { return {QWidget::sizeHint().width(), kTitleHeight}; }
QSize PanelTitle::minimumSizeHint() const { return {QWidget::minimumSizeHint().width(), kTitleHeight}; }

void PanelTitle::paintEvent(QPaintEvent*) {
  paintFrame(this, 0, 2 * kRadius);
  QPainter painter(this);
  painter.setPen(colours().hairline);
  painter.drawLine(1, height() - 1, width() - 2, height() - 1);
}

PanelBody::PanelBody(View* view, QWidget* parent) : QWidget(parent), view_(view) {
  auto* scroll = new QScrollArea(this);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setFocusPolicy(Qt::NoFocus);
  scroll->setWidgetResizable(true);
  auto* room = new Room(view);
  scroll->setWidget(room);
  // What is behind them is painted here.
  for (QWidget* part : {scroll->viewport(), static_cast<QWidget*>(room)}) part->setAutoFillBackground(false);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kFrame, 0, kFrame, kFrame);
  column->addWidget(scroll);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

QSize PanelBody::sizeHint() const { return view_->sizeHint().grownBy({kFrame, 0, kFrame, kFrame}); }

QSize PanelBody::minimumSizeHint() const {
  return view_->minimumSizeHint().boundedTo(kLeast).grownBy({kFrame, 0, kFrame, kFrame});
}

void PanelBody::paintEvent(QPaintEvent*) { paintFrame(this, 2 * kRadius, 0); }

Panel::Panel(View* view, QWidget* parent) : QWidget(parent) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(new PanelTitle(view, this));
  column->addWidget(new PanelBody(view, this), 1);
}

}  // namespace kvista
