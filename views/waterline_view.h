// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <optional>
#include <vector>

#include "core/plan/layer_spectra.h"
#include "views/log_scale.h"
#include "views/sorted_spectra.h"
#include "views/view.h"
#include "views/waterline_picture.h"

namespace kvista {

class SegmentedControl;

struct WaterlineRecord {
  std::vector<LayerSpectra> layers;
  double level = 0;   ///< Allocation::waterline.
  bool coded = true;  ///< The level is a gain a bit; otherwise an eigenvalue.
  QString unit;       ///< Of eigenvalues: "nats per token".
  int currentLayer = 0;
  std::vector<int> readsFrom = {};  ///< Of each layer, whose cache it reads; empty: each has its own.
  bool tokenNumbers = false;        ///< The first layer stores numbers of tokens in place of directions.
};

/// All spectra of all layers and the water that is dragged through them. While it is dragged, the view shows its own
/// level; whoever follows `levelDragged` gives the widths of the new level with setWater in the same frame.
class WaterlineView final : public View {
  Q_OBJECT

 public:
  explicit WaterlineView(QWidget* parent = nullptr);

  void setRecord(WaterlineRecord record);
  /// Widths of every layer at a level, as LayerOrder::fillWidths gives them; the eigenvalues stay. While the water is
  /// dragged the level stays the hand's.
  void setWater(double level, const std::vector<LayerSpectra>& layers);
  void setCurrentLayer(int layer);
  /// What the handle says: the target in the person's unit, "8.0 times smaller".
  void setHandleText(const QString& text);

  /// `layer`: layers side by side. `sorted`: the directions of all layers as one falling row.
  enum class Arrangement { layer, sorted };
  void setArrangement(Arrangement arrangement);
  [[nodiscard]] Arrangement arrangement() const { return arrangement_; }
  [[nodiscard]] QWidget* controls() override;
  [[nodiscard]] QJsonObject viewState() const override;
  bool setViewState(const QJsonObject& state) override;

  [[nodiscard]] const WaterlineRecord& record() const { return record_; }
  /// Where the line is, in the widget's coordinates.
  [[nodiscard]] double lineY() const;
  [[nodiscard]] QRectF handle() const;
  /// Layer and direction at a place of the widget.
  struct Spot {
    int layer = 0;
    int direction = 0;
    bool operator==(const Spot&) const = default;
  };
  [[nodiscard]] std::optional<Spot> spotAt(const QPointF& place) const;
  /// "Layer 3 · direction 412 of 8,192 · 1.84e-5 nats per token · 2 bits".
  [[nodiscard]] QString describe(const Spot& spot) const;

  /// The picture in `area`, without what is only there for the hand, in the look that is current.
  void paintFigure(QPainter& painter, const QRectF& area) const;
  [[nodiscard]] QSize sizeHint() const override { return {720, 280}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {280, 116}; }

 Q_SIGNALS:
  void dragBegan();  ///< Ends with levelCommitted or dragCancelled.
  void levelDragged(double level);
  void levelCommitted(double level);
  void dragCancelled();
  void layerActivated(int layer);
  /// What is under the mouse, for the status bar; empty when it has left.
  void hovered(const QString& text);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void keyReleaseEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool event(QEvent* event) override;

 private:
  static constexpr double kLeft = 48, kRight = 16, kTop = 8, kRow = 20;
  /// What stands where in an area.
  struct Layout {
    QRectF plot;
    double labels = 0, legend = 0;  // Middles of the rows below.
  };
  struct Water {
    double level;
    std::vector<std::vector<std::uint8_t>> widths;
  };
  [[nodiscard]] Layout layoutIn(const QRectF& area) const;
  /// The eigenvalue at which the water stands.
  [[nodiscard]] double line() const;
  [[nodiscard]] double lineYIn(const Layout& layout) const;
  [[nodiscard]] QRectF handleIn(const Layout& layout) const;
  [[nodiscard]] double levelAt(double y) const;
  [[nodiscard]] bool grabs(const QPointF& place) const;
  /// What stands side by side: the layers, or the one row of all.
  [[nodiscard]] const std::vector<LayerSpectra>& rows() const {
    return arrangement_ == Arrangement::sorted ? sorted_.row() : record_.layers;
  }
  void paintHover(QPainter& painter, const Layout& layout) const;
  void paintAxes(QPainter& painter, const Layout& layout, const QRectF& area) const;
  void paintWater(QPainter& painter, const Layout& layout, bool interactive) const;
  void startDrag();
  void drag(double level);
  void commit();
  void cancel();
  void setHover(std::optional<Spot> spot);
  void describeForAssistance();

  WaterlineRecord record_;
  Arrangement arrangement_ = Arrangement::layer;
  SortedSpectra sorted_;  // Empty while layers are shown.
  SegmentedControl* arrangements_;
  QString handleText_;
  LogScale scale_;
  WaterlinePicture picture_;
  std::optional<Water> before_;  // While dragged: what Esc brings back.
  double grip_ = 0;              // From the mouse to the line.
  std::optional<Spot> hover_;
};

}  // namespace kvista
