// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPointF>
#include <QPolygonF>
#include <QString>
#include <optional>
#include <vector>

#include "views/log_chart.h"
#include "views/view.h"

namespace kvista {

class LabelPlaces;
class SegmentedControl;

/// One plan that was tried.
struct QualityCostPoint {
  QString fingerprint;
  QString label;
  double share = 0;                 ///< Of the bytes of the 16-bit cache.
  std::optional<double> timeShare;  ///< Decode time / that over the uncompressed cache.
  double rise = 0;                  ///< Relative rise of perplexity, .02 for 2 %.
  bool measured = false;
  bool current = false;
  std::optional<double> parameterShare = {};  ///< Of the model with the plan's factors / those of the original.
};

/// Another system, or another run, for comparison.
struct QualityCostSeries {
  QString label;
  std::vector<QPointF> points;  ///< (share, rise), by rising share.
  bool isContext = false;       ///< A quiet line without marks: what would be, not what was tried.
};

struct QualityCostRecord {
  std::vector<QualityCostPoint> points;
  std::vector<QualityCostSeries> others;
  QString timeOf;  ///< The device that times are estimated for, and where its figures are from.
};

/// What every plan tried costs and loses, with the front of those that no other beats. A point brings its plan back.
class QualityCostView final : public View {
  Q_OBJECT

 public:
  explicit QualityCostView(QWidget* parent = nullptr);
  void setRecord(QualityCostRecord record);
  [[nodiscard]] QWidget* controls() override;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;
  /// Where a plan's point is, in the widget's coordinates; nothing where it is not shown (that cost is not known).
  [[nodiscard]] std::optional<QPointF> placeOf(int point) const;
  [[nodiscard]] QString describe(int point) const;
  /// Indices of the front, by rising cost, on the axis that is shown.
  [[nodiscard]] const std::vector<int>& front() const { return front_; }
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {360, 280}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {180, 140}; }

 Q_SIGNALS:
  void planActivated(const QString& fingerprint);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool event(QEvent* event) override;

 private:
  [[nodiscard]] std::optional<double> costOf(const QualityCostPoint& point) const;
  [[nodiscard]] QPointF shownAt(const QPointF& point) const;
  [[nodiscard]] QPointF shownAt(const QualityCostPoint& point) const;
  [[nodiscard]] bool isComparison() const;  // Of series alone.
  [[nodiscard]] QPolygonF frontLine() const;
  [[nodiscard]] QString describeSeriesAt(const QPointF& position) const;
  [[nodiscard]] std::optional<int> pointAt(const QPointF& position) const;
  void showBy(const QString& axis);
  void fit();
  void fill(LogChart& chart, const QSizeF& size) const;
  void fillOthers(LogChart& chart, std::vector<LogChart::Line>& lines, std::vector<LogChart::Marks>& marks,
                  std::vector<LogChart::Text>& texts, LabelPlaces& places) const;
  void fillPoints(std::vector<LogChart::Marks>& marks) const;
  void namePoints(const LogChart& chart, std::vector<LogChart::Text>& texts, LabelPlaces& places) const;
  void arrange();  // The widget's own chart.
  void setCursorPoint(std::optional<int> point);

  QualityCostRecord record_;
  SegmentedControl* axis_;
  enum class Axis { bytes, time, parameters };
  Axis shown_ = Axis::bytes;
  LogScale cost_{-1.5, 0}, rise_{-1, 1};
  std::vector<int> front_;
  std::vector<int> order_;  // Shown points by rising cost: the way of the arrows.
  std::optional<int> hover_, cursor_;
  LogChart chart_;
};

}  // namespace kvista
