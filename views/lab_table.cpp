// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/lab_table.h"

#include <QColor>
#include <QTextDocument>
#include <algorithm>
#include <cmath>

#include "views/colour_map.h"
#include "views/theme.h"

namespace kvista {
namespace {

QColor heatColour(double heat) {
  const ColourTable& table = colourTable(ColourMap::viridis, false);
  return QColor(
      table[static_cast<std::size_t>(std::lround(std::clamp(heat, 0.0, 1.0) * static_cast<double>(table.size() - 1)))]);
}

}  // namespace

bool LabModel::setTable(LabTable table) {
  if (table == table_) return false;
  beginResetModel();
  table_ = std::move(table);
  endResetModel();
  return true;
}

int LabModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.rows.size());
}
int LabModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.columns.size());
}

QVariant LabModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const LabColumn& column = table_.columns[static_cast<std::size_t>(index.column())];
  const LabCell& cell = table_.rows[static_cast<std::size_t>(index.row())][static_cast<std::size_t>(index.column())];
  switch (role) {
    case Qt::DisplayRole:
      return cell.text;
    case plainRole:
      return cell.plain.isNull() ? cell.text : cell.plain;
    // Rich text is wrapped.
    case Qt::ToolTipRole:
      return cell.tip.isEmpty() ? QVariant() : Qt::convertFromPlainText(cell.tip, Qt::WhiteSpaceNormal);
    case Qt::AccessibleTextRole:
      return cell.tip.isEmpty() ? cell.text : cell.tip;
    case Qt::FontRole:
      return cell.isStrong ? QVariant(textFont(TextRole::strong)) : QVariant();
    case Qt::BackgroundRole:
      return cell.heat ? QVariant(heatColour(*cell.heat)) : QVariant();
    case Qt::ForegroundRole:
      return cell.heat ? QVariant(wordsOn(heatColour(*cell.heat))) : QVariant();
    case Qt::TextAlignmentRole:
      return QVariant(Qt::AlignVCenter | (column.isNumber ? Qt::AlignRight : Qt::AlignLeft));
    default:
      return {};
  }
}

QVariant LabModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= columnCount()) return {};
  const LabColumn& column = table_.columns[static_cast<std::size_t>(section)];
  switch (role) {
    case Qt::DisplayRole:
      return column.name;
    case Qt::ToolTipRole:
      return column.tip.isEmpty() ? QVariant() : QVariant(column.tip);
    case Qt::TextAlignmentRole:
      return QVariant(Qt::AlignVCenter | (column.isNumber ? Qt::AlignRight : Qt::AlignLeft));
    default:
      return {};
  }
}

}  // namespace kvista
