// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/navigator_strip.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/matrix_image.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kNames = 32, kGap = 8, kRight = 10, kTop = 2, kSmallest = 24, kLargest = 160;
constexpr int kLayersThatFill = 8;                 ///< So few are fitted to the height; more are scrolled.
constexpr std::size_t kValuesForTheFit = 1 << 16;  ///< Enough for percentiles, cheap while layers arrive one by one.
constexpr double kRadius = 4, kOutliers = 1;       ///< Per cent of the values at either end.

/// A matrix that is not square or not whole counts as not known.
void dropUnsound(Matrix& matrix) {
  const auto side = static_cast<std::size_t>(std::max(matrix.rows, 0));
  if (matrix.rows != matrix.columns || matrix.values.size() != side * side) matrix = {};
}

Side other(Side side) { return side == Side::key ? Side::value : Side::key; }

}  // namespace

NavigatorStrip::NavigatorStrip(QWidget* parent) : QAbstractScrollArea(parent) {
  setFrameShape(QFrame::NoFrame);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setFocusPolicy(Qt::StrongFocus);
  viewport()->setAutoFillBackground(false);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    forgetPictures();  // Hatches are drawn in colours of the look.
  });
  scale_.fit(kOutliers);
}

void NavigatorStrip::setRecord(NavigatorRecord record) {
  record_ = std::move(record);
  for (auto* side : {&record_.keys, &record_.values})
    for (Matrix& matrix : *side) dropUnsound(matrix);
  layer_ = std::clamp(layer_, 0, std::max(0, record_.layers() - 1));
  scaleIsStale_ = true;
  forgetPictures();
  layOut();
  setAccessibleName(describe(layer_, side_));
}

void NavigatorStrip::setMatrix(int layer, Side side, Matrix matrix) {
  std::vector<Matrix>& all = side == Side::key ? record_.keys : record_.values;
  if (layer < 0 || static_cast<std::size_t>(layer) >= all.size()) return;
  dropUnsound(matrix);
  all[static_cast<std::size_t>(layer)] = std::move(matrix);
  scaleIsStale_ = true;
  forgetPictures();
}

void NavigatorStrip::setCurrent(int layer, Side side) {
  if (layer < 0 || layer >= record_.layers()) return;
  layer_ = layer;
  side_ = side;
  setAccessibleName(describe(layer_, side_));
  showCurrent();
  viewport()->update();
}

void NavigatorStrip::setSharedRange(std::optional<Range> range) {
  const bool isFixed = scale_.record().percentile < 0;
  if (range ? isFixed && *range == scale_.range() : !isFixed) return;
  scale_.fix(range);
  forgetPictures();
}

void NavigatorStrip::setColours(ColourMap map, bool inverted) {
  if (map == scale_.map() && inverted == scale_.record().inverted) return;
  scale_.setColours(map, inverted);
  forgetPictures();
}

Range NavigatorStrip::fittedRange() {
  ColourScale fitted = scale();
  fitted.fit(kOutliers);
  return fitted.range();
}

const ColourScale& NavigatorStrip::scale() {
  if (!scaleIsStale_) return scale_;
  scaleIsStale_ = false;
  std::vector<float> values;
  std::size_t total = 0;
  int unknown = 0;
  for (const auto* side : {&record_.keys, &record_.values})
    for (const Matrix& matrix : *side) total += matrix.values.size();
  const std::size_t stride = std::max<std::size_t>(1, total / kValuesForTheFit) | 1U;  // Odd: not one column only.
  std::size_t until = 0;
  for (const auto* side : {&record_.keys, &record_.values})
    for (const Matrix& matrix : *side) {
      unknown += countUnknown(matrix);
      for (; until < matrix.values.size(); until += stride) {
        const bool onDiagonal = until % (static_cast<std::size_t>(matrix.columns) + 1) == 0;
        if (!onDiagonal && std::isfinite(matrix.values[until])) values.push_back(matrix.values[until]);
      }
      until -= matrix.values.size();
    }
  scale_.setValues(std::move(values), unknown, false);
  return scale_;
}

