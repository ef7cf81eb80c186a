// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_view.h"

#include <QComboBox>
#include <QContextMenuEvent>
#include <QHBoxLayout>
#include <QMenu>
#include <QPainter>
#include <QPushButton>
#include <algorithm>
#include <cmath>
#include <utility>

#include "views/heatmap_facts.h"
#include "views/order_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kMargin = 16, kTop = 8, kGap = 24, kFactsWidth = 200, kWidestFacts = 240;
constexpr int kRoomForFacts = 560, kRoomForTree = 480;  ///< Widths of the view from which on these are shown.

}  // namespace

HeatmapView::HeatmapView(QWidget* parent)
    : View(parent), canvas_(new HeatmapCanvas(this)), bar_(new RangeBar(this)), facts_(new SelectionFacts(this)) {
  connect(canvas_, &HeatmapCanvas::hoveredChanged, this,
          [this](std::optional<HeadPair> pair) { Q_EMIT cellHovered(pair ? canvas_->describe(*pair) : QString()); });
  connect(canvas_, &HeatmapCanvas::cursorChanged, this,
          [this](HeadPair pair) { Q_EMIT cellHovered(canvas_->describe(pair)); });
  connect(canvas_, &HeatmapCanvas::selectionChanged, this, [this](const HeadBlock& block) {
    outsideFacts_.clear();
    showFacts();
    Q_EMIT selectionChanged(block.heads());
  });
  connect(canvas_, &HeatmapCanvas::copied, this, &HeatmapView::copied);
  connect(bar_, &RangeBar::rangeEdited, this, [this](Range range) {
    scale_.fix(range);
    showColours();
    Q_EMIT rangeChanged(range);
    Q_EMIT viewStateChanged();
  });
  connect(bar_, &RangeBar::fitRequested, this, [this](double percentile) {
    scale_.fit(percentile);
    showColours();
    Q_EMIT rangeChanged(scale_.range());
    Q_EMIT viewStateChanged();
  });
  connect(bar_, &RangeBar::fitVisibleRequested, this, &HeatmapView::fitVisible);
  connect(bar_, &RangeBar::coloursChosen, this, [this](ColourMap map, bool inverted) {
    setColours(map, inverted);
    Q_EMIT viewStateChanged();
  });
  connect(bar_, &RangeBar::sharedChosen, this, [this](bool shared) {
    setRangeShared(shared);
    Q_EMIT rangeShared(shared);
    Q_EMIT viewStateChanged();
  });
  connect(canvas_, &HeatmapCanvas::visibleCellsChanged, this, &View::viewStateChanged);
  connect(canvas_, &HeatmapCanvas::moveRequested, this, &HeatmapView::moveHeads);
  connect(canvas_, &HeatmapCanvas::dropped, this, &HeatmapView::dropHeads);
  canvas_->setMovable(true);
  connect(facts_->groupLink(), &QPushButton::clicked, this, [this] { Q_EMIT makeGroupRequested(selection()); });
  connect(facts_->spectraLink(), &QPushButton::clicked, this, [this] { Q_EMIT showSpectraRequested(selection()); });
  connect(facts_->explainLink(), &QPushButton::clicked, this, &HeatmapView::explainRequested);
  connect(&Theme::instance(), &Theme::changed, this, &HeatmapView::showColours);
  setKeyboardPart(canvas_);
  rearrange();
  showColours();
  showFacts();
}

void HeatmapView::setRecord(const HeatmapRecord& record) {
  if (record == canvas_->record()) return;
  canvas_->setRecord(record);
  scale_.setValues(record.canBeDrawn() ? valuesOffDiagonal(record.matrix) : std::vector<float>(),
                   countUnknown(record.matrix), record.difference);
  showMeasure();
  rearrange();
  showColours();
  showFacts();
  if (zoom_ && record.canBeDrawn()) {
    const Zoom zoom = *std::exchange(zoom_, std::nullopt);
    if (zoom.heads == record.heads()) canvas_->setVisibleCells(zoom.visible);
  }
}

void HeatmapView::setMeasures(std::vector<MeasureChoice> measures) {
  if (measures == measures_) return;
  measures_ = std::move(measures);
  fillMeasures();
  showMeasure();
}

void HeatmapView::fillMeasures() {
  if (!measure_) return;
  measure_->clear();
  for (const auto& [name, explanation] : measures_) {
    measure_->addItem(name);
    measure_->setItemData(measure_->count() - 1, explanation, Qt::ToolTipRole);
  }
  measure_->setHidden(measures_.empty());
}

