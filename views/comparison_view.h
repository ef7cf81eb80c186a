// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "views/colour_scale.h"
#include "views/heatmap_canvas.h"
#include "views/plain_table.h"
#include "views/view.h"
#include "views/view_state.h"

class QComboBox;
class QPainter;

namespace kvista {

class SegmentedControl;

/// Two matrices over the same heads: two models, two plans, or two measures.
struct ComparisonRecord {
  HeatmapRecord left, right;  ///< Each with its own title.
  QString title;              ///< "Layer 3 · keys"
  bool operator==(const ComparisonRecord&) const = default;
};

/// Both matrices in the same colours and order, and right minus left beside them; pointer, selection and zoom of one
/// are those of all.
class ComparisonView final : public View {
  Q_OBJECT

 public:
  explicit ComparisonView(QWidget* parent = nullptr);

  /// Matrices of different sizes are not drawn; the view says why.
  void setRecord(const ComparisonRecord& record);
  [[nodiscard]] const ComparisonRecord& record() const { return record_; }
  /// What else could be compared: (id, words), offered where there is more than one.
  void setChoices(const std::vector<std::pair<QString, QString>>& choices, const QString& current);
  /// As the left one's groups and values order the heads.
  void setOrder(HeatmapOrder order);
  [[nodiscard]] HeatmapOrder order() const { return order_; }
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;
  /// Of left and right.
  [[nodiscard]] Range range() const { return scale_.range(); }
  [[nodiscard]] Range differenceRange() const { return differenceScale_.range(); }
  void setSelection(const std::vector<int>& heads);
  /// "Layer 3 · K5 and K11 · linear CKA 0.9127 and 0.8801 · difference −0.0326"
  [[nodiscard]] QString describe(HeadPair pair) const;

  /// Both matrices and their difference, a line a pair of heads; nothing where they cannot be drawn.
  [[nodiscard]] PlainTable plainTable() const;

  [[nodiscard]] QWidget* controls() override;
  /// All three for paper; as HeatmapView::paintFigure.
  void paintFigure(QPainter& painter, const QRectF& rect);
  enum Part { left, right, difference };
  [[nodiscard]] HeatmapCanvas* canvas(Part part) const { return canvases_[part]; }
  [[nodiscard]] QSize sizeHint() const override { return {960, 360}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {560, 200}; }

 Q_SIGNALS:
  /// Something else is to be compared.
  void choiceMade(const QString& id);
  void selectionChanged(const std::vector<int>& heads);
  void cellHovered(const QString& text);
  void copied(int cells);

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void paintEvent(QPaintEvent* event) override;

 private:
  /// Where everything stands in a rectangle: on screen and on paper.
  struct Places {
    std::array<QRectF, 3> canvas;
    QRectF bar, differenceBar;  ///< The colours' own rectangles.
    double side = 0;
  };
  [[nodiscard]] Places placesIn(const QRectF& rect) const;
  [[nodiscard]] bool canBeDrawn() const;
  void linkCanvases();
  void connectBar(RangeBar* bar, ColourScale& scale, bool isShared);
  void rearrange();
  void applyZoom();
  void showColours();
  void placeParts();
  void paintHeadings(QPainter& painter, const Places& places) const;
  [[nodiscard]] QString summary() const;

  ComparisonRecord record_;
  std::array<HeatmapCanvas*, 3> canvases_;
  RangeBar* bar_;
  RangeBar* differenceBar_;
  QWidget* controls_ = nullptr;
  QComboBox* choices_;
  SegmentedControl* orders_ = nullptr;
  ColourScale scale_, differenceScale_;
  HeatmapOrder order_ = HeatmapOrder::group;
  std::optional<Zoom> zoom_;  // Of the state, until there are matrices.
  std::optional<HeadPair> pointed_;
  QString summary_;
};

}  // namespace kvista
