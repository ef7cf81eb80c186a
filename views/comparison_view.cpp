// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/comparison_view.h"

#include <QComboBox>
#include <QFontMetricsF>
#include <QHBoxLayout>
#include <QLocale>
#include <QPainter>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "views/order_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kMargin = 16, kTop = 8, kHeading = 24, kGap = 24, kLine = 32;

HeatmapRecord differenceOf(const ComparisonRecord& record) {
  HeatmapRecord result = record.right;
  result.difference = true;
  result.title = ComparisonView::tr("Difference");
  result.measure = ComparisonView::tr("difference of %1").arg(record.left.measure);
  for (std::size_t i = 0; i < result.matrix.values.size(); ++i) result.matrix.values[i] -= record.left.matrix.values[i];
  return result;
}

}  // namespace

ComparisonView::ComparisonView(QWidget* parent)
    : View(parent),
      canvases_{new HeatmapCanvas(this), new HeatmapCanvas(this), new HeatmapCanvas(this)},
      bar_(new RangeBar(this)),
      differenceBar_(new RangeBar(this)),
      choices_(new QComboBox(this)) {
  choices_->hide();
  choices_->setAccessibleName(tr("What is compared"));
  choices_->setSizeAdjustPolicy(QComboBox::AdjustToContents);
  connect(choices_, &QComboBox::activated, this,
          [this](int index) { Q_EMIT choiceMade(choices_->itemData(index).toString()); });
  linkCanvases();
  connectBar(bar_, scale_, true);
  connectBar(differenceBar_, differenceScale_, false);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    showColours();
    update();
  });
  setKeyboardPart(canvases_[left]);
  setRecord({});
}

void ComparisonView::linkCanvases() {
  for (HeatmapCanvas* canvas : canvases_) {
    const auto others = [this, canvas](auto&& what) {
      for (HeatmapCanvas* other : canvases_)
        if (other != canvas) what(other);
    };
    const auto pointAt = [this](std::optional<HeadPair> pair) {
      pointed_ = pair;
      update();
      Q_EMIT cellHovered(pair ? describe(*pair) : QString());
    };
    connect(canvas, &HeatmapCanvas::hoveredChanged, this, [=](std::optional<HeadPair> pair) {
      others([&](HeatmapCanvas* other) { other->setHovered(pair); });
      pointAt(pair);
    });
    connect(canvas, &HeatmapCanvas::cursorChanged, this, [=](HeadPair pair) {
      others([&](HeatmapCanvas* other) { other->setHovered(pair); });
      pointAt(pair);
    });
    connect(canvas, &HeatmapCanvas::selectionChanged, this, [=, this](const HeadBlock& block) {
      others([&](HeatmapCanvas* other) { other->setSelection(block); });
      Q_EMIT selectionChanged(block.heads());
    });
    connect(canvas, &HeatmapCanvas::visibleCellsChanged, this, [=, this](const QRectF& visible) {
      others([&](HeatmapCanvas* other) { other->setVisibleCells(visible); });
      if (canvas == canvases_[left]) Q_EMIT viewStateChanged();
    });
    connect(canvas, &HeatmapCanvas::copied, this, &ComparisonView::copied);
  }
}

void ComparisonView::connectBar(RangeBar* bar, ColourScale& scale, bool isShared) {
  const auto changed = [this] {
    showColours();
    Q_EMIT viewStateChanged();
  };
  connect(bar, &RangeBar::rangeEdited, this, [=, &scale](Range range) {
    scale.fix(range);
    changed();
  });
  connect(bar, &RangeBar::fitRequested, this, [=, &scale](double percentile) {
    scale.fit(percentile);
    changed();
  });
  connect(bar, &RangeBar::fitVisibleRequested, this, [=, this, &scale] {
    std::vector<float> values = canvases_[isShared ? left : difference]->visibleValues();
    if (isShared) {
      const std::vector<float> more = canvases_[right]->visibleValues();
      values.insert(values.end(), more.begin(), more.end());
    }
    if (values.empty()) return;
    scale.fix(fitRange(values, 0, !isShared));
    changed();
  });
  connect(bar, &RangeBar::coloursChosen, this, [=, this, &scale](ColourMap map, bool inverted) {
    scale.setColours(map, inverted);
    changed();
  });
}

