// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>

#include "core/base/error.h"

namespace kvista {

/// How the engine is started: a program that speaks frames over its standard input and output.
struct EngineCommand {
  QString program;
  QStringList arguments;
  bool operator==(const EngineCommand&) const = default;

  /// `kvista engine` of the program beside this one.
  static EngineCommand local();
  /// As a person gives it: nothing is local(), anything else fromText.
  static Result<EngineCommand> chosen(const QString& text);
  /// A command line with quotes, no shell: "ssh gpu kvista engine". Errors (invalidArgument): an empty one.
  static Result<EngineCommand> fromText(const QString& text);
  /// The way back; for messages too.
  [[nodiscard]] QString text() const;
};

}  // namespace kvista
