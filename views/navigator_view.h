// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "core/plan/matrix.h"
#include "core/plan/plan.h"
#include "views/colour_scale.h"
#include "views/view.h"

class QLabel;
class QPainter;

namespace kvista {

class NavigatorStrip;

/// Similarities of the heads of every layer, by layer; an empty matrix where none is known yet.
struct NavigatorRecord {
  std::vector<Matrix> keys, values;
  QString measure;  ///< "linear CKA"

  [[nodiscard]] int layers() const { return static_cast<int>(std::max(keys.size(), values.size())); }
  [[nodiscard]] const Matrix& matrix(int layer, Side side) const;
};

/// Every layer in small, keys and values side by side in the same colours: where one goes from layer to layer.
class NavigatorView final : public View {
  Q_OBJECT

 public:
  explicit NavigatorView(QWidget* parent = nullptr);

  void setRecord(NavigatorRecord record);
  /// One more layer is known; layers and sides that there are not are passed over.
  void setMatrix(int layer, Side side, Matrix matrix);
  /// Frames this one and brings it into sight; says nothing.
  void setCurrent(int layer, Side side);
  [[nodiscard]] int currentLayer() const;
  [[nodiscard]] Side currentSide() const;
  /// What is shown, in a few words: measure, position, calibration.
  void setFooter(const QString& text);
  /// Null: fitted to all layers, outliers left out.
  void setSharedRange(std::optional<Range> range);
  void setColours(ColourMap map, bool inverted);
  /// The range of all layers without outliers, whatever range is shown.
  [[nodiscard]] Range fittedRange() const;

  /// Every layer for paper: light, with a colour bar. `rect` as in HeatmapView::paintFigure.
  void paintFigure(QPainter& painter, const QRectF& rect);
  [[nodiscard]] NavigatorStrip* strip() const { return strip_; }
  [[nodiscard]] QSize sizeHint() const override { return {184, 640}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {136, 160}; }

 Q_SIGNALS:
  void activated(int layer, kvista::Side side);

 private:
  NavigatorStrip* strip_;
  QLabel* footer_;
};

}  // namespace kvista
