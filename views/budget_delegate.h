// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStyledItemDelegate>

namespace kvista {

/// Cells of the budget table: chips, bands of bits, bars behind numbers, locks, hatches over what is stale; and the
/// line in which a rank is typed.
class BudgetDelegate final : public QStyledItemDelegate {
  Q_OBJECT

 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  /// Steps of the arrows in the line.
  void setRankStep(int step) { rankStep_ = step; }

  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  [[nodiscard]] QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  void setEditorData(QWidget* editor, const QModelIndex& index) const override;
  void setModelData(QWidget* editor, QAbstractItemModel* model, const QModelIndex& index) const override;
  bool eventFilter(QObject* object, QEvent* event) override;

 Q_SIGNALS:
  /// Why what was typed is not accepted; empty when it is mended or left.
  void refused(const QString& reason) const;

 private:
  int rankStep_ = 8;
};

}  // namespace kvista
