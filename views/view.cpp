// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/view.h"

#include <QEvent>

namespace kvista {
namespace {

class ProxyWhileSeen final : public QObject {
 public:
  ProxyWhileSeen(QWidget* view, QWidget* part) : QObject(part), view_(view) { part->installEventFilter(this); }

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override {
    if (event->type() == QEvent::Show) view_->setFocusProxy(static_cast<QWidget*>(watched));
    if (event->type() == QEvent::Hide) view_->setFocusProxy(nullptr);
    return false;
  }

 private:
  QWidget* view_;
};

}  // namespace

void View::setKeyboardPart(QWidget* part) { new ProxyWhileSeen(this, part); }

}  // namespace kvista
