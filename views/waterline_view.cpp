// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/waterline_view.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "core/plan/spectrum.h"
#include "views/bits_legend.h"
#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/theme.h"
#include "views/view_state.h"

namespace kvista {
namespace {

constexpr double kGrip = 6, kHandleHeight = 20;
/// Steps of the keys, in decades.
constexpr double kStep = 0.02, kPage = 0.2;

/// The eigenvalue at which the water stands: where a direction gets its first bit. A coded level is a gain a bit, and
/// the first bit saves all but its distortion (methods.md section 10).
double lineOfLevel(double level, bool coded) { return coded ? level / (1 - gaussianDistortion(1)) : level; }
double levelOfLine(double line, bool coded) { return coded ? line * (1 - gaussianDistortion(1)) : line; }

}  // namespace

WaterlineView::WaterlineView(QWidget* parent)
    : View(parent),
      arrangements_(
          new SegmentedControl({{QStringLiteral("layer"), tr("by layer")}, {QStringLiteral("sorted"), tr("sorted")}},
                               tr("Arrangement"), this)) {
  arrangements_->hide();
  arrangements_->setToolTip(
      tr("By layer: the layers side by side. Sorted: the directions of all layers as one falling row."));
  connect(arrangements_, &SegmentedControl::chosen, this, [this](const QString& id) {
    setArrangement(id == QStringLiteral("sorted") ? Arrangement::sorted : Arrangement::layer);
    Q_EMIT viewStateChanged();
  });
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  setRecord({});
}

void WaterlineView::setRecord(WaterlineRecord record) {
  if (before_) record.level = record_.level;
  record_ = std::move(record);
  scale_ = WaterlinePicture::rangeOf(record_.layers);
  setArrangement(arrangement_);
  describeForAssistance();
}

void WaterlineView::setArrangement(Arrangement arrangement) {
  arrangement_ = arrangement;
  const bool isSorted = arrangement == Arrangement::sorted;
  arrangements_->setCurrent(isSorted ? QStringLiteral("sorted") : QStringLiteral("layer"));
  sorted_ = isSorted ? SortedSpectra(record_.layers) : SortedSpectra();
  picture_.invalidate();
  hover_.reset();
  const QString unit = record_.unit.isEmpty() ? tr("nats per token") : record_.unit;
  setTitle(tr("Waterline"),
           (isSorted ? tr("eigenvalues of all layers, sorted, %1 · what rises above the water gets bits")
                     : tr("eigenvalues by layer, %1 · what rises above the water gets bits"))
               .arg(unit));
  update();
}

QWidget* WaterlineView::controls() {
  arrangements_->show();
  return arrangements_;
}

QJsonObject WaterlineView::viewState() const {
  return arrangement_ == Arrangement::sorted ? QJsonObject{{QStringLiteral("arrangement"), QStringLiteral("sorted")}}
                                             : QJsonObject();
}

bool WaterlineView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  const QString shown = reader.choice("arrangement", {QStringLiteral("layer"), QStringLiteral("sorted")});
  setArrangement(shown == QStringLiteral("sorted") ? Arrangement::sorted : Arrangement::layer);
  return reader.isSound();
}

void WaterlineView::setWater(double level, const std::vector<LayerSpectra>& layers) {
  for (std::size_t i = 0; i < record_.layers.size() && i < layers.size(); ++i)
    if (layers[i].widths.size() == record_.layers[i].eigenvalues.size()) record_.layers[i].widths = layers[i].widths;
  sorted_.fillWidths(record_.layers);
  if (!before_) record_.level = level;
  describeForAssistance();
  update();
}

void WaterlineView::setCurrentLayer(int layer) {
  record_.currentLayer = layer;
  update();
}

void WaterlineView::setHandleText(const QString& text) {
  handleText_ = text;
  describeForAssistance();
  update();
}

void WaterlineView::describeForAssistance() {
  setAccessibleName(title());
  setAccessibleDescription(
      tr("Water at %1 %2, %3. Arrows up and down move it.").arg(significantText(line(), 3), record_.unit, handleText_));
}

