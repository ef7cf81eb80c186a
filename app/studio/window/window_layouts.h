// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QMainWindow>
#include <QMap>
#include <QString>
#include <QStringList>

class QDockWidget;

namespace kvista {

using Docks = QMap<QString, QDockWidget*>;

/// "analyse", "edit", "compare", "try": what a layout shows, and where, until a person arranges it otherwise.
QStringList layoutNames();

/// Shows the docks of a layout at their usual places in a window that shows none yet, and has its final size.
void arrange(QMainWindow& window, const Docks& docks, const QString& layout);

}  // namespace kvista
