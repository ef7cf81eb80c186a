// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/budget_model.h"

#include <QBrush>
#include <algorithm>
#include <cmath>

#include "views/number_text.h"
#include "views/theme.h"

namespace kvista {
namespace {

/// Two rows are the same group where they hold the same heads.
bool sameGroups(const std::vector<BudgetRow>& a, const std::vector<BudgetRow>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const BudgetRow& x, const BudgetRow& y) { return x.group == y.group && x.slots == y.slots; });
}

QString layersText(const std::vector<Slot>& slots) {
  if (slots.empty()) return {};
  const auto [first, last] =
      std::minmax_element(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) { return a.layer < b.layer; });
  return first->layer == last->layer ? countText(first->layer)
                                     : QStringLiteral("%1–%2").arg(first->layer).arg(last->layer);
}

QString lossText(const std::optional<double>& loss, bool estimate, double largest) {
  if (!loss) return QStringLiteral("–");
  return (estimate ? QStringLiteral("~ ") : QString()) + decimalText(*loss, lossDecimals(largest));
}

}  // namespace

int lossDecimals(double largest) {
  constexpr int kDigits = 3, kMost = 9;
  return largest > 0 ? std::clamp(kDigits - 1 - static_cast<int>(std::floor(std::log10(largest))), 2, kMost) : kDigits;
}

std::vector<std::pair<Side, QString>> headChips(const std::vector<Slot>& slots) {
  std::vector<std::pair<Side, QString>> chips;
  for (std::size_t i = 0; i < slots.size();) {
    std::size_t end = i + 1;
    while (end < slots.size() && slots[end].side == slots[i].side && slots[end].layer == slots[i].layer &&
           slots[end].head == slots[end - 1].head + 1)
      ++end;
    if (end - i >= 3) {
      chips.emplace_back(slots[i].side, slotName(slots[i]) + QChar(0x2013) + slotName(slots[end - 1]));
    } else {
      for (std::size_t s = i; s < end; ++s) chips.emplace_back(slots[s].side, slotName(slots[s]));
    }
    i = end;
  }
  return chips;
}

QString headsText(const std::vector<Slot>& slots) {
  QStringList texts;
  for (const auto& [side, text] : headChips(slots)) texts << text;
  return texts.join(QLatin1Char(' '));
}

void BudgetModel::setRows(std::vector<BudgetRow> rows) {
  const bool same = sameGroups(rows, rows_);
  if (!same) beginResetModel();
  rows_ = std::move(rows);
  largestLoss_ = 0;
  for (const BudgetRow& row : rows_) largestLoss_ = std::max(largestLoss_, row.predictedLoss.value_or(0));
  if (!same)
    endResetModel();
  else if (!rows_.empty())
    Q_EMIT dataChanged(index(0, 0), index(static_cast<int>(rows_.size()) - 1, columns - 1));
}

int BudgetModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}
int BudgetModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : columns; }

QString BudgetModel::display(const BudgetRow& row, int column) const {
  if (!row.instead.isEmpty()) {
    if (column == heads) return row.instead;
    if (column == rank || (row.bytes == 0 && (column == bytes || column == kept))) return QStringLiteral("–");
  }
  switch (column) {
    case layer:
      return layersText(row.slots);
    case heads:
      return headsText(row.slots);
    case rank:
      return countText(row.rank);
    case bytes:
      return countText(row.bytes);
    case kept:
      return percentText(row.kept);
    case predicted:
      return lossText(row.predictedLoss, true, largestLoss_);
    default:
      return {};
  }
}

QVariant BudgetModel::sortKey(const BudgetRow& row, int column) const {
  const Slot first = row.slots.empty() ? Slot{} : row.slots.front();
  switch (column) {
    case layer:
      return first.layer * 100000 + row.group % 100000;
    case heads:
      return (first.side == Side::key ? 0 : 100000) + first.head;
    case rank:
      return row.rank;
    case bits:
      return row.directions > 0 ? 8.0 * static_cast<double>(row.bytes) / row.directions : 0.0;
    case bytes:
      return static_cast<qlonglong>(row.bytes);
    case kept:
      return row.kept;
    case predicted:
      return row.predictedLoss.value_or(-1);
    default:
      return row.locked ? 1 : 0;
  }
}

QString BudgetModel::plain(const BudgetRow& row, int column) const {
  if (column == heads) return headsText(row.slots);
  const auto number = [](const std::optional<double>& value) {
    return value ? QString::number(*value, 'g', 9) : QString();
  };
  switch (column) {
    case layer:
      return row.slots.empty() ? QString() : QString::number(row.slots.front().layer);
    case bits: {
      QStringList runs;
      for (const auto& [width, count] : row.bands) runs << QStringLiteral("%1x%2").arg(count).arg(width);
      return runs.join(QLatin1Char(' '));
    }
    case rank:
      return QString::number(row.rank);
    case bytes:
      return QString::number(row.bytes);
    case kept:
      return QString::number(row.kept, 'g', 6);
    case predicted:
      return number(row.predictedLoss);
    case lock:
      return row.locked ? QStringLiteral("locked") : QString();
    default:
      return display(row, column);
  }
}