WaterlineView::Layout WaterlineView::layoutIn(const QRectF& area) const {
  Layout layout;
  layout.plot = area.adjusted(kLeft, kTop, -kRight, -(kTop + 2 * kRow));
  layout.labels = layout.plot.bottom() + kRow / 2 + 2;
  layout.legend = layout.labels + kRow;
  return layout;
}

double WaterlineView::line() const { return lineOfLevel(record_.level, record_.coded); }

double WaterlineView::lineYIn(const Layout& layout) const {
  const double part = std::clamp(scale_.part(line()), 0.0, 1.0);
  return layout.plot.top() + (1 - part) * layout.plot.height();
}

double WaterlineView::lineY() const { return lineYIn(layoutIn(rect())); }

QRectF WaterlineView::handleIn(const Layout& layout) const {
  const QFontMetricsF metrics(textFont(TextRole::axis));
  const double width = std::max(metrics.horizontalAdvance(handleText_) * 1.06 + 16, 32.0);
  // Above the line, or below it where there is no room.
  double top = lineYIn(layout) - kHandleHeight;
  if (top < layout.plot.top() - kTop + 2) top = lineYIn(layout);
  return {layout.plot.right() - width, top, width, kHandleHeight};
}

QRectF WaterlineView::handle() const { return handleIn(layoutIn(rect())); }

double WaterlineView::levelAt(double y) const {
  const Layout layout = layoutIn(rect());
  const double part = std::clamp(1 - (y - layout.plot.top()) / layout.plot.height(), 0.0, 1.0);
  return levelOfLine(scale_.value(part), record_.coded);
}

bool WaterlineView::grabs(const QPointF& place) const {
  const Layout layout = layoutIn(rect());
  return !record_.layers.empty() &&
         (handleIn(layout).contains(place) ||
          (std::abs(place.y() - lineYIn(layout)) <= kGrip && place.x() >= layout.plot.left() - kGrip &&
           place.x() <= layout.plot.right() + kGrip));
}

std::optional<WaterlineView::Spot> WaterlineView::spotAt(const QPointF& place) const {
  const Layout layout = layoutIn(rect());
  const int count = static_cast<int>(rows().size());
  if (count == 0 || place.x() < layout.plot.left() || place.x() >= layout.plot.right() || place.y() < 0 ||
      place.y() > layout.legend - kRow / 2)
    return std::nullopt;
  const double x = place.x() - layout.plot.left();
  const int row = std::clamp(static_cast<int>(x * count / layout.plot.width()), 0, count - 1);
  const auto span = WaterlinePicture::spanOf(row, count, layout.plot.width());
  const auto directions = static_cast<int>(rows()[static_cast<std::size_t>(row)].eigenvalues.size());
  if (directions == 0) return std::nullopt;
  const int direction = std::clamp(static_cast<int>((x - span.left) / span.width * directions), 0, directions - 1);
  if (arrangement_ == Arrangement::layer) return Spot{row, direction};
  const SortedSpectra::Place of = sorted_.at(static_cast<std::size_t>(direction));
  return Spot{static_cast<int>(of.layer), static_cast<int>(of.direction)};
}

QString WaterlineView::describe(const Spot& spot) const {
  const LayerSpectra& layer = record_.layers[static_cast<std::size_t>(spot.layer)];
  const auto index = static_cast<std::size_t>(spot.direction);
  return tr("Layer %1 · direction %2 of %3 · %4 %5 · %6")
      .arg(spot.layer)
      .arg(countText(spot.direction + 1), countText(static_cast<std::int64_t>(layer.eigenvalues.size())),
           significantText(static_cast<double>(layer.eigenvalues[index]), 4),
           record_.unit.isEmpty() ? tr("nats per token") : record_.unit,
           bitsText(index < layer.widths.size() ? layer.widths[index] : 0));
}

void WaterlineView::startDrag() {
  Water water{record_.level, {}};
  for (const LayerSpectra& layer : record_.layers) water.widths.push_back(layer.widths);
  before_ = std::move(water);
  Q_EMIT dragBegan();
}

void WaterlineView::drag(double level) {
  if (level == record_.level) return;
  record_.level = level;
  update();
  Q_EMIT levelDragged(level);
}

