// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/lab_view.h"

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QJsonArray>
#include <QLabel>
#include <QPushButton>
#include <QShortcut>
#include <QSignalBlocker>
#include <QSplitter>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>
#include <numeric>

#include "views/elided_label.h"
#include "views/segmented_control.h"
#include "views/view_state.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kMargin = 16, kRow = 28;

/// What a page is called, what is measured there, what begins it, and what it is for.
struct PageWords {
  QString id, name, remark, start, startTip, about, help;
};
PageWords wordsOf(LabView::Page page) {
  switch (page) {
    case LabView::Page::questions:
      return {
          QStringLiteral("questions"),
          LabView::tr("Questions"),
          LabView::tr("the original and the plan"),
          LabView::tr("Ask questions…"),
          LabView::tr("Questions with answers to choose from or to write, from JSONL files"),
          LabView::tr(
              "How many questions do the original and the plan answer right, and which do they answer differently?"),
          QStringLiteral("evaluation#Tasks")};
    case LabView::Page::agreement:
      return {QStringLiteral("agreement"),
              LabView::tr("Agreement"),
              LabView::tr("the original and the plan"),
              LabView::tr("Measure agreement…"),
              LabView::tr("Divergence of the predictions along a text, and what both write behind its beginnings"),
              LabView::tr(
                  "How far does the plan say what the original says, token by token, and where do their texts part?"),
              QStringLiteral("evaluation#Agreement")};
    case LabView::Page::ranks:
      return {QStringLiteral("ranks"),
              LabView::tr("Ranks"),
              LabView::tr("of the model itself"),
              LabView::tr("Measure ranks…"),
              LabView::tr(
                  "Normalised effective ranks by layer and head on several texts, and what truncation costs (KV-CoRE)"),
              LabView::tr("How many directions do the keys and values of each layer need on each text, and does that "
                          "tell what truncating them costs?"),
              QStringLiteral("systems#KV-CoRE")};
    case LabView::Page::variants:
      return {QStringLiteral("variants"),
              LabView::tr("Variants"),
              LabView::tr("at the plan's ranks"),
              LabView::tr("Compare key variants"),
              LabView::tr("Errors with the directions of KQ-SVD, of K-SVD and of Eigen Attention at the plan's ranks"),
              LabView::tr("Do directions chosen from keys and queries together keep more of the attention than those "
                          "of the keys alone?"),
              QStringLiteral("systems#KQ-SVD")};
    case LabView::Page::predictors:
      break;
  }
  return {QStringLiteral("predictors"),
          LabView::tr("Predictors"),
          LabView::tr("of the model itself"),
          LabView::tr("Train a predictor…"),
          LabView::tr("Trained once for a model, it foretells which tokens of a cache will matter"),
          LabView::tr("Some policies at run time read a small model that foretells which tokens will matter: train one "
                      "for this model here."),
          QStringLiteral("policies#fast-kvzip")};
}

std::vector<std::pair<QString, QString>> segments() {
  std::vector<std::pair<QString, QString>> all;
  for (const LabView::Page page : LabView::kPages) all.emplace_back(wordsOf(page).id, wordsOf(page).name);
  return all;
}

PlainTable plainOf(const QTableView& table, std::vector<int> rows) {
  if (rows.empty()) {
    rows.resize(static_cast<std::size_t>(table.model()->rowCount()));
    std::iota(rows.begin(), rows.end(), 0);
  }
  return plainTable(*table.model(), rows, LabModel::plainRole);
}

void layOut(QTableView& table, const LabTable& shown) {
  for (std::size_t i = 0; i < shown.columns.size(); ++i)
    table.horizontalHeader()->setSectionResizeMode(
        static_cast<int>(i), shown.columns[i].stretches ? QHeaderView::Stretch : QHeaderView::ResizeToContents);
}

}  // namespace

