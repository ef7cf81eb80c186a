// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QList>

class QAction;
class QLineEdit;
class QListWidget;

namespace kvista {

/// The property of an action that says what is not there while it cannot be done, for the palette.
inline constexpr const char* kNeed = "need";

/// Every action by name: type some of its letters, Enter does it (S45).
class CommandPalette final : public QDialog {
  Q_OBJECT

 public:
  CommandPalette(const QList<QAction*>& actions, QWidget* parent);

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void showMatches(const QString& typed);
  void runCurrent();
  QList<QAction*> actions_;
  QLineEdit* field_;
  QListWidget* list_;
};

/// How well `typed` fits `text`, its letters in order: smaller is better, -1 for not at all. An empty `typed` fits all.
int fuzzyRank(const QString& typed, const QString& text);

}  // namespace kvista
