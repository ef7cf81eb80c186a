// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>

#include "core/base/error.h"
#include "views/plain_table.h"

namespace kvista {

/// Writes a table as .csv or .tsv, by the file's ending (invalidArgument for another): UTF-8, numbers in the C locale.
/// The file appears whole or not at all.
Result<void> writeTable(const QString& file, const PlainTable& table);

}  // namespace kvista
