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
  setFeatures(DockWidgetClosable | DockWidgetMovable | DockWidgetFloatable);
}

}  // namespace kvista
