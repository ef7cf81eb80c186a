// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/focus_ring.h"

#include <QApplication>
#include <QFocusEvent>
#include <QPainter>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kOutside = 2, kWidth = 2, kRadius = 6;

class Line final : public QWidget {
 public:
  explicit Line(QWidget* window) : QWidget(window) {
    setObjectName(QStringLiteral("focusRing"));
    setAttribute(Qt::WA_TransparentForMouseEvents);
    setAttribute(Qt::WA_NoSystemBackground);
    setFocusPolicy(Qt::NoFocus);
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colours().accent, kWidth));
    constexpr double kHalf = kWidth / 2.0;
    painter.drawRoundedRect(QRectF(rect()).adjusted(kHalf, kHalf, -kHalf, -kHalf), kRadius, kRadius);
  }
  /// What is inside is painted without us.
  void resizeEvent(QResizeEvent*) override {
    constexpr int kBorder = kRadius;
    setMask(QRegion(rect()).subtracted(rect().adjusted(kBorder, kBorder, -kBorder, -kBorder)));
  }
};

/// The part of a widget that its window shows, in the window's coordinates.
QRect seenInWindow(const QWidget& widget) {
  QRect seen = widget.rect();
  for (const QWidget* each = &widget; !each->isWindow(); each = each->parentWidget())
    seen = seen.translated(each->pos()) & each->parentWidget()->rect();
  return seen;
}

}  // namespace

FocusRing::FocusRing(QObject* parent) : QObject(parent) { qApp->installEventFilter(this); }

FocusRing::~FocusRing() { delete line_; }

bool FocusRing::eventFilter(QObject* watched, QEvent* event) {
  switch (event->type()) {
    case QEvent::FocusIn:
      if (watched != QApplication::focusWidget()) break;
      if (const auto reason = static_cast<QFocusEvent*>(event)->reason();
          reason == Qt::TabFocusReason || reason == Qt::BacktabFocusReason || reason == Qt::ShortcutFocusReason)
        wanted_ = true;
      else if (reason == Qt::MouseFocusReason)
        wanted_ = false;
      of_ = QApplication::focusWidget();
      follow();
      break;
    case QEvent::FocusOut:
      if (watched == of_) hide();
      break;
    case QEvent::MouseButtonPress:
      wanted_ = false;
      hide();
      break;
    case QEvent::Move:
    case QEvent::Resize:
    case QEvent::Show:
    case QEvent::Hide:
    case QEvent::ZOrderChange: {
      if (!wanted_ || !of_ || !watched->isWidgetType() || watched == line_) break;
      const auto* widget = static_cast<QWidget*>(watched);
      // Its own place changes with those of the widgets it lies in.
      if (widget == of_ || widget->isAncestorOf(of_))
        QMetaObject::invokeMethod(this, &FocusRing::follow, Qt::QueuedConnection);
      break;
    }
    default:
      break;
  }
  return QObject::eventFilter(watched, event);
}

void FocusRing::follow() {
  if (!wanted_ || !of_ || of_->isWindow() || !of_->hasFocus() || !of_->isVisible())
    return hide();  // Round a window it says nothing.
  const QRect seen = seenInWindow(*of_);
  if (seen.isEmpty()) return hide();
  if (line_ && line_->parentWidget() != of_->window()) delete line_;
  if (!line_) line_ = new Line(of_->window());
  line_->setGeometry(seen.adjusted(-kOutside, -kOutside, kOutside, kOutside) & of_->window()->rect());
  line_->raise();
  line_->show();
}

void FocusRing::hide() {
  if (line_) line_->hide();
}

}  // namespace kvista
