// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/plain_table.h"

#include <QAbstractItemModel>
#include <QRegularExpression>
#include <cmath>

namespace kvista {
namespace {

template <class Written>
QString lines(const PlainTable& table, QLatin1Char separator, Written written) {
  QString text;
  const auto add = [&](const QStringList& cells) {
    for (qsizetype i = 0; i < cells.size(); ++i) {
      if (i > 0) text += separator;
      text += written(cells[i]);
    }
    text += QLatin1Char('\n');
  };
  add(table.header);
  for (const QStringList& row : table.rows) add(row);
  return text;
}

}  // namespace

QString tabSeparated(const PlainTable& table) {
  static const QRegularExpression breaks(QStringLiteral("[\t\r\n]+"));
  return lines(table, QLatin1Char('\t'), [](QString cell) { return cell.replace(breaks, QStringLiteral(" ")); });
}

QString commaSeparated(const PlainTable& table) {
  static const QRegularExpression special(QStringLiteral("[,\"\r\n]"));
  return lines(table, QLatin1Char(','), [](QString cell) {
    return cell.contains(special)
               ? QLatin1Char('"') + cell.replace(QLatin1Char('"'), QStringLiteral("\"\"")) + QLatin1Char('"')
               : cell;
  });
}

QString plainNumber(double value) { return std::isnan(value) ? QString() : QString::number(value, 'g', 9); }

PlainTable plainTable(const QAbstractItemModel& model, const std::vector<int>& rows, int role) {
  PlainTable table;
  const int columns = model.columnCount();
  for (int column = 0; column < columns; ++column) table.header << model.headerData(column, Qt::Horizontal).toString();
  for (const int row : rows) {
    QStringList cells;
    for (int column = 0; column < columns; ++column) cells << model.index(row, column).data(role).toString();
    table.rows.push_back(std::move(cells));
  }
  return table;
}

}  // namespace kvista
