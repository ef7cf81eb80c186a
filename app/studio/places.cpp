// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/places.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>

namespace kvista {

QString demoFolder() {
  const QDir here(QCoreApplication::applicationDirPath());
  for (const char* place : {"../share/kvista/demo", "../../../resources/demo"}) {
    const QString folder = QDir::cleanPath(here.filePath(QLatin1String(place)));
    if (QFileInfo::exists(folder + QStringLiteral("/model/config.json"))) return folder;
  }
  return {};
}

}  // namespace kvista
