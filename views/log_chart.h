// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QGraphicsScene>
#include <QPen>
#include <QPolygonF>
#include <QString>
#include <functional>
#include <vector>

#include "views/log_scale.h"

class QChart;
class QGraphicsSimpleTextItem;
class QLineSeries;
class QLogValueAxis;
class QPainter;
class QScatterSeries;

namespace kvista {

/// A Qt chart with logarithmic axes as all of ours look: no frame, a hairline at every power, the axes named in words,
/// lines named beside them. A view keeps one for its widget and makes another for every figure on paper. What is shown
/// must have a logarithm. Colours are those of the theme when they are set. What is set is laid out by Qt Charts when
/// it is painted, which takes milliseconds: a chart that nobody sees costs nothing.
class LogChart {
 public:
  struct Axis {
    LogScale scale;
    QString name, unit;                ///< The unit is left out where there is no room for it.
    std::function<QString(int)> text;  ///< What base^n is called.
    int base = 10;
  };
  struct Line {
    QPolygonF values;
    QPen pen;
  };
  /// Discs. An outline is a larger disc below: Qt Charts puts marks off their place by half the width of a pen.
  struct Marks {
    QPolygonF values;
    int diameter = 9;
    QColor colour;
  };
  struct Text {
    QRectF box;  ///< What does not fit ends with an ellipsis; the text is in the middle of the height.
    QString text;
    QColor colour;
    Qt::AlignmentFlag alignment = Qt::AlignLeft;
    QPointF corner = {};  ///< What the box is relative to, in the chart's coordinates.
    double angle = 0;     ///< Degrees about this corner.
  };

  LogChart();
  LogChart(const LogChart&) = delete;
  LogChart& operator=(const LogChart&) = delete;

  /// `right` is kept free beside the plot, for the names of lines.
  void setAxes(const QSizeF& size, double right, const Axis& x, const Axis& y);
  /// Later lines and marks lie above earlier ones, all marks above the lines.
  void setContent(std::vector<Line> lines, std::vector<Marks> marks, std::vector<Text> texts);
  /// The plot, in the chart's coordinates: its corners are the ends of the axes. Hairlines run kOverhang beyond it, so
  /// that marks at its edges are whole.
  [[nodiscard]] const QRectF& area() const { return area_; }
  /// Of a value pair; outside the axes it lies outside the area.
  [[nodiscard]] QPointF place(double x, double y) const;
  [[nodiscard]] QPolygonF place(const QPolygonF& values) const;
  void paint(QPainter& painter, const QPointF& corner);

  static constexpr double kTextHeight = 15, kOverhang = 10;
  /// The width of a text of the chart.
  [[nodiscard]] static double textWidth(const QString& text);

 private:
  void layOutAxes();
  void layOutContent();
  void nameTicks(std::vector<Text>& texts) const;
  void nameAxes(std::vector<Text>& texts) const;

  QGraphicsScene scene_;
  QChart* chart_;
  QLogValueAxis *xAxis_, *yAxis_;
  QSizeF size_;
  Axis x_, y_;
  QRectF area_;
  struct {
    std::vector<Line> lines;
    std::vector<Marks> marks;
    std::vector<Text> texts;
  } content_;
  bool axesAreDue_ = false, contentIsDue_ = false;
  std::vector<QLineSeries*> lines_;
  std::vector<QScatterSeries*> marks_;
  std::vector<QGraphicsSimpleTextItem*> axisTexts_, texts_;
};

}  // namespace kvista
