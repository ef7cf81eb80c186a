// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <QWidget>
#include <functional>

class QListWidget;

namespace kvista {

/// Text files and folders to read: added by dialog or drop, removed with Delete.
class FileList final : public QWidget {
  Q_OBJECT

 public:
  explicit FileList(QWidget* parent = nullptr);
  [[nodiscard]] QStringList paths() const;
  void setPaths(const QStringList& paths);
  /// Paths are asked for in this way instead of by dialogs of files: for those of another machine, of which none can be
  /// dropped.
  using Asking = std::function<void(std::function<void(const QString&)> chosen)>;
  void setAsking(Asking asking);
  /// Only files can be added.
  void leaveFoldersOut();
  /// What the dialog of files is called and shows, where it is not text.
  void setKind(const QString& caption, const QString& filter);

 Q_SIGNALS:
  void changed();

 protected:
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  void add(const QStringList& paths);
  QListWidget* list_;
  QString caption_, filter_;
  Asking asking_;
};

}  // namespace kvista
