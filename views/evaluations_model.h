// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <cstdint>
#include <vector>

namespace kvista {

/// Perplexity of the original and of a plan on the same tokens of a text.
struct EvaluationRow {
  QString text;  ///< Name of the file.
  QString plan;  ///< Its name; empty: the one that is open.
  double timesSmaller = 0;       ///< 0: not known, as are predictions.
  std::int64_t predictions = 0;
  double before = 0, after = 0;
  bool operator==(const EvaluationRow&) const = default;
};

class EvaluationsModel final : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { text, plan, predictions, before, after, change, columns };
  /// Exact, in the C locale: for files.
  static constexpr int plainRole = Qt::UserRole;
  using QAbstractTableModel::QAbstractTableModel;
  void setRows(std::vector<EvaluationRow> rows);
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  [[nodiscard]] static QString plain(const EvaluationRow& row, int column);
  std::vector<EvaluationRow> rows_;
};

}  // namespace kvista