LabView::LabView(QWidget* parent)
    : View(parent),
      which_(new SegmentedControl(segments(), tr("Measures of the lab"))),
      summary_(new LabModel(this)),
      details_(new LabModel(this)),
      summaryTable_(makeTable("labSummary", summary_)),
      detailsTable_(makeTable("labDetails", details_)),
      plot_(new LabPlot(this)),
      scatter_(new LabScatter(this)),
      list_(new QComboBox(this)),
      content_(new QSplitter(Qt::Vertical, this)),
      below_(new QWidget(this)),
      empty_(emptyState({}, this)),
      status_(new ElidedLabel(this)),
      help_(new QPushButton(tr("What is measured?"), this)),
      stop_(new QPushButton(tr("Stop"), this)),
      start_(new QPushButton(this)) {
  summaryTable_->setAccessibleName(tr("Figures"));
  detailsTable_->setAccessibleName(tr("One by one"));
  list_->setObjectName(QStringLiteral("labList"));
  list_->setAccessibleName(tr("What is listed"));
  status_->setObjectName(QStringLiteral("labStatus"));
  help_->setObjectName(QStringLiteral("labHelp"));
  help_->setToolTip(tr("The page of the manual that says how each figure is made"));
  stop_->setObjectName(QStringLiteral("stopLab"));
  start_->setObjectName(QStringLiteral("startLab"));
  auto* listed = new QHBoxLayout;
  listed->addWidget(list_);
  listed->addStretch(1);
  auto* lower = new QVBoxLayout(below_);
  lower->setContentsMargins(0, 4, 0, 0);
  lower->setSpacing(6);
  lower->addWidget(plot_, 2);
  lower->addWidget(scatter_, 3);
  lower->addLayout(listed);
  lower->addWidget(detailsTable_, 3);
  content_->setChildrenCollapsible(false);
  content_->addWidget(summaryTable_);
  content_->addWidget(below_);
  content_->setStretchFactor(1, 1);
  auto* line = new QHBoxLayout;
  line->addWidget(status_, 1);
  for (QPushButton* button : {help_, stop_, start_}) line->addWidget(button);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kMargin, 8, kMargin, 12);
  column->setSpacing(8);
  column->addWidget(empty_, 1);
  column->addWidget(content_, 1);
  column->addLayout(line);
  setTabOrder(summaryTable_, list_);  // As they are seen.
  setTabOrder(list_, detailsTable_);
  connect(which_, &SegmentedControl::chosen, this, [this](const QString& id) {
    for (const Page page : kPages)
      if (wordsOf(page).id == id) showPage(page);
  });
  connect(list_, &QComboBox::activated, this, [this] {
    part().details = list_->currentData().toString();
    showDetails();
    Q_EMIT viewStateChanged();
  });
  connect(content_, &QSplitter::splitterMoved, this, [this] {
    splitByHand_ = true;
    Q_EMIT viewStateChanged();
  });
  connect(help_, &QPushButton::clicked, this, [this] { Q_EMIT helpRequested(wordsOf(page_).help); });
  connect(start_, &QPushButton::clicked, this, [this] { Q_EMIT startRequested(page_); });
  connect(stop_, &QPushButton::clicked, this, [this] {
    stop_->setEnabled(false);
    Q_EMIT stopRequested(page_);
  });
  showFindings();
}

QTableView* LabView::makeTable(const char* name, LabModel* model) {
  auto* table = new QTableView(this);
  table->setObjectName(QLatin1String(name));
  table->setModel(model);
  table->setSelectionBehavior(QAbstractItemView::SelectRows);
  table->setSelectionMode(QAbstractItemView::ExtendedSelection);
  table->setShowGrid(false);
  table->setWordWrap(false);
  table->setTabKeyNavigation(false);
  table->setProperty("headerPadding", 4);
  table->verticalHeader()->hide();
  table->verticalHeader()->setDefaultSectionSize(kRow);
  table->horizontalHeader()->setHighlightSections(false);
  // The rows that are chosen, or all.
  connect(new QShortcut(QKeySequence::Copy, table, nullptr, nullptr, Qt::WidgetShortcut), &QShortcut::activated, this,
          [table] {
            std::vector<int> rows;
            for (const QModelIndex& index : table->selectionModel()->selectedRows()) rows.push_back(index.row());
            std::ranges::sort(rows);
            QApplication::clipboard()->setText(tabSeparated(plainOf(*table, rows)));
          });
  return table;
}

QWidget* LabView::controls() { return which_; }

void LabView::setFindings(Page page, LabFindings findings) {
  LabFindings& known = parts_[static_cast<std::size_t>(page)].findings;
  if (findings == known) return;
  known = std::move(findings);
  if (page == page_) showFindings();
}

void LabView::setWork(Page page, LabWork work) {
  LabWork& known = parts_[static_cast<std::size_t>(page)].work;
  if (work == known) return;
  const bool begins = work.running && !known.running;
  known = std::move(work);
  if (page != page_) return;
  if (begins) stop_->setEnabled(true);
  showWork();
}