/// One that is not among those to choose from is none of them.
void HeatmapView::showMeasure() {
  setTitle(record().title, measures_.empty() ? record().measure : QString());
  if (!measure_) return;
  measure_->setCurrentIndex(measure_->findText(record().measure));
  measure_->setToolTip(measure_->currentData(Qt::ToolTipRole).toString());
}

void HeatmapView::setOrder(HeatmapOrder order) {
  order_ = order;
  rearrange();
}

void HeatmapView::setCustomOrder(std::vector<int> heads) {
  custom_ = std::move(heads);
  setOrder(HeatmapOrder::custom);
}

void HeatmapView::setCustomOrderByHand(std::vector<int> heads) {
  before_ = Ordered{order_, custom_};
  setCustomOrder(std::move(heads));
  Q_EMIT viewStateChanged();
}

/// The order by hand once taken back; done twice it is there again.
void HeatmapView::orderAsBefore() {
  if (!before_) return;
  const Ordered now{order_, custom_};
  custom_ = before_->custom;
  setOrder(before_->order);
  before_ = now;
  Q_EMIT viewStateChanged();
}

void HeatmapView::dropHeads(const std::vector<int>& heads, int place) {
  const std::vector<int>& now = canvas_->arrangement().headAt;
  const auto isMoved = [&](int head) { return std::ranges::find(heads, head) != heads.end(); };
  std::vector<int> order, moved;
  for (int at = 0; at < static_cast<int>(now.size()); ++at) {
    const int head = now[static_cast<std::size_t>(at)];
    if (at == place) order.insert(order.end(), heads.size(), -1);
    if (isMoved(head))
      moved.push_back(head);
    else
      order.push_back(head);
  }
  if (place >= static_cast<int>(now.size())) order.insert(order.end(), heads.size(), -1);
  // They keep their own order.
  std::ranges::copy(moved, std::ranges::find(order, -1));
  if (order != now) setCustomOrderByHand(std::move(order));
}

/// The selected heads first, the others behind them as they stand.
void HeatmapView::orderAsSelected() {
  std::vector<int> heads = selection();
  if (heads.empty()) return;
  for (const int head : canvas_->arrangement().headAt)
    if (std::ranges::find(heads, head) == heads.end()) heads.push_back(head);
  setCustomOrderByHand(std::move(heads));
}

/// Moves the selected heads, or the cursor's, by one place; the first or last of them stops all.
void HeatmapView::moveHeads(int by) {
  std::vector<int> moved = selection();
  if (const auto cursor = canvas_->cursor(); moved.empty() && cursor) moved.push_back(cursor->column);
  std::vector<int> heads = canvas_->arrangement().headAt;
  if (moved.empty() || heads.empty()) return;
  const auto isMoved = [&](int head) { return std::ranges::find(moved, head) != moved.end(); };
  if (isMoved(by < 0 ? heads.front() : heads.back())) return;
  if (by > 0) std::ranges::reverse(heads);
  for (std::size_t place = 1; place < heads.size(); ++place)
    if (isMoved(heads[place])) std::swap(heads[place - 1], heads[place]);
  if (by > 0) std::ranges::reverse(heads);
  setCustomOrderByHand(std::move(heads));
}

QJsonObject HeatmapView::viewState() const {
  QJsonObject state = stateOf(scale_);
  if (order_ != HeatmapOrder::group) state[QStringLiteral("order")] = orderId(order_);
  QJsonArray custom;
  for (const int head : custom_) custom.append(head);
  if (!custom.isEmpty()) state[QStringLiteral("custom")] = custom;
  if (shared_) state[QStringLiteral("shared")] = true;
  if (const QJsonArray zoom = stateOfZoom(canvas_->visibleCells(), record().heads()); !zoom.isEmpty())
    state[QStringLiteral("zoom")] = zoom;
  return state;
}

bool HeatmapView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  const bool isSound = setState(scale_, state);
  constexpr int kMostHeads = 4096;
  custom_.clear();
  for (const double head : reader.numbers("custom", 1, kMostHeads))
    custom_.push_back(static_cast<int>(std::clamp(head, -1.0, 1e6)));
  QStringList orders;
  for (const HeatmapOrder order :
       {HeatmapOrder::group, HeatmapOrder::index, HeatmapOrder::cluster, HeatmapOrder::mean, HeatmapOrder::custom})
    orders << orderId(order);
  setOrder(orderFromId(reader.choice("order", orders)));
  setRangeShared(reader.flag("shared"));
  zoom_ = zoomOf(reader, "zoom");
  if (!zoom_) {
    canvas_->fit();
  } else if (record().canBeDrawn()) {
    const Zoom zoom = *std::exchange(zoom_, std::nullopt);
    if (zoom.heads == record().heads()) canvas_->setVisibleCells(zoom.visible);
  }
  showColours();
  Q_EMIT rangeShared(shared_);
  Q_EMIT viewStateChanged();
  return isSound && reader.isSound();
}

