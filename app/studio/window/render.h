// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>

#include "app/studio/engine_command.h"
#include "core/base/error.h"

namespace kvista {

struct RenderRequest {
  QString view, project, output;
  QString size;  ///< "1200x600"
};

/// Views that can be drawn without a window.
QStringList renderedViews();

/// Opens the project, asks the engine for what the view needs, and draws it. Waits for the engine.
Result<void> render(const RenderRequest& request, const EngineCommand& engine);

}  // namespace kvista
