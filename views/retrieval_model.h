// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <vector>

#include "core/plan/matrix.h"
#include "core/plan/retrieval_kind.h"

namespace kvista {

/// Whether what was planted came out, of one side: one row a depth, one column a length.
struct RetrievalTable {
  std::vector<int> lengths;  ///< Tokens.
  std::vector<int> depths;   ///< Percent of the text before the sentence.
  int trials = 0;            ///< In each cell.
  Matrix loss;               ///< Nats a token of the answer.
  Matrix found;              ///< Mean part of what was asked for.
  RetrievalKind kind = RetrievalKind::needle;
  QString name = {};  ///< Of the side where it is not the plan alone: "Plan under snapkv share=0.25".
  int planted = 1;    ///< Sentences.
  bool operator==(const RetrievalTable&) const = default;
};

/// A cell says how much of what was asked for came and what it cost; its ground is the brighter the less it cost.
class RetrievalModel final : public QAbstractTableModel {
  Q_OBJECT

 public:
  using QAbstractTableModel::QAbstractTableModel;
  /// `range`: the loss that has the darkest colour, the same for both sides. Nothing is shown of matrices of other
  /// sizes than the lists say.
  void setTable(RetrievalTable table, float range);
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  RetrievalTable table_;
  float range_ = 1;
};

}  // namespace kvista
