// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/window_size.h"

#include <QEvent>
#include <QScreen>
#include <QScrollArea>
#include <QVBoxLayout>
#include <algorithm>

namespace kvista {
namespace {

constexpr QSize kFrame(16, 48);

/// A form that its dialog grows with, as far as the screen has room; beyond that it scrolls.
class FormArea final : public QScrollArea {
 public:
  explicit FormArea(QDialog& dialog) : QScrollArea(&dialog) {
    setFrameShape(QFrame::NoFrame);
    setWidgetResizable(true);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setFocusPolicy(Qt::NoFocus);
  }

 protected:
  bool eventFilter(QObject* object, QEvent* event) override {
    const bool isHandled = QScrollArea::eventFilter(object, event);
    if (object == widget() && event->type() == QEvent::LayoutRequest) grow();
    return isHandled;
  }
  void showEvent(QShowEvent* event) override {
    QScrollArea::showEvent(event);
    grow();
  }

 private:
  void grow() {
    const QLayout& form = *widget()->layout();
    const int needed =
        form.hasHeightForWidth() ? form.totalHeightForWidth(viewport()->width()) : form.totalSizeHint().height();
    QWidget* dialog = window();
    if (isVisible() && needed > viewport()->height())
      resizeToScreen(*dialog, {dialog->width(), dialog->height() + needed - viewport()->height()});
  }
};

}  // namespace

void resizeToScreen(QWidget& window, QSize size) {
  window.resize(size.boundedTo(window.screen()->availableSize() - kFrame));
}

QFormLayout* scrolledForm(QDialog& dialog) {
  auto* all = new QVBoxLayout(&dialog);
  all->setContentsMargins(0, 0, 0, 16);
  auto* area = new FormArea(dialog);
  auto* content = new QWidget(area);
  auto* form = new QFormLayout(content);
  form->setContentsMargins(20, 20, 20, 0);
  form->setVerticalSpacing(8);
  area->setWidget(content);
  all->addWidget(area, 1);
  return form;
}

void finishScrolledForm(QDialog& dialog, QFormLayout& form, QWidget& buttons, int width) {
  auto* below = new QVBoxLayout;
  below->setContentsMargins(20, 0, 20, 0);
  below->addWidget(&buttons);
  static_cast<QVBoxLayout*>(dialog.layout())->addLayout(below);
  dialog.resize(std::max(width, form.minimumSize().width()), dialog.sizeHint().height());
}

}  // namespace kvista