void NavigatorStrip::forgetPictures() {
  pictures_.clear();
  viewport()->update();
}

QRect NavigatorStrip::picture(int layer, Side side) const {
  const int left = std::max(kNames, viewport()->width() - kRight - 2 * pictureSide_ - kGap);
  return {left + (side == Side::key ? 0 : pictureSide_ + kGap),
          kTop + layer * (pictureSide_ + kGap) - verticalScrollBar()->value(), pictureSide_, pictureSide_};
}

void NavigatorStrip::layOut() {
  const int layers = record_.layers();
  const auto sideFor = [](int width) { return std::clamp((width - kNames - kGap - kRight) / 2, kSmallest, kLargest); };
  int side = sideFor(width());
  if (layers > 0 && layers <= kLayersThatFill) side = std::clamp((height() - kTop) / layers - kGap, kSmallest, side);
  if (kTop + layers * (side + kGap) > height()) side = sideFor(width() - verticalScrollBar()->sizeHint().width());
  if (side != pictureSide_) forgetPictures();
  pictureSide_ = side;
  verticalScrollBar()->setRange(0, std::max(0, kTop + layers * (side + kGap) - height()));
  verticalScrollBar()->setPageStep(height());
  verticalScrollBar()->setSingleStep((side + kGap) / 2);
  Q_EMIT columnsMoved();
}

void NavigatorStrip::resizeEvent(QResizeEvent*) {
  layOut();
  showCurrent();
}

const QPixmap& NavigatorStrip::madePicture(int layer, Side side) {
  QPixmap& kept = pictures_[2 * layer + static_cast<int>(side)];
  const double ratio = devicePixelRatioF();
  if (!kept.isNull() && kept.devicePixelRatio() == ratio) return kept;
  const Matrix& matrix = record_.matrix(layer, side);
  const QRectF square(0, 0, pictureSide_, pictureSide_);
  QImage image((square.size() * ratio).toSize(), QImage::Format_RGB32);
  image.setDevicePixelRatio(ratio);
  {
    QPainter painter(&image);
    MatrixImage(matrix, {}, scale().range(), scale().table())
        .paint(painter, square, QRectF(0, 0, matrix.columns, matrix.rows), colours().panel, colours().faint);
  }
  kept = QPixmap(image.size());
  kept.setDevicePixelRatio(ratio);
  kept.fill(Qt::transparent);
  QPainter painter(&kept);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(Qt::NoPen);
  painter.setBrush(QBrush(image));
  painter.drawRoundedRect(square, kRadius, kRadius);
  return kept;
}

