// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <cstdint>
#include <optional>
#include <vector>

namespace kvista {

/// Perplexity of the original and of a plan on the same tokens of a text; where there is a policy, of what it makes of
/// one of them too.
struct EvaluationRow {
  QString text;             ///< Name of the file.
  QString plan;             ///< Its name; empty: the one that is open.
  double timesSmaller = 0;  ///< 0: not known, as are predictions.
  std::int64_t predictions = 0;
  double before = 0;
  std::optional<double> after = {};  ///< Absent: there was no plan.
  QString policy = {};               ///< In a line; empty: none.
  double underPolicy = 0;
  QString facts = {};  ///< What else is told of a row with a policy, in sentences.
  bool operator==(const EvaluationRow&) const = default;
};

class EvaluationsModel final : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { text, plan, predictions, before, after, policy, underPolicy, change, columns };
  /// Exact, in the C locale: for files. The policy's line has a column of its own there; else its name stands with the
  /// text.
  static constexpr int plainRole = Qt::UserRole;
  using QAbstractTableModel::QAbstractTableModel;
  void setRows(std::vector<EvaluationRow> rows);
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  /// Of what the row is about over the original, less 1; absent: not known.
  [[nodiscard]] static std::optional<double> changeOf(const EvaluationRow& row);
  [[nodiscard]] static QString plain(const EvaluationRow& row, int column);
  std::vector<EvaluationRow> rows_;
};

}  // namespace kvista
