// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QCoreApplication>
#include <cstdint>
#include <string>

#include "views/lab_table.h"

namespace kvista {

/// The words of the lab's tables.
class LabText {
  Q_DECLARE_TR_FUNCTIONS(kvista::LabText)
};

/// What the lab's tables have in their cells; files get numbers as they are.
QString signedText(double value, int decimals);
LabCell number(double value, const QString& text);
LabCell percent(double part);
LabCell count(std::int64_t value);
/// Nothing in files.
LabCell none();
/// In one line; of a long text its beginning, or its `end`.
LabCell words(const std::string& text, bool end = false);
/// A token by itself, whose blanks are all there is to see.
LabCell token(const std::string& text);
/// Its name; the path is its tip.
LabCell file(const std::string& path);

}  // namespace kvista