void WaterlineView::commit() {
  if (!before_) return;
  const bool moved = before_->level != record_.level;
  before_.reset();
  update();
  // A net nothing is no edit, but whoever followed the drag must come back.
  if (moved)
    Q_EMIT levelCommitted(record_.level);
  else
    Q_EMIT dragCancelled();
}

void WaterlineView::cancel() {
  if (!before_) return;
  record_.level = before_->level;
  for (std::size_t i = 0; i < record_.layers.size() && i < before_->widths.size(); ++i)
    if (before_->widths[i].size() == record_.layers[i].eigenvalues.size())
      record_.layers[i].widths = std::move(before_->widths[i]);
  sorted_.fillWidths(record_.layers);
  before_.reset();
  update();
  Q_EMIT dragCancelled();
}

void WaterlineView::setHover(std::optional<Spot> spot) {
  if (spot == hover_) return;
  hover_ = spot;
  update();
  Q_EMIT hovered(spot ? describe(*spot) : QString());
}

void WaterlineView::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || before_) return;
  if (grabs(event->position())) {
    grip_ = lineY() - event->position().y();
    startDrag();
    update();
  } else if (const auto spot = spotAt(event->position())) {
    Q_EMIT layerActivated(spot->layer);
  }
}

void WaterlineView::mouseMoveEvent(QMouseEvent* event) {
  if (before_ && event->buttons().testFlag(Qt::LeftButton)) {
    drag(levelAt(event->position().y() + grip_));
    return;
  }
  const bool onLine = grabs(event->position());
  setCursor(onLine ? Qt::SizeVerCursor : Qt::ArrowCursor);
  setHover(onLine ? std::nullopt : spotAt(event->position()));
}

void WaterlineView::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton) commit();
}

void WaterlineView::leaveEvent(QEvent*) { setHover(std::nullopt); }

void WaterlineView::keyPressEvent(QKeyEvent* event) {
  double decades = 0;
  const int last = static_cast<int>(record_.layers.size()) - 1;
  switch (event->key()) {
    case Qt::Key_Up:
      decades = kStep;
      break;
    case Qt::Key_Down:
      decades = -kStep;
      break;
    case Qt::Key_PageUp:
      decades = kPage;
      break;
    case Qt::Key_PageDown:
      decades = -kPage;
      break;
    case Qt::Key_Left:
      if (record_.currentLayer > 0) Q_EMIT layerActivated(record_.currentLayer - 1);
      return;
    case Qt::Key_Right:
      if (record_.currentLayer < last) Q_EMIT layerActivated(record_.currentLayer + 1);
      return;
    case Qt::Key_Escape:
      if (before_) return cancel();
      [[fallthrough]];
    default:
      View::keyPressEvent(event);
      return;
  }
  if (last < 0) return;
  if (!before_) startDrag();
  // From where the line is seen: a level outside the picture starts at its edge.
  const double from = std::clamp(line(), scale_.value(0), scale_.value(1));
  const double moved = std::clamp(from * std::pow(10.0, decades), scale_.value(0), scale_.value(1));
  drag(levelOfLine(moved, record_.coded));
}

void WaterlineView::keyReleaseEvent(QKeyEvent* event) {
  // Holding a key down is one edit.
  const int key = event->key();
  if (!event->isAutoRepeat() &&
      (key == Qt::Key_Up || key == Qt::Key_Down || key == Qt::Key_PageUp || key == Qt::Key_PageDown))
    commit();
  else
    View::keyReleaseEvent(event);
}

void WaterlineView::focusInEvent(QFocusEvent*) { update(); }

void WaterlineView::focusOutEvent(QFocusEvent*) {
  commit();
  update();
}

bool WaterlineView::event(QEvent* event) {
  if (event->type() == QEvent::ShortcutOverride && before_ && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
    event->accept();  // Esc ends the drag before it does anything else in the window.
    return true;
  }
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const auto spot = spotAt(help->pos());
    if (grabs(help->pos()))
      QToolTip::showText(help->globalPos(),
                         tr("The water: drag it, or use the arrow keys. Esc lets it go where it was."), this);
    else if (spot)
      QToolTip::showText(help->globalPos(), describe(*spot).replace(QStringLiteral(" · "), QStringLiteral("\n")), this);
    else
      QToolTip::hideText();
    return true;
  }
  return View::event(event);
}

}  // namespace kvista
