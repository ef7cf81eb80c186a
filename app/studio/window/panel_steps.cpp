// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/panel_steps.h"

#include <QTabBar>
#include <algorithm>
#include <tuple>

namespace kvista {
namespace {

bool takesKeyboard(const QWidget& widget, const QWidget& part) {
  return (widget.focusPolicy() & Qt::TabFocus) && widget.isEnabled() && widget.isVisibleTo(&part) &&
         !widget.focusProxy();
}

/// Which tab of its bar a dock is; 0 where it has none.
int tabOf(const QMainWindow& window, const QDockWidget& dock) {
  for (const QTabBar* bar : window.findChildren<QTabBar*>(QString(), Qt::FindDirectChildrenOnly))
    for (int i = 0; i < bar->count(); ++i)
      if (bar->tabText(i) == dock.windowTitle()) return i;
  return 0;
}

}  // namespace

QList<QDockWidget*> panelsInOrder(const QMainWindow& window) {
  QList<QDockWidget*> fronts;
  for (QDockWidget* dock : window.findChildren<QDockWidget*>(QString(), Qt::FindDirectChildrenOnly))
    if (!dock->isHidden() && (dock->isFloating() || window.rect().intersects(dock->geometry()))) fronts += dock;
  std::ranges::sort(fronts, {},
                    [](const QDockWidget* dock) { return std::tuple(dock->isFloating(), dock->x(), dock->y()); });
  QList<QDockWidget*> all;
  for (QDockWidget* front : fronts) {
    QList<QDockWidget*> stack = window.tabifiedDockWidgets(front);
    stack.removeIf([](const QDockWidget* dock) { return dock->isHidden(); });
    stack += front;
    std::ranges::sort(stack, {}, [&window](const QDockWidget* dock) { return tabOf(window, *dock); });
    all += stack;
  }
  return all;
}

bool focusInto(QWidget& part) {
  if (QWidget* last = part.focusWidget(); last && part.isAncestorOf(last) && takesKeyboard(*last, part)) {
    last->setFocus(Qt::ShortcutFocusReason);
    return true;
  }
  // The chain goes through the whole window; a part's own widgets come in the order that Tab takes.
  for (QWidget* each = part.nextInFocusChain(); each && each != &part; each = each->nextInFocusChain())
    if (part.isAncestorOf(each) && takesKeyboard(*each, part)) {
      each->setFocus(Qt::ShortcutFocusReason);
      return true;
    }
  return false;
}

}  // namespace kvista
