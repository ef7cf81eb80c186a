// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QHeaderView>

namespace kvista {

/// Names over the cells' own edges, a small triangle above the one that is sorted by.
class BudgetHeader final : public QHeaderView {
  Q_OBJECT

 public:
  explicit BudgetHeader(QWidget* parent);

 protected:
  void paintSection(QPainter* painter, const QRect& rect, int section) const override;
};

}  // namespace kvista
