// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <QString>
#include <optional>
#include <vector>

namespace kvista {

/// A cell of a table that is only read.
struct LabCell {
  QString text;
  QString plain = {};  ///< For files, exact and in the C locale; null: the text.
  QString tip = {};    ///< The whole of what is shown shortened.
  bool isStrong = false;
  std::optional<double> heat = {};  ///< From 0 to 1: the cell has its colour of the map.
  bool operator==(const LabCell&) const = default;
};
struct LabColumn {
  QString name;
  QString tip = {};
  bool isNumber = true;    ///< Stands at the right.
  bool stretches = false;  ///< Takes the room that the others leave.
  bool operator==(const LabColumn&) const = default;
};
struct LabTable {
  std::vector<LabColumn> columns;
  std::vector<std::vector<LabCell>> rows;  ///< As many cells as there are columns.
  bool operator==(const LabTable&) const = default;
};

class LabModel final : public QAbstractTableModel {
  Q_OBJECT

 public:
  static constexpr int plainRole = Qt::UserRole;
  using QAbstractTableModel::QAbstractTableModel;
  /// False where it is the one that is shown already.
  bool setTable(LabTable table);
  [[nodiscard]] const LabTable& table() const { return table_; }
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  LabTable table_;
};

}  // namespace kvista