bool ComparisonView::canBeDrawn() const {
  return record_.left.canBeDrawn() && record_.right.canBeDrawn() && record_.left.heads() == record_.right.heads();
}

void ComparisonView::setRecord(const ComparisonRecord& record) {
  record_ = record;
  pointed_ = std::nullopt;
  setTitle(record.title, record.left.measure);
  const bool drawn = canBeDrawn();
  const HeatmapRecord none, differences = drawn ? differenceOf(record) : none;
  canvases_[left]->setRecord(drawn ? record.left : none);
  canvases_[right]->setRecord(drawn ? record.right : none);
  canvases_[difference]->setRecord(differences);
  if (drawn) {
    std::vector<float> values = valuesOffDiagonal(record.left.matrix);
    const std::vector<float> more = valuesOffDiagonal(record.right.matrix);
    values.insert(values.end(), more.begin(), more.end());
    scale_.setValues(std::move(values), countUnknown(record.left.matrix) + countUnknown(record.right.matrix), false);
    differenceScale_.setValues(valuesOffDiagonal(differences.matrix), countUnknown(differences.matrix), true);
  }
  summary_ = summary();
  rearrange();
  showColours();
  applyZoom();
}

void ComparisonView::applyZoom() {
  if (!zoom_ || !canBeDrawn()) return;
  const Zoom zoom = *std::exchange(zoom_, std::nullopt);
  if (zoom.heads == record_.left.heads()) canvases_[left]->setVisibleCells(zoom.visible);
}

QJsonObject ComparisonView::viewState() const {
  QJsonObject state = stateOf(scale_);
  if (order_ != HeatmapOrder::group) state[QStringLiteral("order")] = orderId(order_);
  if (const QJsonObject scale = stateOf(differenceScale_); !scale.isEmpty())
    state[QStringLiteral("difference")] = scale;
  if (const QJsonArray zoom = stateOfZoom(canvases_[left]->visibleCells(), canvases_[left]->record().heads());
      !zoom.isEmpty())
    state[QStringLiteral("zoom")] = zoom;
  return state;
}

bool ComparisonView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  const bool isSound = setState(scale_, state) && setState(differenceScale_, reader.object("difference"));
  QStringList orders;
  for (const HeatmapOrder order : {HeatmapOrder::group, HeatmapOrder::index, HeatmapOrder::cluster, HeatmapOrder::mean})
    orders << orderId(order);
  setOrder(orderFromId(reader.choice("order", orders)));
  zoom_ = zoomOf(reader, "zoom");
  if (!zoom_) canvases_[left]->fit();
  applyZoom();
  showColours();
  return isSound && reader.isSound();
}

void ComparisonView::setChoices(const std::vector<std::pair<QString, QString>>& choices, const QString& current) {
  bool same = choices_->count() == static_cast<int>(choices.size());
  for (int i = 0; same && i < choices_->count(); ++i) {
    const auto& [id, words] = choices[static_cast<std::size_t>(i)];
    same = choices_->itemData(i).toString() == id && choices_->itemText(i) == words;
  }
  if (!same) {
    choices_->clear();
    for (const auto& [id, words] : choices) choices_->addItem(words, id);
  }
  choices_->setCurrentIndex(choices_->findData(current));
  choices_->setVisible(controls_ && choices.size() > 1);
}

void ComparisonView::setOrder(HeatmapOrder order) {
  order_ = order;
  rearrange();
}

void ComparisonView::rearrange() {
  const HeatmapOrder shown = shownOrder(order_, !record_.left.groups.empty(), orders_);
  if (canBeDrawn()) {
    Arrangement arrangement = arrange(record_.left, shown);
    for (HeatmapCanvas* canvas : canvases_) {
      // Borders are each record's own groups in the common order.
      arrangement.runs = arrange(canvas->record(), HeatmapOrder::custom, arrangement.headAt).runs;
      canvas->setArrangement(arrangement);
    }
  }
  placeParts();
}

void ComparisonView::setSelection(const std::vector<int>& heads) {
  if (const std::vector<int> mine = canvases_[left]->selection().heads();
      mine.size() == heads.size() && std::is_permutation(mine.begin(), mine.end(), heads.begin()))
    return;
  for (HeatmapCanvas* canvas : canvases_) canvas->setSelection({heads, heads});
}

