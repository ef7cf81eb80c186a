// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/refine_view.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "views/elided_label.h"
#include "views/number_text.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr double kLabelGap = LogChart::kOverhang + 4, kLabelMargin = 8, kReach = 24;
constexpr int kMargin = 16, kDecimals = 2;

bool canBeDrawn(double loss) { return loss > 0 && std::isfinite(loss); }

/// Whole halvings on both sides of what is between `least` and `most`.
LogScale octaves(double least, double most) {
  const double one = std::log10(2.0);
  const double low = std::floor(std::log2(least) + 1e-9), high = std::ceil(std::log2(most) - 1e-9);
  return {low * one, std::max(high, low + 1) * one};
}

}  // namespace

/// What the chart is painted on.
class RefineView::Plot final : public QWidget {
 public:
  explicit Plot(RefineView& view) : QWidget(&view), view_(view) {
    setMouseTracking(true);
    setMinimumHeight(100);
  }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    view_.chart_.paint(painter, {});
  }
  void resizeEvent(QResizeEvent*) override { view_.fill(view_.chart_, size()); }
  bool event(QEvent* event) override {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    if (const auto step = view_.stepAt(help->pos()))
      QToolTip::showText(help->globalPos(), view_.describe(*step), this);
    else
      QToolTip::hideText();
    return true;
  }

 private:
  RefineView& view_;
};

RefineView::RefineView(QWidget* parent)
    : View(parent),
      plot_(new Plot(*this)),
      status_(new ElidedLabel(this)),
      empty_(emptyState({}, this)),
      table_(new QWidget(this)),
      cells_(new QGridLayout(table_)),
      refine_(new QPushButton(tr("Refine…"), this)),
      stop_(new QPushButton(tr("Stop, keep the best"), this)) {
  setTitle(tr("Refining"), tr("training of the plan's factors"));
  status_->setObjectName(QStringLiteral("refineStatus"));
  table_->setObjectName(QStringLiteral("refinePerplexities"));
  refine_->setObjectName(QStringLiteral("refineButton"));
  refine_->setToolTip(tr("Train the plan's factors, so that the same bytes lose less"));
  stop_->setObjectName(QStringLiteral("stopRefining"));
  plot_->setAccessibleName(tr("Loss by step"));
  cells_->setContentsMargins(0, 0, 0, 0);
  cells_->setHorizontalSpacing(16);
  cells_->setVerticalSpacing(4);
  cells_->setColumnStretch(0, 1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 8, 0, 12);
  column->setSpacing(8);
  auto* foot = new QVBoxLayout;
  foot->setContentsMargins(kMargin, 0, kMargin, 0);
  foot->setSpacing(8);
  foot->addWidget(status_);
  foot->addWidget(table_);
  auto* line = new QHBoxLayout;
  line->addStretch();
  line->addWidget(stop_);
  line->addWidget(refine_);
  line->addStretch();
  column->addWidget(empty_, 1);
  column->addWidget(plot_, 1);
  column->addLayout(foot);
  column->addLayout(line);
  connect(refine_, &QPushButton::clicked, this, &RefineView::refineRequested);
  connect(stop_, &QPushButton::clicked, this, [this] {
    stop_->setEnabled(false);
    Q_EMIT stopRequested();
  });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    fill(chart_, plot_->size());
    plot_->update();
    showPerplexities();
  });
  setRecord({});
}

void RefineView::setRecord(RefineCurve record) {
  const bool begins = record.running && !record_.running;
  record_ = std::move(record);
  const bool hasCurve = !record_.steps.empty() || record_.running;
  empty_->setText(!record_.unavailable.isEmpty() ? record_.unavailable
                                                 : tr("The factors of this plan are as they were worked out. Training "
                                                      "them on a text makes the same bytes lose less."));
  empty_->setVisible(!hasCurve && record_.status.isEmpty());
  plot_->setVisible(hasCurve);
  status_->setVisible(!record_.status.isEmpty());
  status_->setText(record_.status);
  refine_->setVisible(!record_.running);
  refine_->setEnabled(record_.unavailable.isEmpty());
  stop_->setVisible(record_.running);
  if (begins) stop_->setEnabled(true);
  fit();
  showPerplexities();
}

void RefineView::fit() {
  double least = 0, most = 0;
  int last = 8;
  const auto take = [&](double loss) {
    if (!canBeDrawn(loss)) return;
    least = least > 0 ? std::min(least, loss) : loss;
    most = std::max(most, loss);
  };
  for (const RefineStep& step : record_.steps) {
    take(step.training);
    if (step.heldOut) take(*step.heldOut);
    last = std::max(last, step.step);
  }
  loss_ = most > 0 ? octaves(least, most) : LogScale{-3, 0};
  steps_ = {0, std::log10(static_cast<double>(last))};
  fill(chart_, plot_->size());
  plot_->update();
}

