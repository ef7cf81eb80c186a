// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/table_file.h"

#include <fmt/format.h>

#include <QFileInfo>

#include "core/io/atomic_file.h"

namespace kvista {

Result<void> writeTable(const QString& file, const PlainTable& table) {
  const QString ending = QFileInfo(file).suffix().toLower();
  const bool isCsv = ending == QStringLiteral("csv");
  if (!isCsv && ending != QStringLiteral("tsv"))
    return fail(ErrorCode::invalidArgument,
                fmt::format("The table {} cannot be written as \"{}\".", file.toStdString(), ending.toStdString()),
                "End the file's name with .csv or .tsv.");
  return writeFileAtomically(file.toStdString(), (isCsv ? commaSeparated(table) : tabSeparated(table)).toStdString());
}

}  // namespace kvista
