// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>

#include "views/experiment_view.h"

namespace kvista {

/// One table of an experiment: systems, then a column a value.
class ExperimentModel final : public QAbstractTableModel {
  Q_OBJECT

 public:
  /// Exact, in the C locale: for files.
  static constexpr int plainRole = Qt::UserRole;
  using QAbstractTableModel::QAbstractTableModel;
  void setTable(ExperimentTable table);
  [[nodiscard]] const ExperimentTable& table() const { return table_; }
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  [[nodiscard]] QVariant cell(const ExperimentCell& cell, int role) const;
  ExperimentTable table_;
};

}  // namespace kvista
