// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/window_size.h"

#include <algorithm>

#include <QScreen>
#include <QScrollArea>
#include <QVBoxLayout>

namespace kvista {
namespace {

constexpr QSize kFrame(16, 48);

}  // namespace

void resizeToScreen(QWidget& window, QSize size) {
  window.resize(size.boundedTo(window.screen()->availableSize() - kFrame));
}

QFormLayout* scrolledForm(QDialog& dialog) {
  auto* all = new QVBoxLayout(&dialog);
  all->setContentsMargins(0, 0, 0, 16);
  auto* area = new QScrollArea(&dialog);
  area->setFrameShape(QFrame::NoFrame);
  area->setWidgetResizable(true);
  area->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  area->setFocusPolicy(Qt::NoFocus);
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
  const int heightOfForm = form.hasHeightForWidth() ? form.heightForWidth(width) : form.sizeHint().height();
  form.parentWidget()->setMinimumWidth(form.minimumSize().width());
  resizeToScreen(dialog, {std::max(width, form.minimumSize().width()), heightOfForm + buttons.sizeHint().height() + dialog.layout()->spacing() + 16});
}

}  // namespace kvista
