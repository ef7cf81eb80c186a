// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QRectF>
#include <QWidget>
#include <optional>
#include <vector>

#include "views/colour_map.h"
#include "views/value_range.h"

namespace kvista {

/// What a colour bar shows.
struct RangeBarRecord {
  Range extent;             ///< What the bar spans: all values there are, and the range.
  Range range;              ///< What the colours span.
  std::vector<int> counts;  ///< How many values lie in equal parts of `extent`, the lowest first.
  int unknown = 0;          ///< Cells that are not known.
  ColourMap map = ColourMap::viridis;
  bool inverted = false;
  double percentile = 0;  ///< Of the fit the range comes from; negative: set by hand or shared.
  bool operator==(const RangeBarRecord&) const = default;
};

/// The colour bar beside a heatmap: its numbers, and how many values lie where. Its ends are dragged, and a click or
/// Enter opens the editor of the range and the colours.
class RangeBar final : public QWidget {
  Q_OBJECT

 public:
  explicit RangeBar(QWidget* parent = nullptr);
  void setRecord(const RangeBarRecord& record);
  [[nodiscard]] const RangeBarRecord& record() const { return record_; }
  [[nodiscard]] QSize sizeHint() const override;
  [[nodiscard]] QSize minimumSizeHint() const override { return {kWidth, 64}; }
  /// Whether the range is that of other views too; until it is said, the editor does not offer it.
  void setShared(bool shared) { shared_ = shared; }
  /// Opens the editor beside the bar.
  void edit();

  static constexpr int kWidth = 96;
  /// Pixels above and below the colours, for half a number.
  static constexpr int kMargin = 8, kFooter = 24;

 Q_SIGNALS:
  void rangeEdited(kvista::Range range);
  /// The range between this percentile and its counterpart; 0: all values.
  void fitRequested(double percentile);
  /// Fit to what can be seen at this zoom.
  void fitVisibleRequested();
  void coloursChosen(kvista::ColourMap map, bool inverted);
  void sharedChosen(bool shared);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  enum class End { none, low, high };
  [[nodiscard]] QRectF bar() const;
  [[nodiscard]] End endAt(double y) const;
  RangeBarRecord record_;
  End dragged_ = End::none;
  bool moved_ = false;
  std::optional<bool> shared_;
};

/// Draws colours in `bar` and numbers and histogram at its right, RangeBar::kWidth in all.
void paintRangeBar(QPainter& painter, const QRectF& bar, const RangeBarRecord& record);

}  // namespace kvista
