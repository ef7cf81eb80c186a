// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QIcon>
#include <QString>

namespace kvista {

/// An icon of resources/icons ("object-locked") in a colour of the present look; sharp at every scale.
QIcon icon(const QString& name, const QColor& colour);
/// In the colour of quiet text.
QIcon icon(const QString& name);

}  // namespace kvista