void RefineView::fill(LogChart& chart, const QSizeF& size) const {
  const Palette& look = colours();
  const QString training = tr("training"), heldOut = tr("held out");
  const double room = std::max(LogChart::textWidth(training), LogChart::textWidth(heldOut));
  const auto halvings = [](int power) { return significantText(std::pow(2.0, power), 2); };
  const auto counts = [](int power) { return countText(std::int64_t{1} << std::max(0, power)); };
  chart.setAxes(size, kLabelGap + room + kLabelMargin, {steps_, tr("step"), {}, counts, 2},
                {loss_, tr("divergence from the original"), tr("nats a token"), halvings, 2});
  QPolygonF each, looked;
  QPolygonF best;
  for (const RefineStep& step : record_.steps) {
    if (canBeDrawn(step.training)) each << QPointF(step.step, step.training);
    if (!step.heldOut || !canBeDrawn(*step.heldOut)) continue;
    looked << QPointF(step.step, *step.heldOut);
    if (record_.best == step.step) best << looked.back();
  }
  const std::vector<LogChart::Line> lines = {
      {each, QPen(look.soft, 1.2)}, {looked, QPen(look.accent, 2, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin)}};
  const std::vector<LogChart::Marks> marks = {
      {looked, 7, look.accent}, {best, 15, look.accent}, {best, 11, look.panel}, {best, 7, look.accent}};
  // Beside their ends, apart from each other.
  std::vector<LogChart::Text> texts;
  const auto end = [&](const QPolygonF& line) {
    return chart.place(line.back().x(), line.back().y()).y() - LogChart::kTextHeight / 2;
  };
  double at = each.isEmpty() ? 0 : end(each), atHeldOut = looked.isEmpty() ? 0 : end(looked);
  if (!each.isEmpty() && !looked.isEmpty() && std::abs(at - atHeldOut) < LogChart::kTextHeight) {
    const double middle = (at + atHeldOut) / 2, apart = LogChart::kTextHeight / 2;
    const bool above = at < atHeldOut;
    at = middle + (above ? -apart : apart);
    atHeldOut = middle + (above ? apart : -apart);
  }
  const double left = chart.area().right() + kLabelGap;
  if (!each.isEmpty()) texts.push_back({QRectF(left, at, room, LogChart::kTextHeight), training, look.soft});
  if (!looked.isEmpty()) texts.push_back({QRectF(left, atHeldOut, room, LogChart::kTextHeight), heldOut, look.accent});
  chart.setContent(lines, marks, texts);
}

void RefineView::showPerplexities() {
  while (QLayoutItem* item = cells_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  table_->setVisible(!record_.perplexities.empty());
  const auto put = [&](int row, int column, const QString& text, bool soft, bool strong = false) {
    auto* cell = new QLabel(text, table_);
    if (soft) cell->setForegroundRole(QPalette::PlaceholderText);
    if (strong) cell->setFont(textFont(TextRole::strong));
    cells_->addWidget(cell, row, column, column == 0 ? Qt::AlignLeft : Qt::AlignRight);
    return cell;
  };
  if (record_.perplexities.empty()) return;
  const QString heads[] = {tr("Perplexity"), tr("original"), tr("as planned"), tr("refined")};
  for (int column = 0; column < 4; ++column) put(0, column, heads[column], true);
  int row = 0;
  for (const RefinePerplexity& each : record_.perplexities) {
    ++row;
    put(row, 0, each.name, false)->setToolTip(each.text);
    put(row, 1, decimalText(each.original, kDecimals), false);
    put(row, 2, decimalText(each.planned, kDecimals), false);
    put(row, 3, decimalText(each.refined, kDecimals), false, true);
  }
}

std::optional<QPointF> RefineView::placeOf(const RefineStep& step) const {
  if (!canBeDrawn(step.training)) return std::nullopt;
  return chart_.place(step.step, step.training);
}

std::optional<RefineStep> RefineView::stepAt(const QPointF& place) const {
  std::optional<RefineStep> nearest;
  double best = kReach;
  for (const RefineStep& step : record_.steps) {
    const auto at = placeOf(step);
    if (!at || std::abs(at->x() - place.x()) >= best) continue;
    best = std::abs(at->x() - place.x());
    nearest = step;
  }
  return nearest;
}

QString RefineView::describe(const RefineStep& step) const {
  const QString training = significantText(step.training, 3);
  return step.heldOut ? tr("Step %1: training %2, held out %3 nats a token")
                            .arg(countText(step.step), training, significantText(*step.heldOut, 3))
                      : tr("Step %1: training %2 nats a token").arg(countText(step.step), training);
}

void RefineView::paintFigure(QPainter& painter, const QRectF& area) const {
  LogChart chart;
  fill(chart, area.size());
  chart.paint(painter, area.topLeft());
}

PlainTable RefineView::plainTable() const {
  PlainTable table{{tr("step"), tr("training"), tr("held out")}, {}};
  for (const RefineStep& step : record_.steps)
    table.rows.push_back({QString::number(step.step), plainNumber(step.training),
                          step.heldOut ? plainNumber(*step.heldOut) : QString()});
  return table;
}

}  // namespace kvista
