// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experiment_model.h"

#include "views/number_text.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {

void ExperimentModel::setTable(ExperimentTable table) {
  beginResetModel();
  table_ = std::move(table);
  endResetModel();
}

int ExperimentModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.systems.size());
}
int ExperimentModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table_.values.size()) + 1;
}

QVariant ExperimentModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  if (role == Qt::TextAlignmentRole)
    return QVariant(Qt::AlignVCenter | (index.column() == 0 ? Qt::AlignLeft : Qt::AlignRight));
  if (index.column() == 0)
    return role == Qt::DisplayRole || role == Qt::ToolTipRole || role == plainRole
               ? QVariant(table_.systems[index.row()])
               : QVariant();
  const auto& found = table_.cells[static_cast<std::size_t>(index.row())][static_cast<std::size_t>(index.column()) - 1];
  return found ? cell(*found, role) : QVariant();
}

QVariant ExperimentModel::cell(const ExperimentCell& cell, int role) const {
  const bool failed = !cell.problem.isEmpty();
  switch (role) {
    case Qt::DisplayRole:
      return failed ? tr("failed") : decimalText(cell.perplexity, 2);
    case plainRole:
      return failed ? QString() : plainNumber(cell.perplexity);
    case Qt::FontRole:
      return cell.isBest ? QVariant(textFont(TextRole::strong)) : QVariant();
    case Qt::ForegroundRole:
      return failed || cell.isAbove ? QVariant(colours().soft) : QVariant();
    case Qt::ToolTipRole: {
      if (failed) return cell.problem;
      const QString error = cell.riseError ? QStringLiteral(" ± ") + changeText(*cell.riseError).mid(1) : QString();
      const QString facts =
          tr("%1 of the bytes · perplexity %2").arg(percentText(cell.share, 1), changeText(cell.rise) + error);
      const QString above = cell.isAbove ? QLatin1Char('\n') + tr("More than its column says.") : QString();
      return facts + above + (cell.note.isEmpty() ? QString() : QLatin1Char('\n') + cell.note);
    }
    default:
      return {};
  }
}

QVariant ExperimentModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole)
    return QVariant(Qt::AlignVCenter | (section == 0 ? Qt::AlignLeft : Qt::AlignRight));
  if (role == Qt::ToolTipRole && section > 0)
    return tr("Perplexity: exp of the mean loss of the predicted tokens.\n±: standard error over the text's windows.");
  if (role != Qt::DisplayRole) return {};
  return section == 0 ? tr("System") : table_.values.value(section - 1);
}

}  // namespace kvista
