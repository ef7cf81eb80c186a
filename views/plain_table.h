// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>
#include <vector>

class QAbstractItemModel;

namespace kvista {

/// A table as it leaves the window: for a spreadsheet on the clipboard, or as a file. Numbers are written exactly and
/// in the C locale; what is not known is empty.
struct PlainTable {
  QStringList header;
  std::vector<QStringList> rows;
  bool operator==(const PlainTable&) const = default;
};

/// A line of headers and a line a row, with tabs between cells; tabs and line ends within a cell become spaces.
QString tabSeparated(const PlainTable& table);
/// The same with commas; a cell that holds a comma, a quote or a line end is quoted as RFC 4180 says.
QString commaSeparated(const PlainTable& table);

/// Nine digits, which give a float back exactly; empty for NaN.
QString plainNumber(double value);

/// Rows of a model by the text that it has under `role`, with its headers.
PlainTable plainTable(const QAbstractItemModel& model, const std::vector<int>& rows, int role);

}  // namespace kvista