void HeatmapView::setRangeShared(bool shared) {
  shared_ = shared;
  bar_->setShared(shared);
}

void HeatmapView::rearrange() {
  const HeatmapOrder shown = shownOrder(order_, !record().groups.empty(), orders_);
  canvas_->setArrangement(arrange(record(), shown, custom_));
  placeParts();
}

void HeatmapView::setSharedRange(std::optional<Range> range) {
  scale_.fix(range);
  showColours();
}

void HeatmapView::setColours(ColourMap map, bool inverted) {
  scale_.setColours(map, inverted);
  showColours();
}

void HeatmapView::fitVisible() {
  std::vector<float> values = canvas_->visibleValues();
  if (values.empty()) return;
  scale_.fix(fitRange(values, 0, record().difference));
  showColours();
  Q_EMIT rangeChanged(scale_.range());
  Q_EMIT viewStateChanged();
}

void HeatmapView::showColours() {
  canvas_->setColours(scale_.range(), scale_.table());
  bar_->setRecord(scale_.record());
}

void HeatmapView::setSelection(const std::vector<int>& heads) {
  // The echo of what was selected here: which were rows and which columns is known here only.
  if (const std::vector<int> mine = selection();
      mine.size() == heads.size() && std::is_permutation(mine.begin(), mine.end(), heads.begin()))
    return;
  canvas_->setSelection({heads, heads});
  outsideFacts_.clear();
  showFacts();
}

void HeatmapView::setSelectionFacts(Facts facts) {
  outsideFacts_ = std::move(facts);
  showFacts();
}

void HeatmapView::showFacts() {
  Facts facts = factsOf(record(), canvas_->selection());
  if (!facts.empty()) facts.insert(facts.end(), outsideFacts_.begin(), outsideFacts_.end());
  facts_->setFacts(facts);
  facts_->setLinks(record().measure, record().explanation, !facts.empty());
}

QWidget* HeatmapView::controls() {
  if (controls_) return controls_;
  controls_ = new QWidget;
  measure_ = new QComboBox(controls_);
  measure_->setObjectName(QStringLiteral("similarityMeasure"));
  measure_->setAccessibleName(tr("Similarity measure"));
  measure_->setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);  // Where there is little room, the orders give way.
  connect(measure_, &QComboBox::activated, this, [this](int index) {
    const QString name = measure_->itemText(index);
    showMeasure();  // Of what is shown, until there is the other.
    if (name != record().measure) Q_EMIT measureChosen(name);
  });
  orders_ = makeOrderControl(true);
  auto* row = new QHBoxLayout(controls_);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(6);
  row->addWidget(measure_);
  row->addWidget(orders_);
  connect(orders_, &SegmentedControl::chosen, this, [this](const QString& id) {
    // An order of one's own begins with the present one.
    if (orderFromId(id) == HeatmapOrder::custom && custom_.empty()) custom_ = canvas_->arrangement().headAt;
    setOrder(orderFromId(id));
    Q_EMIT viewStateChanged();
  });
  fillMeasures();
  showMeasure();
  rearrange();
  return controls_;
}

void HeatmapView::placeParts() {
  const bool canBeDrawn = record().canBeDrawn(), hasFacts = canBeDrawn && width() >= kRoomForFacts;
  canvas_->setVisible(canBeDrawn);
  bar_->setVisible(canBeDrawn);
  facts_->setVisible(hasFacts);
  update();
  if (!canBeDrawn) return;
  HeatmapAxes axes = HeatmapAxes::of(record(), canvas_->arrangement());
  if (width() < kRoomForTree) axes.treeWidth = 0;
  canvas_->setAxes(axes);
  const int beside = kGap + RangeBar::kWidth + (hasFacts ? kGap + kFactsWidth : 0);
  const double wide = width() - 2 * kMargin - axes.width() - beside,
               high = height() - kTop - axes.height - RangeBar::kFooter;
  const double side = crispSide(std::max(16.0, std::min(wide, high) - 2), record().heads());
  const QSize size = canvas_->sizeFor(side);
  const int spare = std::max(0, width() - 2 * kMargin - size.width() - beside);
  const int forFacts = hasFacts ? std::min(spare, kWidestFacts - kFactsWidth) : 0;
  const int left = kMargin + (spare - forFacts) / 2;
  canvas_->setGeometry(left, kTop, size.width(), size.height());
  const int cellsTop = kTop + static_cast<int>(axes.height);
  bar_->setGeometry(left + size.width() + kGap - 4, cellsTop - RangeBar::kMargin, RangeBar::kWidth,
                    RangeBar::kMargin + static_cast<int>(side) + RangeBar::kFooter);
  if (hasFacts)
    facts_->setGeometry(left + size.width() + kGap + RangeBar::kWidth + kGap, cellsTop, kFactsWidth + forFacts,
                        height() - cellsTop - 8);
}