void NavigatorStrip::paintEvent(QPaintEvent* event) {
  QPainter painter(viewport());
  if (record_.layers() == 0) {
    painter.setFont(textFont(TextRole::body));
    painter.setPen(colours().soft);
    painter.drawText(viewport()->rect().adjusted(12, 12, -12, -12), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Layers of the model come here."));
    return;
  }
  painter.setRenderHint(QPainter::Antialiasing);
  for (int layer = 0; layer < record_.layers(); ++layer) {
    const QRect row = picture(layer, Side::key);
    if (row.bottom() + kGap < event->rect().top() || row.top() - kGap > event->rect().bottom()) continue;
    QFont font = textFont(TextRole::axis);
    if (layer == layer_) font.setWeight(QFont::DemiBold);
    painter.setFont(font);
    painter.setPen(layer == layer_ ? colours().accent : colours().soft);
    painter.drawText(QRect(0, row.top(), row.left() - kGap, row.height()), Qt::AlignRight | Qt::AlignVCenter,
                     QLocale().toString(layer));
    for (const Side side : {Side::key, Side::value}) {
      const QRect place = picture(layer, side);
      painter.setBrush(Qt::NoBrush);
      if (record_.matrix(layer, side).isEmpty()) {
        painter.setPen(QPen(colours().hairline, 1));
        painter.drawRoundedRect(QRectF(place).adjusted(0.5, 0.5, -0.5, -0.5), kRadius, kRadius);
      } else {
        painter.drawPixmap(place.topLeft(), madePicture(layer, side));
      }
      if (layer != layer_ || side != side_) continue;
      painter.setPen(QPen(colours().panel, 3));
      painter.drawRoundedRect(QRectF(place), kRadius, kRadius);
      painter.setPen(QPen(colours().accent, 2));
      painter.drawRoundedRect(QRectF(place).adjusted(-1, -1, 1, 1), kRadius + 1, kRadius + 1);
      if (!hasFocus()) continue;
      painter.setPen(QPen(colours().accent, 1));
      painter.drawRoundedRect(QRectF(place).adjusted(-3.5, -3.5, 3.5, 3.5), kRadius + 3, kRadius + 3);
    }
  }
}

std::optional<std::pair<int, Side>> NavigatorStrip::at(QPoint position) const {
  if (record_.layers() == 0) return std::nullopt;
  const int layer = (position.y() + verticalScrollBar()->value() - kTop) / (pictureSide_ + kGap);
  for (const Side side : {Side::key, Side::value})
    if (layer >= 0 && layer < record_.layers() && picture(layer, side).contains(position))
      return std::pair{layer, side};
  return std::nullopt;
}

void NavigatorStrip::mousePressEvent(QMouseEvent* event) {
  const auto hit = at(event->position().toPoint());
  if (event->button() == Qt::LeftButton && hit) activate(hit->first, hit->second);
}

void NavigatorStrip::keyPressEvent(QKeyEvent* event) {
  const int last = record_.layers() - 1, page = std::max(1, height() / (pictureSide_ + kGap));
  switch (event->key()) {
    case Qt::Key_Up:
      return activate(layer_ - 1, side_);
    case Qt::Key_Down:
      return activate(layer_ + 1, side_);
    case Qt::Key_PageUp:
      return activate(std::max(0, layer_ - page), side_);
    case Qt::Key_PageDown:
      return activate(std::min(last, layer_ + page), side_);
    case Qt::Key_Home:
      return activate(0, side_);
    case Qt::Key_End:
      return activate(last, side_);
    case Qt::Key_Left:
    case Qt::Key_Right:
      if ((event->key() == Qt::Key_Right) == (side_ == Side::key)) activate(layer_, other(side_));
      return;
    default:
      QAbstractScrollArea::keyPressEvent(event);
  }
}

bool NavigatorStrip::viewportEvent(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QAbstractScrollArea::viewportEvent(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  if (const auto hit = at(help->pos()))
    QToolTip::showText(help->globalPos(), describe(hit->first, hit->second), viewport(),
                       picture(hit->first, hit->second));
  else
    QToolTip::hideText();
  return true;
}

void NavigatorStrip::activate(int layer, Side side) {
  if (layer < 0 || layer >= record_.layers() || (layer == layer_ && side == side_)) return;
  setCurrent(layer, side);
  Q_EMIT activated(layer_, side_);
}

void NavigatorStrip::showCurrent() {
  const QRect place = picture(layer_, side_);
  QScrollBar* bar = verticalScrollBar();
  if (place.top() < kGap) bar->setValue(bar->value() + place.top() - kGap);
  if (place.bottom() > height() - kGap) bar->setValue(bar->value() + place.bottom() - height() + kGap);
}

QString NavigatorStrip::describe(int layer, Side side) const {
  QString text = side == Side::key ? tr("Layer %1 · keys").arg(layer) : tr("Layer %1 · values").arg(layer);
  std::vector<float> values = valuesOffDiagonal(record_.matrix(layer, side));
  if (values.empty()) return text;
  double sum = 0;
  for (const float value : values) sum += value;
  return text + tr(" · mean %1 %2").arg(record_.measure, valueText(sum / static_cast<double>(values.size())));
}

}  // namespace kvista
