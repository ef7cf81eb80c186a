// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>
#include <optional>

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
  /// The machine that the engine runs on where the command starts it through something else, such as ssh: its paths are
  /// then not this one's. Absent for a kvista that is started itself.
  [[nodiscard]] std::optional<QString> host() const;
  [[nodiscard]] QString text() const;
};

}  // namespace kvista
