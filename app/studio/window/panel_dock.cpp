// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/panel_dock.h"

#include "views/panel.h"

namespace kvista {

PanelDock::PanelDock(const QString& name, const QString& title, View* view, QWidget* parent)
    : QDockWidget(title, parent), view_(view) {
  setObjectName(name);
  view->setObjectName(name + QStringLiteral("View"));
  setTitleBarWidget(new PanelTitle(view, this));
  setWidget(new PanelBody(view, this));
  // A dock behind another stays visible to Qt: without this the keyboard would go through what nobody sees.
  connect(this, &QDockWidget::visibilityChanged, this, [this](bool isInFront) {
    isInFront_ = isInFront;
    titleBarWidget()->setEnabled(isInFront);
    widget()->setEnabled(isInFront);
  });
  setFeatures(DockWidgetClosable | DockWidgetMovable | DockWidgetFloatable);
}

}  // namespace kvista