void HeatmapView::resizeEvent(QResizeEvent*) { placeParts(); }

void HeatmapView::paintEvent(QPaintEvent*) {
  if (record().canBeDrawn()) return;
  QPainter painter(this);
  painter.setFont(textFont(TextRole::body));
  painter.setPen(colours().soft);
  painter.drawText(rect().adjusted(kMargin, 0, -kMargin, 0), Qt::AlignCenter | Qt::TextWordWrap,
                   tr("How alike the heads are is known once the model is calibrated."));
}

void HeatmapView::contextMenuEvent(QContextMenuEvent* event) {
  if (!record().canBeDrawn()) return;
  QMenu* menu = makeMenu();
  menu->setAttribute(Qt::WA_DeleteOnClose);
  menu->popup(event->globalPos());
}

QMenu* HeatmapView::makeMenu() {
  auto* menu = new QMenu(this);
  const std::vector<int> heads = selection();
  const auto add = [&](const QString& text, bool enabled, auto&& what) {
    QAction* action = menu->addAction(text);
    action->setEnabled(enabled);
    connect(action, &QAction::triggered, this, what);
    return action;
  };
  add(tr("Make a group of these"), !heads.empty(), [this] { Q_EMIT makeGroupRequested(selection()); });
  add(tr("Show their spectra"), !heads.empty(), [this] { Q_EMIT showSpectraRequested(selection()); });
  add(tr("Copy the numbers\tCtrl+C"), !heads.empty(), [this] { canvas_->copySelection(); });
  add(tr("Export the numbers…"), !heads.empty(), [this] { Q_EMIT tableRequested(canvas_->selectionTable()); });
  menu->addSeparator();
  add(tr("Order as selected"), !heads.empty(), [this] { orderAsSelected(); });
  add(tr("Move left\tAlt+Left"), !heads.empty(), [this] { moveHeads(-1); });
  add(tr("Move right\tAlt+Right"), !heads.empty(), [this] { moveHeads(1); });
  add(tr("Order as before the last move"), before_.has_value(), [this] { orderAsBefore(); });
  menu->addSeparator();
  add(tr("Show all heads\t0"), true, [this] { canvas_->fit(); });
  add(tr("Range and colours…"), true, [this] { bar_->edit(); });
  add(tr("Explain %1").arg(record().measure), !record().measure.isEmpty(), [this] { Q_EMIT explainRequested(); });
  return menu;
}

void HeatmapView::paintFigure(QPainter& painter, const QRectF& rect) {
  const Theme::Wearing light(Theme::light());
  if (!record().canBeDrawn()) return;
  const HeatmapAxes axes = canvas_->axes();
  painter.save();
  painter.setFont(textFont(TextRole::title));
  painter.setPen(colours().text);
  painter.drawText(QRectF(rect.left(), rect.top(), rect.width(), 20), Qt::AlignLeft | Qt::AlignVCenter,
                   record().measure.isEmpty() ? record().title : tr("%1 · %2").arg(record().title, record().measure));
  const double side = crispSide(std::min(rect.width() - axes.width() - kGap - RangeBar::kWidth,
                                         rect.height() - kGap - axes.height - RangeBar::kFooter) -
                                    2,
                                record().heads());
  const QRectF cells(rect.left() + axes.width(), rect.top() + kGap + axes.height, side, side);
  canvas_->paintFigure(painter,
                       QRectF(rect.left(), rect.top() + kGap, axes.width() + side + 2, axes.height + side + 2));
  paintRangeBar(painter, QRectF(cells.right() + kGap, cells.top(), RangeBar::kWidth, side), scale_.record());
  painter.restore();
}

}  // namespace kvista
