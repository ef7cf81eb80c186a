// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/places.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>

namespace kvista {

QString demoFolder() {
  const QDir here(QCoreApplication::applicationDirPath());
  for (const char* place : {"../share/kvista/demo", "../../../resources/demo"}) {
    const QString folder = QDir::cleanPath(here.filePath(QLatin1String(place)));
    if (QFileInfo::exists(folder + QStringLiteral("/model/config.json"))) return folder;
  }
  return {};
}

QString calibrationFile(const QString& model, const QString& hash) {
  const QString data = QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation);
  return QStringLiteral("%1/kvista/statistics/%2-%3.kvstats").arg(data, QFileInfo(model).fileName(), hash);
}

}  // namespace kvista
