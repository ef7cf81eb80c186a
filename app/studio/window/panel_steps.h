// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDockWidget>
#include <QList>
#include <QMainWindow>

namespace kvista {

/// The docks that a window shows, from left to right and from top to bottom, those in one place in the order of their
/// tabs.
QList<QDockWidget*> panelsInOrder(const QMainWindow& window);

/// Gives the keyboard to where it was last in `part`, or to the first widget in it that takes it. False if none does.
bool focusInto(QWidget& part);

}  // namespace kvista
