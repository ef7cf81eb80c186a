// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include "app/studio/store.h"
#include "app/studio/window/window_layouts.h"

namespace kvista {

class View;

/// Keeps in the project's session how its panels are set up: orders, colours, ranges, zoom, sizes of their parts.
class ViewStates final : public QObject {
  Q_OBJECT

 public:
  ViewStates(Store& session, const Docks& docks, QObject* parent);
  /// Sets every view up as the session says, or as usual; what cannot be used is dropped from it, and said.
  void restore();
  /// Writes every view's state into the session, for one that is new.
  void keep();

 private:
  void keep(const QString& dock);
  Store& session_;
  QMap<QString, View*> views_;
  bool restoring_ = false;
};

}  // namespace kvista
