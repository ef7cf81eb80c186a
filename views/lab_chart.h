// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>

#include "views/log_chart.h"

namespace kvista {

/// A plot of the lab: a LogChart that is filled anew where its size or the theme changes, with words for what the
/// pointer is at.
class LabChart : public QWidget {
  Q_OBJECT

 protected:
  LabChart(QWidget* parent, int mostHeight);
  virtual void fill() = 0;
  /// Of what is at a place; empty: nothing is.
  [[nodiscard]] virtual QString tipAt(const QPoint& place) const = 0;
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  bool event(QEvent* event) override;

  LogChart chart_;
};

}  // namespace kvista