void ComparisonView::showColours() {
  canvases_[left]->setColours(scale_.range(), scale_.table());
  canvases_[right]->setColours(scale_.range(), scale_.table());
  canvases_[difference]->setColours(differenceScale_.range(), differenceScale_.table());
  bar_->setRecord(scale_.record());
  differenceBar_->setRecord(differenceScale_.record());
}

QString ComparisonView::describe(HeadPair pair) const {
  const double a = record_.left.matrix.at(pair.row, pair.column), b = record_.right.matrix.at(pair.row, pair.column);
  const QString heads = pair.row == pair.column
                            ? record_.left.name(pair.row)
                            : tr("%1 and %2").arg(record_.left.name(pair.row), record_.left.name(pair.column));
  return QStringList{tr("Layer %1").arg(record_.left.layer), heads,
                     tr("%1 %2 and %3").arg(record_.left.measure, valueText(a), valueText(b)).trimmed(),
                     tr("difference %1").arg(valueText(b - a))}
      .join(QStringLiteral(" · "));
}

QString ComparisonView::summary() const {
  if (!canBeDrawn()) return {};
  const HeatmapRecord& differences = canvases_[difference]->record();
  HeadPair most;
  double sum = 0, largest = -1;
  int known = 0;
  for (int row = 0; row < differences.heads(); ++row)
    for (int column = 0; column < differences.heads(); ++column) {
      const double value = differences.matrix.at(row, column);
      if (row == column || std::isnan(value)) continue;
      sum += value;
      ++known;
      if (std::abs(value) > largest) {
        largest = std::abs(value);
        most = {row, column};
      }
    }
  if (known == 0) return {};
  return tr("Mean difference %1 · largest %2, %3 and %4")
      .arg(valueText(sum / known), valueText(differences.matrix.at(most.row, most.column)), differences.name(most.row),
           differences.name(most.column));
}

PlainTable ComparisonView::plainTable() const {
  PlainTable table{{tr("Head"), tr("Other head"), record_.left.title, record_.right.title, tr("Difference")}, {}};
  if (!canBeDrawn()) return table;
  for (int row = 0; row < record_.left.heads(); ++row)
    for (int column = 0; column < record_.left.heads(); ++column) {
      const double a = record_.left.matrix.at(row, column), b = record_.right.matrix.at(row, column);
      table.rows.push_back(
          {record_.left.name(row), record_.left.name(column), plainNumber(a), plainNumber(b), plainNumber(b - a)});
    }
  return table;
}

QWidget* ComparisonView::controls() {
  if (controls_) return controls_;
  controls_ = new QWidget;
  orders_ = makeOrderControl(false);
  auto* row = new QHBoxLayout(controls_);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(6);
  row->addWidget(choices_);
  row->addWidget(orders_);
  choices_->setVisible(choices_->count() > 1);
  connect(orders_, &SegmentedControl::chosen, this, [this](const QString& id) {
    setOrder(orderFromId(id));
    Q_EMIT viewStateChanged();
  });
  rearrange();
  return controls_;
}

ComparisonView::Places ComparisonView::placesIn(const QRectF& rect) const {
  // Names stand at the left of the first only: the order is the same in all.
  const HeatmapAxes axes = HeatmapAxes::of(record_.left, canvases_[left]->arrangement());
  const double names = axes.namesWidth, bar = kGap + RangeBar::kWidth;
  const double wide = (rect.width() - names - 2 * kGap - 2 * bar) / 3;
  const double high = rect.height() - kHeading - axes.height - std::max<double>(RangeBar::kFooter, kLine);
  Places places;
  places.side = crispSide(std::max(16.0, std::min(wide, high) - 2), record_.left.heads());
  const double step = places.side + 2, spare = std::max(0.0, rect.width() - names - 3 * step - 2 * kGap - 2 * bar);
  const double top = rect.top() + kHeading, height = axes.height + step;
  double x = rect.left() + std::floor(spare / 2);
  places.canvas[left] = {x, top, names + step, height};
  x += names + step + kGap;
  places.canvas[right] = {x, top, step, height};
  x += step + kGap;
  places.bar = {x, top + axes.height, RangeBar::kWidth, places.side};
  x += RangeBar::kWidth + kGap;
  places.canvas[difference] = {x, top, step, height};
  x += step + kGap;
  places.differenceBar = {x, top + axes.height, RangeBar::kWidth, places.side};
  return places;
}

