// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/evaluations_model.h"

#include "views/number_text.h"
#include "views/plain_table.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {

void EvaluationsModel::setRows(std::vector<EvaluationRow> rows) {
  if (rows == rows_) return;
  beginResetModel();
  rows_ = std::move(rows);
  endResetModel();
}

int EvaluationsModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}
int EvaluationsModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : columns; }

QVariant EvaluationsModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const EvaluationRow& row = rows_[static_cast<std::size_t>(index.row())];
  if (role == Qt::TextAlignmentRole)
    return QVariant(Qt::AlignVCenter | (index.column() == text ? Qt::AlignLeft : Qt::AlignRight));
  const bool isOpen = row.plan.isEmpty();
  if (role == Qt::ForegroundRole && !isOpen) return colours().soft;
  if (role == Qt::ToolTipRole) {
    QString about = tr("%1 · of %2").arg(row.text, isOpen ? tr("this plan") : row.plan);
    if (row.predictions > 0) about += tr(" · %1 tokens predicted").arg(countText(row.predictions));
    return row.facts.isEmpty() ? about : about + QLatin1Char('\n') + row.facts;
  }
  if (role == plainRole) return plain(row, index.column());
  if (role != Qt::DisplayRole) return {};
  switch (index.column()) {
    case text:  // What sets it apart comes first.
      return row.policy.isEmpty() ? row.text : tr("%1 · %2").arg(row.policy.section(QLatin1Char(' '), 0, 0), row.text);
    case plan: {
      const bool namesPlan = isOpen && row.policy.isEmpty();
      return namesPlan              ? tr("this plan")
             : row.timesSmaller > 0 ? tr("%1 times").arg(decimalText(row.timesSmaller, 1))
                                    : row.plan;
    }
    case predictions:
      return row.predictions > 0 ? countText(row.predictions) : QStringLiteral("–");
    case before:
      return decimalText(row.before, 2);
    case after:
      return row.after ? decimalText(*row.after, 2) : QStringLiteral("–");
    case policy:
      return row.policy;
    case underPolicy:
      return row.policy.isEmpty() ? QStringLiteral("–") : decimalText(row.underPolicy, 2);
    case change:
      return changeOf(row) ? changeText(*changeOf(row)) : QString();
    default:
      return {};
  }
}

std::optional<double> EvaluationsModel::changeOf(const EvaluationRow& row) {
  const std::optional<double> end = row.policy.isEmpty() ? row.after : row.underPolicy;
  return end && row.before > 0 ? std::optional(*end / row.before - 1) : std::nullopt;
}

QString EvaluationsModel::plain(const EvaluationRow& row, int column) {
  switch (column) {
    case text:
      return row.text;
    case plan:
      return row.plan.isEmpty() ? tr("this plan") : row.plan;
    case predictions:
      return row.predictions > 0 ? QString::number(row.predictions) : QString();
    case before:
      return plainNumber(row.before);
    case after:
      return row.after ? plainNumber(*row.after) : QString();
    case policy:
      return row.policy;
    case underPolicy:
      return row.policy.isEmpty() ? QString() : plainNumber(row.underPolicy);
    case change:
      return changeOf(row) ? plainNumber(*changeOf(row)) : QString();
    default:
      return {};
  }
}

QVariant EvaluationsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole)
    return QVariant(Qt::AlignVCenter | (section == text ? Qt::AlignLeft : Qt::AlignRight));
  if (role == Qt::ToolTipRole && (section == before || section == after || section == underPolicy))
    return tr("Perplexity: exp of the mean loss of the predicted tokens");
  if (role != Qt::DisplayRole) return {};
  const QString names[] = {tr("Text"), tr("Smaller"), tr("Tokens"),   tr("Original"),
                           tr("Plan"), tr("Policy"),  tr("Under it"), tr("Change")};
  return section >= 0 && section < columns ? names[section] : QVariant();
}

}  // namespace kvista
