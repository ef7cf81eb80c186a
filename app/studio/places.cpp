// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/places.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>

namespace kvista {

namespace {

/// A folder of the installation or of the sources of a build, known by a file in it; empty where there is neither.
QString resourceFolder(const QString& name, const QString& file) {
  const QDir here(QCoreApplication::applicationDirPath());
  for (const char* place : {"../share/kvista/", "../../../resources/"}) {
    const QString folder = QDir::cleanPath(here.filePath(QLatin1String(place) + name));
    if (QFileInfo::exists(folder + QLatin1Char('/') + file)) return folder;
  }
  return {};
}

}  // namespace

QString demoFolder() { return resourceFolder(QStringLiteral("demo"), QStringLiteral("model/config.json")); }
QString demoFileOf(const QString& model, const QString& name) {
  const QString demo = demoFolder();
  return !demo.isEmpty() && model == demo + QStringLiteral("/model") ? demo + QLatin1Char('/') + name : QString();
}

QString experimentsFolder() { return resourceFolder(QStringLiteral("experiments"), QStringLiteral("demo.json")); }

QString calibrationFile(const QString& model, const QString& hash) {
  const QString data = QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation);
  return QStringLiteral("%1/kvista/statistics/%2-%3.kvstats").arg(data, QFileInfo(model).fileName(), hash);
}

}  // namespace kvista
