// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>

#include "views/budget_record.h"

namespace kvista {

/// The groups of all layers as a table. It changes nothing itself: an edited rank or lock becomes a signal.
class BudgetModel final : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { layer, heads, rank, bits, bytes, kept, predicted, lock, columns };
  enum Role {
    sortRole = Qt::UserRole,  ///< A number or, for heads, the first slot's place.
    rowRole,                  ///< const BudgetRow*, as a void pointer: for delegates.
    plainRole,                ///< The cell for a file: C locale, no unit.
    barRole,                  ///< 0 to 1: how much of the largest value of its column this one is.
    staleRole,
  };

  using QAbstractTableModel::QAbstractTableModel;
  /// Keeps rows (and with them selections) where the groups are the same.
  void setRows(std::vector<BudgetRow> rows);
  [[nodiscard]] const std::vector<BudgetRow>& rows() const { return rows_; }

  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  [[nodiscard]] Qt::ItemFlags flags(const QModelIndex& index) const override;
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;

 Q_SIGNALS:
  /// A rank was typed, not yet applied to other selected rows; sound text.
  void rankTyped(int row, const QString& text);

 private:
  [[nodiscard]] QString display(const BudgetRow& row, int column) const;
  [[nodiscard]] QVariant sortKey(const BudgetRow& row, int column) const;
  [[nodiscard]] QString plain(const BudgetRow& row, int column) const;
  [[nodiscard]] QString tip(const BudgetRow& row, int column) const;
  std::vector<BudgetRow> rows_;
  double largestLoss_ = 0;
};

/// Decimals that show three digits of the largest loss of a column; the others line up under it.
int lossDecimals(double largest);
/// "K0-3 V0-3": runs of heads as one.
QString headsText(const std::vector<Slot>& slots);
/// One text a run: "K0–K3".
std::vector<std::pair<Side, QString>> headChips(const std::vector<Slot>& slots);

}  // namespace kvista
