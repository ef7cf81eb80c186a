// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_facts.h"

#include <QLocale>
#include <cmath>
#include <numeric>

namespace kvista {
namespace {

/// Of the known cells beside the diagonal.
struct Summary {
  double sum = 0, lowest = HUGE_VAL, highest = -HUGE_VAL;
  HeadPair lowestAt, highestAt;
  int known = 0, unknown = 0;
  [[nodiscard]] double mean() const { return known ? sum / known : std::nan(""); }
};

Summary summarise(const Matrix& matrix, const std::vector<int>& rows, const std::vector<int>& columns) {
  Summary result;
  for (const int row : rows)
    for (const int column : columns) {
      const bool exists = row >= 0 && column >= 0 && row < matrix.rows && column < matrix.columns;
      if (row == column || !exists) continue;
      const double value = matrix.at(row, column);
      if (std::isnan(value)) {
        ++result.unknown;
        continue;
      }
      ++result.known;
      result.sum += value;
      if (value < result.lowest) {
        result.lowest = value;
        result.lowestAt = {row, column};
      }
      if (value > result.highest) {
        result.highest = value;
        result.highestAt = {row, column};
      }
    }
  return result;
}

QString tr(const char* text) { return SelectionFacts::tr(text); }

QString pairName(const HeatmapRecord& record, HeadPair pair) {
  return tr("%1 and %2").arg(record.name(pair.row), record.name(pair.column));
}

Facts factsOfHead(const HeatmapRecord& record, int head) {
  std::vector<int> all(static_cast<std::size_t>(record.heads()));
  std::iota(all.begin(), all.end(), 0);
  const Summary row = summarise(record.matrix, {head}, all);
  Facts facts{{record.name(head), valueText(record.matrix.at(head, head))}};
  if (row.known == 0) return facts;
  facts.emplace_back(tr("mean with the others"), valueText(row.mean()));
  facts.emplace_back(tr("highest, %1").arg(record.name(row.highestAt.column)), valueText(row.highest));
  facts.emplace_back(tr("lowest, %1").arg(record.name(row.lowestAt.column)), valueText(row.lowest));
  return facts;
}

Facts factsOfPair(const HeatmapRecord& record, HeadPair pair) {
  Facts facts{{pairName(record, pair), valueText(record.matrix.at(pair.row, pair.column))}};
  if (!record.symmetric)
    facts.emplace_back(pairName(record, {pair.column, pair.row}), valueText(record.matrix.at(pair.column, pair.row)));
  const int a = record.groupOf(pair.row), b = record.groupOf(pair.column);
  if (a < 0 || b < 0) return facts;
  const auto group = [&](int number) -> const std::vector<int>& {
    return record.groups[static_cast<std::size_t>(number)];
  };
  const Summary between = summarise(record.matrix, group(a), group(b));
  if (between.known > 0)
    facts.emplace_back(
        a == b ? tr("mean in group %1").arg(a + 1) : tr("mean of groups %1 and %2").arg(a + 1).arg(b + 1),
        valueText(between.mean()));
  return facts;
}

}  // namespace

Facts factsOf(const HeatmapRecord& record, const HeadBlock& selection) {
  if (selection.isEmpty() || !record.canBeDrawn()) return {};
  if (selection.rows.size() == 1 && selection.columns.size() == 1) {
    const HeadPair pair{selection.rows.front(), selection.columns.front()};
    return pair.row == pair.column ? factsOfHead(record, pair.row) : factsOfPair(record, pair);
  }
  const Summary block = summarise(record.matrix, selection.rows, selection.columns);
  Facts facts{{tr("heads"), QLocale().toString(static_cast<int>(selection.heads().size()))}};
  if (block.known > 0) {
    facts.emplace_back(tr("mean"), valueText(block.mean()));
    facts.emplace_back(tr("highest, %1").arg(pairName(record, block.highestAt)), valueText(block.highest));
    facts.emplace_back(tr("lowest, %1").arg(pairName(record, block.lowestAt)), valueText(block.lowest));
  }
  if (block.unknown > 0) facts.emplace_back(tr("not known"), QLocale().toString(block.unknown));
  return facts;
}

}  // namespace kvista
