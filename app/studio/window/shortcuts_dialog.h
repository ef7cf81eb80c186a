// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>

class QLabel;
class QPushButton;
class QTreeWidget;
class QTreeWidgetItem;

namespace kvista {

class ActionRegistry;

/// Every action by category with its shortcut. A double click or F2 on one waits for keys; Delete takes its keys away.
/// Keys that another action has are refused in a sentence that names it. Changes hold at once.
class ShortcutsDialog final : public QDialog {
  Q_OBJECT

 public:
  explicit ShortcutsDialog(ActionRegistry& actions, QWidget* parent = nullptr);
  /// Why the last change was refused; empty: it was not.
  [[nodiscard]] QString reason() const;

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void edit();
  void fill();
  void showShortcuts();
  void set(const QString& id, const QKeySequence& keys);
  void resetCurrent();
  void resetAll();
  [[nodiscard]] QString currentId() const;
  ActionRegistry& actions_;
  QTreeWidget* list_;
  QLabel* reason_;
  QPushButton *change_, *remove_, *reset_;
};

}  // namespace kvista