QString BudgetModel::tip(const BudgetRow& row, int column) const {
  if (row.stale && (column == predicted || column == bytes || column == kept)) return tr("Being worked out again.");
  if (!row.instead.isEmpty() && (column == heads || column == rank || column == bits)) return row.instead;
  switch (column) {
    case rank:
      return tr("%1 of %2 directions have bits. F2 or a digit edits, arrows by a step, Page by eight, Ctrl+wheel.")
          .arg(countText(row.rank), countText(row.directions));
    case bits: {
      QStringList lines;
      for (const auto& [width, count] : row.bands)
        lines << (width == 0 ? tr("%1 dropped").arg(countText(count))
                             : tr("%1 directions of %2 bit").arg(countText(count)).arg(width));
      return lines.join(QLatin1Char('\n'));
    }
    case lock:
      if (!row.instead.isEmpty()) return tr("Nothing of its own is stored: there are no bits to share out.");
      return row.locked ? tr("Locked: allocators leave this group as it is. A click or Space unlocks it.")
                        : tr("Not locked: allocators share out its bits. A click or Space locks it.");
    default:
      return {};
  }
}

QVariant BudgetModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount() || index.column() >= columns) return {};
  const BudgetRow& row = rows_[static_cast<std::size_t>(index.row())];
  const int column = index.column();
  switch (role) {
    case Qt::DisplayRole:
      return display(row, column);
    case Qt::EditRole:
      return column == rank ? QString::number(row.rank) : display(row, column);
    case Qt::ToolTipRole:
      return tip(row, column);
    case Qt::AccessibleTextRole:
      return column == bits   ? tip(row, column)
             : column == lock ? (row.locked ? tr("locked") : tr("not locked"))
                              : display(row, column);
    case Qt::TextAlignmentRole:
      return QVariant(Qt::AlignVCenter | (column == heads || column == bits ? Qt::AlignLeft
                                          : column == lock                  ? Qt::AlignHCenter
                                                                            : Qt::AlignRight));
    case sortRole:
      return sortKey(row, column);
    case plainRole:
      return plain(row, column);
    case rowRole:
      return QVariant::fromValue(static_cast<void*>(const_cast<BudgetRow*>(&row)));
    case staleRole:
      return row.stale && column >= bytes && column <= predicted;
    case barRole:
      if (column == predicted && row.predictedLoss && largestLoss_ > 0)
        return std::max(0.0, *row.predictedLoss / largestLoss_);
      return {};
    default:
      return {};
  }
}

QVariant BudgetModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= columns) return {};
  if (role == Qt::TextAlignmentRole)
    return QVariant(Qt::AlignVCenter | (section == heads || section == bits ? Qt::AlignLeft
                                        : section == lock                   ? Qt::AlignHCenter
                                                                            : Qt::AlignRight));
  if (role == Qt::DisplayRole) {
    const QString names[] = {tr("Layer"),         tr("Heads"), tr("Rank"),           tr("Bits"),
                             tr("Bytes a token"), tr("Kept"),  tr("Predicted loss"), tr("Lock")};
    return names[section];
  }
  if (role == Qt::ToolTipRole) {
    const QString tips[] = {
        tr("The layer, or layers, whose heads share the group."),
        tr("Key (K) and value (V) heads that share one latent."),
        tr("Directions of the group's eigenbasis that have bits."),
        tr("How the directions share out: 8, 6, 4, 3, 2, 1 bit, dropped; by falling eigenvalue."),
        tr("Bytes that one token's latent takes, every run of codes padded to whole bytes."),
        tr("Bytes of the latent / bytes of its heads in the 16-bit cache."),
        tr("½ Σ λ D in nats a token: eigenvalues λ in the Fisher metric, D what a direction's bits leave of it. "
           "Source: the calibration."),
        tr("A locked group keeps its bits whatever the allocator does.")};
    return tips[section];
  }
  return {};
}

Qt::ItemFlags BudgetModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  Qt::ItemFlags flags = QAbstractTableModel::flags(index);
  if (index.column() == rank && rows_[static_cast<std::size_t>(index.row())].instead.isEmpty())
    flags |= Qt::ItemIsEditable;
  return flags | Qt::ItemNeverHasChildren;
}

bool BudgetModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (!index.isValid() || role != Qt::EditRole || index.column() != rank || !rankChangeFromText(value.toString()))
    return false;
  Q_EMIT rankTyped(index.row(), value.toString());
  return true;
}

}  // namespace kvista
