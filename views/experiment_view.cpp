// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experiment_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSplitter>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>
#include <numeric>

#include "core/plan/pareto.h"
#include "views/elided_label.h"
#include "views/experiment_model.h"
#include "views/number_text.h"
#include "views/quality_cost_view.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kMargin = 16, kWide = 800;

}  // namespace

QualityCostRecord experimentPlot(const ExperimentTable& table) {
  constexpr std::size_t kMany = 8;
  std::vector<QualityCostSeries> all;
  std::vector<CostQuality> points;
  std::vector<std::size_t> systems;  // Of each point, in `all`.
  for (qsizetype i = 0; i < table.systems.size(); ++i) {
    QualityCostSeries series{table.systems[i], {}};
    for (const auto& cell : table.cells[static_cast<std::size_t>(i)])
      if (cell && cell->problem.isEmpty() && cell->share > 0) series.points.emplace_back(cell->share, cell->rise);
    if (series.points.empty()) continue;
    std::ranges::sort(series.points, {}, &QPointF::x);
    for (const QPointF& point : series.points) {
      points.push_back({point.x(), point.y()});
      systems.push_back(all.size());
    }
    all.push_back(std::move(series));
  }
  const bool areMany = all.size() > kMany;
  for (QualityCostSeries& series : all) series.isContext = areMany;
  for (const std::size_t i : paretoFront(points)) all[systems[i]].isContext = false;
  std::ranges::stable_partition(all, [](const QualityCostSeries& series) { return !series.isContext; });
  QualityCostRecord record;
  record.others = std::move(all);
  return record;
}

ExperimentView::ExperimentView(QWidget* parent)
    : View(parent),
      model_(new ExperimentModel(this)),
      which_(new QComboBox),
      table_(new QTableView),
      plot_(new QualityCostView),
      content_(new QSplitter(Qt::Vertical, this)),
      status_(new ElidedLabel(this)),
      empty_(emptyState({}, this)),
      start_(new QPushButton(tr("Compare methods…"), this)),
      stop_(new QPushButton(tr("Stop"), this)),
      report_(new QPushButton(tr("Open the report"), this)) {
  setTitle(tr("Experiment"), tr("perplexity"));
  which_->setObjectName(QStringLiteral("experimentTable"));
  which_->setAccessibleName(tr("Sweep and text"));
  start_->setObjectName(QStringLiteral("experimentButton"));
  start_->setToolTip(tr("Measure many methods at many sizes on this model"));
  stop_->setObjectName(QStringLiteral("stopExperiment"));
  stop_->setToolTip(tr("What is measured stays; the same folder goes on with it"));
  report_->setObjectName(QStringLiteral("experimentReport"));
  status_->setObjectName(QStringLiteral("experimentStatus"));
  table_->setModel(model_);
  table_->setObjectName(QStringLiteral("experimentCells"));
  table_->setAccessibleName(tr("Perplexity by system and value"));
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->setShowGrid(false);
  table_->setWordWrap(false);
  table_->setTabKeyNavigation(false);
  table_->setProperty("headerPadding", 4);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(28);
  table_->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  table_->horizontalHeader()->setHighlightSections(false);
  content_->setChildrenCollapsible(false);
  content_->addWidget(table_);
  content_->addWidget(plot_);
  auto* line = new QHBoxLayout;
  line->addWidget(status_, 1);
  for (QPushButton* button : {report_, stop_, start_}) line->addWidget(button);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kMargin, 8, kMargin, 12);
  column->setSpacing(8);
  column->addWidget(empty_, 1);
  column->addWidget(content_, 1);
  column->addLayout(line);
  connect(start_, &QPushButton::clicked, this, &ExperimentView::experimentRequested);
  connect(report_, &QPushButton::clicked, this, &ExperimentView::reportRequested);
  connect(stop_, &QPushButton::clicked, this, [this] {
    stop_->setEnabled(false);
    Q_EMIT stopRequested();
  });
  connect(which_, &QComboBox::currentIndexChanged, this, &ExperimentView::showTable);
  setRecord({});
}

QWidget* ExperimentView::controls() { return which_; }

/// Beside each other where there is the width for it, and not the height for one below the other.
void ExperimentView::resizeEvent(QResizeEvent* event) {
  View::resizeEvent(event);
  content_->setOrientation(width() > std::max(kWide, 2 * height()) ? Qt::Horizontal : Qt::Vertical);
}

void ExperimentView::setRecord(ExperimentRecord record) {
  const bool begins = record.running && !record_.running;
  record_ = std::move(record);
  const QString before = which_->currentText();
  {
    const QSignalBlocker quiet(which_);
    which_->clear();
    for (const ExperimentTable& table : record_.tables) which_->addItem(table.title);
    which_->setCurrentIndex(std::max(0, which_->findText(before)));
  }
  const bool hasTables = !record_.tables.empty();
  which_->setVisible(record_.tables.size() > 1);
  content_->setVisible(hasTables);
  empty_->setVisible(!hasTables);
  empty_->setText(
      !record_.unavailable.isEmpty()
          ? record_.unavailable
          : tr("Published methods and ours, side by side on this model: tables, and a plot of quality and bytes."));
  status_->setText(record_.status);
  start_->setVisible(!record_.running);
  start_->setEnabled(record_.unavailable.isEmpty());
  stop_->setVisible(record_.running);
  report_->setVisible(record_.hasReport && !record_.running);
  if (begins) stop_->setEnabled(true);
  showTable();
}

void ExperimentView::showTable() {
  const auto index = static_cast<std::size_t>(std::max(0, which_->currentIndex()));
  const ExperimentTable table = index < record_.tables.size() ? record_.tables[index] : ExperimentTable{};
  setTitle(tr("Experiment"), table.original > 0 ? tr("perplexity, %1 uncompressed").arg(decimalText(table.original, 2))
                                                : tr("perplexity"));
  plot_->setRecord(experimentPlot(table));
  model_->setTable(table);
}

PlainTable ExperimentView::plainTable() const {
  std::vector<int> rows(static_cast<std::size_t>(model_->rowCount()));
  std::iota(rows.begin(), rows.end(), 0);
  return kvista::plainTable(*model_, rows, ExperimentModel::plainRole);
}

void ExperimentView::paintFigure(QPainter& painter, const QRectF& area) const { plot_->paintFigure(painter, area); }

}  // namespace kvista
