// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/heatmap_view.h"

#include <QContextMenuEvent>
#include <QMenu>
#include <QPainter>
#include <QPushButton>
#include <algorithm>
#include <cmath>

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
  });
  connect(bar_, &RangeBar::fitRequested, this, [this](double percentile) {
    scale_.fit(percentile);
    showColours();
    Q_EMIT rangeChanged(scale_.range());
  });
  connect(bar_, &RangeBar::fitVisibleRequested, this, &HeatmapView::fitVisible);
  connect(bar_, &RangeBar::coloursChosen, this, [this](ColourMap map, bool inverted) {
    setColours(map, inverted);
    Q_EMIT coloursChanged(map, inverted);
  });
  connect(facts_->groupLink(), &QPushButton::clicked, this, [this] { Q_EMIT makeGroupRequested(selection()); });
  connect(facts_->spectraLink(), &QPushButton::clicked, this, [this] { Q_EMIT showSpectraRequested(selection()); });
  connect(facts_->explainLink(), &QPushButton::clicked, this, &HeatmapView::explainRequested);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
  setFocusProxy(canvas_);
  rearrange();
  showColours();
  showFacts();
}

void HeatmapView::setRecord(const HeatmapRecord& record) {
  if (record == canvas_->record()) return;
  canvas_->setRecord(record);
  scale_.setValues(record.canBeDrawn() ? valuesOffDiagonal(record.matrix) : std::vector<float>(),
                   countUnknown(record.matrix), record.difference);
  setTitle(record.title, record.measure);
  rearrange();
  showColours();
  showFacts();
}

void HeatmapView::setOrder(HeatmapOrder order) {
  order_ = order;
  rearrange();
}

void HeatmapView::setCustomOrder(std::vector<int> heads) {
  custom_ = std::move(heads);
  setOrder(HeatmapOrder::custom);
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
  if (orders_) return orders_;
  orders_ = makeOrderControl();
  connect(orders_, &SegmentedControl::chosen, this, [this](const QString& id) {
    setOrder(orderFromId(id));
    Q_EMIT orderChanged(order_);
  });
  rearrange();
  return orders_;
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
  QMenu menu(this);
  const std::vector<int> heads = selection();
  const auto add = [&](const QString& text, bool enabled, auto&& what) {
    QAction* action = menu.addAction(text);
    action->setEnabled(enabled);
    connect(action, &QAction::triggered, this, what);
    return action;
  };
  add(tr("Make a group of these"), !heads.empty(), [this] { Q_EMIT makeGroupRequested(selection()); });
  add(tr("Show their spectra"), !heads.empty(), [this] { Q_EMIT showSpectraRequested(selection()); });
  add(tr("Copy the numbers\tCtrl+C"), !heads.empty(), [this] { canvas_->copySelection(); });
  menu.addSeparator();
  add(tr("Show all heads\t0"), true, [this] { canvas_->fit(); });
  add(tr("Range and colours…"), true, [this] { bar_->edit(); });
  add(tr("Explain %1").arg(record().measure), !record().measure.isEmpty(), [this] { Q_EMIT explainRequested(); });
  menu.exec(event->globalPos());
}

void HeatmapView::paintFigure(QPainter& painter, const QRectF& rect) {
  const Theme::LightForPaper light;
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
