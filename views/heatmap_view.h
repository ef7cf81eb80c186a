// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "views/colour_scale.h"
#include "views/heatmap_canvas.h"
#include "views/selection_facts.h"
#include "views/view.h"
#include "views/view_state.h"

class QComboBox;
class QMenu;
class QPainter;

namespace kvista {

class SegmentedControl;

/// A measure that heads can be compared by.
struct MeasureChoice {
  QString name;
  QString explanation;  ///< Formula, unit and source.
  bool operator==(const MeasureChoice&) const = default;
};

/// How alike the heads of one side of one layer are: the matrix with its dendrogram, its colours, and facts of what is
/// selected.
class HeatmapView final : public View {
  Q_OBJECT

 public:
  explicit HeatmapView(QWidget* parent = nullptr);

  void setRecord(const HeatmapRecord& record);
  [[nodiscard]] const HeatmapRecord& record() const { return canvas_->record(); }
  /// What there is to choose from, in the panel's title bar; none: the record's measure stands there as a remark.
  void setMeasures(std::vector<MeasureChoice> measures);
  void setOrder(HeatmapOrder order);
  /// Heads in the order wanted; those left out come last.
  void setCustomOrder(std::vector<int> heads);
  [[nodiscard]] HeatmapOrder order() const { return order_; }
  /// The same range as in other views; null: fitted to what is shown. Says nothing.
  void setSharedRange(std::optional<Range> range);
  [[nodiscard]] Range range() const { return scale_.range(); }
  void setColours(ColourMap map, bool inverted);
  [[nodiscard]] const ColourScale& scale() const { return scale_; }
  /// Whether its range is to be that of all layers' pictures.
  void setRangeShared(bool shared);
  [[nodiscard]] bool isRangeShared() const { return shared_; }
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;
  /// Selects the crossings of these heads, unless they are selected already; says nothing.
  void setSelection(const std::vector<int>& heads);
  [[nodiscard]] std::vector<int> selection() const { return canvas_->selection().heads(); }
  /// Facts that only others know, below the view's own; gone when the selection changes.
  void setSelectionFacts(Facts facts);

  [[nodiscard]] QWidget* controls() override;
  /// What can be done with the selection and the view, for the right mouse button.
  [[nodiscard]] QMenu* makeMenu();
  /// Draws the heatmap for paper: light, without selection. `rect` is in pixels of the screen, at which text has its
  /// size; a painter for a finer device is scaled before.
  void paintFigure(QPainter& painter, const QRectF& rect);

  [[nodiscard]] PlainTable plainTable() const { return canvas_->plainTable(); }
  [[nodiscard]] HeatmapCanvas* canvas() const { return canvas_; }
  [[nodiscard]] RangeBar* rangeBar() const { return bar_; }
  [[nodiscard]] SelectionFacts* facts() const { return facts_; }
  [[nodiscard]] QSize sizeHint() const override { return {720, 400}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {300, 160}; }

 Q_SIGNALS:
  void selectionChanged(const std::vector<int>& heads);
  /// The person wants to see another measure; it is shown once a record has it.
  void measureChosen(const QString& name);
  void makeGroupRequested(const std::vector<int>& heads);
  void showSpectraRequested(const std::vector<int>& heads);
  void explainRequested();
  /// For the status line; empty when the pointer leaves.
  void cellHovered(const QString& text);
  /// The person has changed the range, or wants it shared, or not any more.
  void rangeChanged(kvista::Range range);
  void rangeShared(bool shared);
  void copied(int cells);
  /// The selected block is to become a file.
  void tableRequested(const kvista::PlainTable& table);

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;

 private:
  void fillMeasures();
  void showMeasure();
  void rearrange();
  void setCustomOrderByHand(std::vector<int> heads);
  void orderAsSelected();
  void moveHeads(int by);
  void dropHeads(const std::vector<int>& heads, int place);
  void orderAsBefore();
  void showColours();
  void showFacts();
  void placeParts();
  void fitVisible();

  HeatmapCanvas* canvas_;
  RangeBar* bar_;
  SelectionFacts* facts_;
  QWidget* controls_ = nullptr;
  QComboBox* measure_ = nullptr;
  SegmentedControl* orders_ = nullptr;
  std::vector<MeasureChoice> measures_;
  ColourScale scale_;
  HeatmapOrder order_ = HeatmapOrder::group;
  std::vector<int> custom_;
  struct Ordered {
    HeatmapOrder order;
    std::vector<int> custom;
  };
  std::optional<Ordered> before_;  // The last order made by hand.
  bool shared_ = false;
  std::optional<Zoom> zoom_;  // Of the state, until there is a matrix.
  Facts outsideFacts_;
};

}  // namespace kvista
