// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDockWidget>

#include "views/view.h"

namespace kvista {

/// A view in a dock that looks like a panel: dragged by its title, floated by a double click on it.
class PanelDock final : public QDockWidget {
  Q_OBJECT

 public:
  /// `name` stays the same over versions: saved layouts know the dock by it.
  PanelDock(const QString& name, const QString& title, View* view, QWidget* parent);
  [[nodiscard]] View* view() const { return view_; }
  [[nodiscard]] bool isInFront() const { return isInFront_; }  ///< Shown, and behind no other.

 private:
  View* view_;
  bool isInFront_ = false;
};

}  // namespace kvista
