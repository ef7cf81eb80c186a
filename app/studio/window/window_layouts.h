// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QMainWindow>
#include <QMap>
#include <QString>
#include <QStringList>

class QDockWidget;

namespace kvista {

using Docks = QMap<QString, QDockWidget*>;

/// "analyse", "edit", "compare", "try": what a layout shows, and where, until a person arranges it otherwise.
QStringList layoutNames();

/// A window of this size has room for few panels at a time.
bool isSmall(const QSize& window);

/// Shows the docks of a layout at their usual places in a window that shows none yet, and has its final size. `small`:
/// with more of them behind each other.
void arrange(QMainWindow& window, const Docks& docks, const QString& layout, bool small);

/// An arrangement to be kept, with a checksum before it: Qt takes much that is damaged for one.
QByteArray sealed(const QByteArray& arrangement);
/// What was kept; empty where it is damaged.
QByteArray unsealed(const QByteArray& kept);

}  // namespace kvista
