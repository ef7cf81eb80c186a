// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>

class QMimeData;

namespace kvista {

/// Files and folders of this machine among what is dropped.
QStringList localFiles(const QMimeData* data);

}  // namespace kvista
