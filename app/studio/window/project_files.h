// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <functional>

#include "app/studio/document.h"
#include "app/studio/recent_files.h"
#include "app/studio/recovery.h"
#include "app/studio/workflow.h"

namespace kvista {

/// Opening, saving and recovering, with the questions that they ask.
class ProjectFiles final : public QObject {
  Q_OBJECT

 public:
  ProjectFiles(Document& document, Workflow& workflow, RecentFiles& recent, Recovery& recovery, QWidget* window);
  void askForModelFolder();
  void askForFile();
  /// Asks about unsaved edits first.
  void open(const QString& path);
  /// One of the list: says so where it lies on another machine than the engine.
  void openRecent(const QString& path);
  void openDemo();
  void save();
  void saveAs();
  /// Saves, discards or stays, as the person answers; `then` runs unless they stay.
  void leave(std::function<void()> then);
  /// Offers what an earlier window that ended badly left behind.
  void offerRecovery();
  void locateRecent(const QString& missing);

 Q_SIGNALS:
  void failed(const QString& about, const kvista::Error& error);
  void saved(const QString& file);

 private:
  void saveTo(const QString& file, std::function<void()> then);
  [[nodiscard]] QString suggestedFile() const;
  void askForMovedModel(const QString& path, const Error& error);
  Document& document_;
  Workflow& workflow_;
  RecentFiles& recent_;
  Recovery& recovery_;
  QWidget* window_;
};

}  // namespace kvista
