// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDateTime>
#include <QObject>
#include <QString>
#include <vector>

#include "app/studio/store.h"

namespace kvista {

struct RecentFile {
  QString path;
  QDateTime opened = {};  ///< The last time; invalid where an older version kept the path only.
  QString host = {};      ///< The machine whose path it is; empty: this one.
  bool missing = false;
  bool operator==(const RecentFile&) const = default;
};

/// Projects and models opened last, newest first. Whether they are still there is looked up in the background: a path
/// may lie on a file server that does not answer. Those of another machine are not looked up: nobody here can tell.
class RecentFiles final : public QObject {
  Q_OBJECT

 public:
  explicit RecentFiles(Store& settings, QObject* parent = nullptr);
  [[nodiscard]] const std::vector<RecentFile>& files() const { return files_; }
  /// `host`: the machine whose path it is; empty: this one.
  void add(const QString& path, const QString& host = {});
  void remove(const QString& path);
  /// The person has found a missing one again.
  void locate(const QString& missing, const QString& path);
  /// Looks again which ones are there.
  void refresh();

 Q_SIGNALS:
  void changed();

 private:
  void store();
  Store& settings_;
  std::vector<RecentFile> files_;
};

}  // namespace kvista