void ComparisonView::placeParts() {
  const bool drawn = canBeDrawn();
  for (HeatmapCanvas* canvas : canvases_) canvas->setVisible(drawn);
  bar_->setVisible(drawn);
  differenceBar_->setVisible(drawn);
  update();
  if (!drawn) return;
  const Places places = placesIn(QRectF(rect()).adjusted(kMargin, kTop, -kMargin, 0));
  for (const Part part : {left, right, difference}) {
    HeatmapAxes axes = HeatmapAxes::of(record_.left, canvases_[part]->arrangement());
    axes.treeWidth = 0;
    if (part != left) axes.namesWidth = 0;
    canvases_[part]->setAxes(axes);
    canvases_[part]->setGeometry(places.canvas[part].toRect());
  }
  const auto barPlace = [](const QRectF& colours) {
    return colours.adjusted(-4, -RangeBar::kMargin, 0, RangeBar::kFooter).toRect();
  };
  bar_->setGeometry(barPlace(places.bar));
  differenceBar_->setGeometry(barPlace(places.differenceBar));
}

void ComparisonView::resizeEvent(QResizeEvent*) { placeParts(); }

void ComparisonView::paintHeadings(QPainter& painter, const Places& places) const {
  painter.setFont(textFont(TextRole::strong));
  painter.setPen(colours().text);
  const QFontMetricsF metrics(painter.font());
  const QString titles[] = {record_.left.title, record_.right.title, tr("Difference")};
  for (const Part part : {left, right, difference}) {
    const QRectF& place = places.canvas[part];
    const QRectF box(place.right() - places.side - 2, place.top() - kHeading, places.side + kGap - 8, 20);
    painter.drawText(box, Qt::AlignLeft | Qt::AlignVCenter,
                     metrics.elidedText(titles[part], Qt::ElideMiddle, box.width()));
  }
}

void ComparisonView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setFont(textFont(TextRole::body));
  painter.setPen(colours().soft);
  if (!canBeDrawn()) {
    const bool differ = record_.left.canBeDrawn() && record_.right.canBeDrawn();
    painter.drawText(rect().adjusted(kMargin, 0, -kMargin, 0), Qt::AlignCenter | Qt::TextWordWrap,
                     differ ? tr("%1 has %2 heads and %3 has %4: only the same heads can be compared.")
                                  .arg(record_.left.title, QLocale().toString(record_.left.heads()),
                                       record_.right.title, QLocale().toString(record_.right.heads()))
                            : tr("How alike the heads are can be compared once the model is calibrated."));
    return;
  }
  const Places places = placesIn(QRectF(rect()).adjusted(kMargin, kTop, -kMargin, 0));
  const double x = places.canvas[left].right() - places.side - 2, y = places.canvas[left].bottom() + 6;
  const double room = places.differenceBar.right() - x;
  painter.drawText(
      QRectF(x, y, room, 20), Qt::AlignLeft | Qt::AlignVCenter,
      QFontMetricsF(painter.font()).elidedText(pointed_ ? describe(*pointed_) : summary_, Qt::ElideRight, room));
  paintHeadings(painter, places);
}

void ComparisonView::paintFigure(QPainter& painter, const QRectF& rect) {
  if (!canBeDrawn()) return;
  auto light = std::make_optional<Theme::Wearing>(Theme::light());
  showColours();
  painter.save();
  const Places places = placesIn(rect);
  paintHeadings(painter, places);
  for (const Part part : {left, right, difference}) canvases_[part]->paintFigure(painter, places.canvas[part]);
  paintRangeBar(painter, places.bar, scale_.record());
  paintRangeBar(painter, places.differenceBar, differenceScale_.record());
  painter.setFont(textFont(TextRole::axis));
  painter.setPen(colours().soft);
  const double x = places.canvas[left].right() - places.side - 2;
  painter.drawText(QRectF(x, places.canvas[left].bottom() + 6, rect.right() - x, 20), Qt::AlignLeft | Qt::AlignVCenter,
                   summary_);
  painter.restore();
  light.reset();
  showColours();
}

}  // namespace kvista