void LabView::showPage(Page page) {
  if (page == page_) return;
  page_ = page;
  stop_->setEnabled(true);
  showFindings();
  Q_EMIT viewStateChanged();
}

void LabView::showFindings() {
  const PageWords words = wordsOf(page_);
  which_->setCurrent(words.id);
  setTitle(tr("Evaluation lab"), words.remark);
  const LabFindings& found = part().findings;
  const bool known = !found.summary.rows.empty();
  content_->setVisible(known);
  empty_->setVisible(!known);
  if (summary_->setTable(found.summary)) layOut(*summaryTable_, found.summary);
  const int rows = kRow * static_cast<int>(std::clamp<std::size_t>(found.summary.rows.size(), 1, 6));
  const int height =
      summaryTable_->horizontalHeader()->sizeHint().height() + rows + 2 * summaryTable_->frameWidth() + 2;
  summaryTable_->setMinimumHeight(std::min(height, 3 * kRow));
  if (!splitByHand_) content_->setSizes({height, 10'000});
  {
    const QSignalBlocker quiet(list_);
    list_->clear();
    for (const LabDetails& each : found.details)
      list_->addItem(QStringLiteral("%1 (%2)").arg(each.title).arg(each.table.rows.size()), each.id);
    // Unless one was chosen, the first that has anything in it.
    const auto first =
        std::ranges::find_if(found.details, [](const LabDetails& each) { return !each.table.rows.empty(); });
    const int chosen = list_->findData(part().details);
    list_->setCurrentIndex(chosen >= 0                    ? chosen
                           : first == found.details.end() ? 0
                                                          : static_cast<int>(first - found.details.begin()));
  }
  below_->setVisible(!found.details.empty());
  plot_->setVisible(found.curve.has_value());
  if (found.curve) plot_->setCurve(*found.curve);
  scatter_->setVisible(found.points.has_value());
  if (found.points) scatter_->setPoints(*found.points);
  showDetails();
  showWork();
}

void LabView::showDetails() {
  const auto index = static_cast<std::size_t>(std::max(0, list_->currentIndex()));
  const auto& lists = part().findings.details;
  const LabTable table = index < lists.size() ? lists[index].table : LabTable{};
  if (details_->setTable(table)) layOut(*detailsTable_, table);
}

void LabView::showWork() {
  const LabWork& work = part().work;
  const PageWords words = wordsOf(page_);
  empty_->setText(work.unavailable.isEmpty() ? words.about : work.unavailable);
  status_->setText(work.status);
  start_->setText(words.start);
  start_->setToolTip(words.startTip);
  start_->setVisible(!work.running);
  start_->setEnabled(work.unavailable.isEmpty());
  stop_->setVisible(work.running);
}

PlainTable LabView::plainTable() const {
  const bool upper = details_->rowCount() == 0 || window()->focusWidget() == summaryTable_;
  return plainOf(upper ? *summaryTable_ : *detailsTable_, {});
}

QJsonObject LabView::viewState() const {
  QJsonObject state;
  if (page_ != Page::questions) state[QStringLiteral("page")] = wordsOf(page_).id;
  for (const Page page : kPages)
    if (const QString& list = parts_[static_cast<std::size_t>(page)].details; !list.isEmpty())
      state[wordsOf(page).id] = list;
  if (const QList<int> sizes = content_->sizes(); splitByHand_)
    state[QStringLiteral("split")] = QJsonArray{sizes[0], sizes[1]};
  return state;
}

bool LabView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  QStringList ids;
  for (const Page page : kPages) ids << wordsOf(page).id;
  page_ = kPages[static_cast<std::size_t>(ids.indexOf(reader.choice("page", ids)))];
  for (const Page page : kPages) {
    const QJsonValue list = state.value(wordsOf(page).id);
    parts_[static_cast<std::size_t>(page)].details = list.toString();  // One that there is not leaves the first.
    if (!list.isUndefined() && !list.isString()) reader.reject();
  }
  const std::vector<double> sizes = reader.numbers("split", 2, 2);
  splitByHand_ = !sizes.empty() && sizes[0] > 0 && sizes[1] > 0 && sizes[0] + sizes[1] < 1e5;
  if (!sizes.empty() && !splitByHand_) reader.reject();
  if (splitByHand_) content_->setSizes({static_cast<int>(sizes[0]), static_cast<int>(sizes[1])});
  showFindings();
  return reader.isSound();
}

}  // namespace kvista
