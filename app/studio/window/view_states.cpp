// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/view_states.h"

#include "app/studio/window/panel_dock.h"

namespace kvista {
namespace {

std::string nameOf(const QString& dock) { return "view." + dock.toStdString(); }

}  // namespace

ViewStates::ViewStates(Store& session, const Docks& docks, QObject* parent) : QObject(parent), session_(session) {
  for (auto at = docks.begin(); at != docks.end(); ++at) {
    View* view = static_cast<PanelDock*>(at.value())->view();
    views_.insert(at.key(), view);
    connect(view, &View::viewStateChanged, this, [this, dock = at.key()] {
      if (!restoring_) keep(dock);
    });
  }
}

void ViewStates::restore() {
  restoring_ = true;
  for (auto at = views_.begin(); at != views_.end(); ++at) {
    const std::string name = nameOf(at.key());
    if (!at.value()->setViewState(session_.get(Key<QJsonObject>{name.c_str(), {}})))
      session_.reject(name, tr("the panel could not be set up as it was"));
  }
  restoring_ = false;
}

void ViewStates::keep() {
  for (const QString& dock : views_.keys()) keep(dock);
}

void ViewStates::keep(const QString& dock) {
  const QJsonObject state = views_.value(dock)->viewState();
  const std::string name = nameOf(dock);
  if (state.isEmpty()) return session_.remove(name);
  session_.set(Key<QJsonObject>{name.c_str(), {}}, state);
}

}  // namespace kvista
