// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAction>
#include <QIcon>
#include <QKeySequence>
#include <QList>
#include <QObject>
#include <QString>
#include <functional>
#include <vector>

#include "app/studio/store.h"
#include "core/base/error.h"

namespace kvista {

struct ActionSpecification {
  QString id;        ///< "edit.undo"; never shown, never changed.
  QString text;      ///< As in a menu.
  QString category;  ///< "Edit"
  QKeySequence shortcut = {};
  std::function<bool()> enabled = {};  ///< Empty: always.
  QString tip = {};
  QIcon icon = {};
};

/// Everything that can be done, under ids: menus, the palette and the list of shortcuts are made from it. Shortcuts
/// that a person has chosen are kept in the settings.
class ActionRegistry final : public QObject {
  Q_OBJECT

 public:
  struct Entry {
    ActionSpecification specification;
    QAction* action;
  };

  explicit ActionRegistry(Store& settings, QObject* parent = nullptr);
  /// `run` is called while `context` lives. The id must be new.
  QAction* add(ActionSpecification specification, QObject* context, std::function<void()> run);
  /// One made elsewhere, such as a dock's own; its text and shortcut are the specification's.
  QAction* add(ActionSpecification specification, QAction* action);
  /// Null for an id that there is not.
  [[nodiscard]] QAction* action(const QString& id) const;
  /// In the order they were added.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] QList<QAction*> actions() const;
  /// Asks every predicate again; to be called when what they look at has changed.
  void refresh();

  /// Empty: none. Refuses one that another action has, and names it, and keys without Ctrl or Alt that type or move.
  Result<void> setShortcut(const QString& id, const QKeySequence& shortcut);
  /// As setShortcut: another action may have it by now.
  Result<void> resetShortcut(const QString& id);
  void resetShortcuts();
  /// Pairs "Text / Text: Ctrl+K" of actions with the same shortcut; there must be none.
  [[nodiscard]] QStringList duplicateShortcuts() const;

 private:
  [[nodiscard]] const Entry* find(const QString& id) const;
  /// Who has a shortcut; null: nobody else than `except`.
  [[nodiscard]] const Entry* holder(const QKeySequence& shortcut, const QAction* except) const;
  void yieldTo(const Entry& entry);
  Store& settings_;
  std::vector<Entry> entries_;
};

/// An action's text without the mark of its mnemonic.
QString plainText(const QAction& action);

}  // namespace kvista
