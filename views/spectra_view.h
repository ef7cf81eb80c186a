// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <optional>
#include <vector>

#include "views/log_chart.h"
#include "views/view.h"

namespace kvista {

class SegmentedControl;

/// One group or head.
struct SpectrumCurve {
  QString label;                   ///< "K group 2", "K3"
  std::vector<float> eigenvalues;  ///< Falling.
  int rank = 0;                    ///< Directions that have bits; 0: no mark.
  /// Eigenvalue that noise of the same energy would reach (Marchenko and Pastur, 1967); 0: not known.
  double noiseEdge = 0;
};

struct SpectraRecord {
  std::vector<SpectrumCurve> curves;
  QString unit;  ///< "nats per token"
  QString what;  ///< "layer 3", beside the title.
};

/// Eigenvalues of chosen groups or heads, or what is lost by keeping only the first of them (half the sum of the
/// others). Few curves have their noise edges as dotted lines.
class SpectraView final : public View {
  Q_OBJECT

 public:
  explicit SpectraView(QWidget* parent = nullptr);
  void setRecord(SpectraRecord record);
  [[nodiscard]] QWidget* controls() override;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;
  /// The value that is drawn at a direction, from 1: its eigenvalue, or the tail after keeping so many.
  [[nodiscard]] double valueAt(std::size_t curve, int direction) const;
  /// Directions and values of the points that are drawn for a curve in a plot of this width: at most two a unit, none
  /// below the axis.
  [[nodiscard]] QPolygonF pointsOf(std::size_t curve, double width) const;
  /// What is near a place: the curve and the direction.
  struct Spot {
    std::size_t curve = 0;
    int direction = 1;
    bool operator==(const Spot&) const = default;
  };
  [[nodiscard]] std::optional<Spot> spotAt(const QPointF& place) const;
  [[nodiscard]] QString describe(const Spot& spot) const;
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {480, 320}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {260, 180}; }

 Q_SIGNALS:
  void hovered(const QString& text);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void showEvent(QShowEvent* event) override;
  void leaveEvent(QEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void showAs(const QString& shown);
  void prepare();
  void fill(LogChart& chart, const QSizeF& size) const;
  void arrange();  // The widget's own chart.
  void setHover(std::optional<Spot> spot);

  SpectraRecord record_;
  SegmentedControl* shown_;
  bool tails_ = false;
  std::vector<std::vector<double>> values_;  // As drawn, one list a curve.
  LogScale x_{0, 1}, y_{-1, 0};
  LogChart chart_;
  std::optional<Spot> hover_;
};

}  // namespace kvista
