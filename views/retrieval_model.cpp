// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/retrieval_model.h"

#include <QColor>
#include <algorithm>
#include <cmath>

#include "views/colour_map.h"
#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {

void RetrievalModel::setTable(RetrievalTable table, float range) {
  for (const Matrix* each : {&table.loss, &table.found})
    if (static_cast<std::size_t>(each->rows) != table.depths.size() ||
        static_cast<std::size_t>(each->columns) != table.lengths.size())
      table = {};
  range = std::max(range, 1e-6F);
  if (table == table_ && range == range_) return;  // as most changes of a plan find it: with nothing to clear
  beginResetModel();
  table_ = std::move(table);
  range_ = range;
  endResetModel();
}

int RetrievalModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.depths.size());
}
int RetrievalModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.lengths.size());
}

QVariant RetrievalModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const float loss = table_.loss.at(index.row(), index.column()), found = table_.found.at(index.row(), index.column());
  const auto ground = [&] {
    const auto place = static_cast<std::size_t>(std::lround(255 * std::clamp(loss / range_, 0.F, 1.F)));
    return QColor::fromRgb(colourTable(ColourMap::viridis, true)[std::isfinite(loss) ? place : 255]);
  };
  switch (role) {
    case Qt::DisplayRole:
      return QStringLiteral("%1\n%2").arg(percentText(found, 0), decimalText(loss, 2));
    case Qt::ToolTipRole:
    case Qt::AccessibleTextRole:
      return tr("%1 tokens, sentence at %2 %: %3 found in %4 trials, %5 nats a token of the answer")
          .arg(countText(table_.lengths[static_cast<std::size_t>(index.column())]))
          .arg(table_.depths[static_cast<std::size_t>(index.row())])
          .arg(percentText(found, 0))
          .arg(table_.trials)
          .arg(decimalText(loss, 3));
    case Qt::TextAlignmentRole:
      return static_cast<int>(Qt::AlignCenter);
    case Qt::BackgroundRole:
      return ground();
    case Qt::ForegroundRole:
      return wordsOn(ground());
    default:
      return {};
  }
}

QVariant RetrievalModel::headerData(int section, Qt::Orientation orientation, int role) const {
  const bool across = orientation == Qt::Horizontal;
  const std::vector<int>& names = across ? table_.lengths : table_.depths;
  if (section < 0 || static_cast<std::size_t>(section) >= names.size()) return {};
  const int number = names[static_cast<std::size_t>(section)];
  if (role == Qt::DisplayRole) return across ? countText(number) : tr("%1 %").arg(number);
  if (role == Qt::ToolTipRole)
    return across ? tr("Tokens that the model reads") : tr("Where the sentence stands: part of the text before it");
  return {};
}

}  // namespace kvista
