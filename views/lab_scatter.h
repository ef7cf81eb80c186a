// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QStringList>
#include <optional>
#include <vector>

#include "views/lab_chart.h"

namespace kvista {

/// What truncating the keys or values of layers costs, over how many directions they need.
struct LabPoints {
  struct Point {
    QString label;    ///< "layer 3 keys"
    double rank = 0;  ///< Normalised effective rank, above 0 to 1.
    double loss = 0;  ///< Rise of the mean loss, nats a token.
    bool isKey = true;
    std::size_t text = 0;  ///< In `texts`.
    bool operator==(const Point&) const = default;
  };
  QString kept;       ///< "50 %", of the directions.
  QStringList texts;  ///< What the points are measured on.
  std::vector<Point> points;
  bool operator==(const LabPoints&) const = default;
};

/// A LabPoints as discs: keys and values by colour, texts by form. A rise of nothing, or a fall, lies at the bottom.
class LabScatter final : public LabChart {
  Q_OBJECT

 public:
  explicit LabScatter(QWidget* parent);
  /// At least one point.
  void setPoints(LabPoints points);
  /// "a.txt · layer 3 keys · rank 41.2 % · +0.0123 nats a token"
  [[nodiscard]] QString describe(std::size_t point) const;
  [[nodiscard]] QPointF placeOf(std::size_t point) const;
  [[nodiscard]] std::optional<std::size_t> pointAt(const QPointF& place) const;
  [[nodiscard]] QSize sizeHint() const override { return {320, 220}; }

 private:
  void fill() override;
  [[nodiscard]] QString tipAt(const QPoint& place) const override;
  [[nodiscard]] QPointF valueOf(const LabPoints::Point& point) const;  // As it is drawn.

  LabPoints points_;
  LogScale rank_{-1, 0}, loss_{-5, 0};
};

}  // namespace kvista
