// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/budget_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPainter>
#include <QScrollBar>
#include <QSortFilterProxyModel>
#include <QTableView>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "views/budget_delegate.h"
#include "views/budget_footer.h"
#include "views/budget_header.h"
#include "views/budget_model.h"
#include "views/number_text.h"
#include "views/segmented_control.h"
#include "views/target_editor.h"
#include "views/theme.h"
#include "views/view_state.h"

namespace kvista {
namespace {

constexpr int kColumnWidths[BudgetModel::columns] = {64, 180, 72, 150, 108, 76, 128, 48};
constexpr int kLeastHeads = 112;  ///< Where even the heads have no more room, their bits are not drawn.
constexpr qint64 kContexts[] = {1024, 4096, 8192, 16384, 32768, 65536, 131072};

}  // namespace

/// Sorts by numbers, not by what is shown; rows of equal keys stay in the plan's order.
class BudgetProxy final : public QSortFilterProxyModel {
 public:
  using QSortFilterProxyModel::QSortFilterProxyModel;

 protected:
  [[nodiscard]] bool lessThan(const QModelIndex& left, const QModelIndex& right) const override {
    const double a = left.data(BudgetModel::sortRole).toDouble(), b = right.data(BudgetModel::sortRole).toDouble();
    return a != b ? a < b : left.row() < right.row();
  }
};

BudgetView::BudgetView(QWidget* parent)
    : View(parent),
      model_(new BudgetModel(this)),
      proxy_(new BudgetProxy(this)),
      table_(new QTableView(this)),
      delegate_(new BudgetDelegate(this)),
      controls_(new QWidget),
      bitsWidth_(kColumnWidths[BudgetModel::bits]) {
  setTitle(tr("Budget"), tr("groups of all layers"));
  proxy_->setSourceModel(model_);
  table_->setModel(proxy_);
  table_->setItemDelegate(delegate_);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::ExtendedSelection);
  table_->setEditTriggers(QAbstractItemView::DoubleClicked | QAbstractItemView::EditKeyPressed |
                          QAbstractItemView::AnyKeyPressed);
  table_->setShowGrid(false);
  table_->setMouseTracking(true);
  table_->setFrameShape(QFrame::NoFrame);
  table_->setTabKeyNavigation(false);
  table_->setAccessibleName(tr("Budget"));
  table_->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(30);
  auto* header = new BudgetHeader(table_);
  table_->setHorizontalHeader(header);
  header->setHighlightSections(false);
  header->setMinimumSectionSize(40);
  for (int column = 0; column < BudgetModel::columns; ++column) table_->setColumnWidth(column, kColumnWidths[column]);
  header->setSectionResizeMode(BudgetModel::heads, QHeaderView::Stretch);
  proxy_->setSortRole(BudgetModel::sortRole);
  table_->setSortingEnabled(true);
  table_->sortByColumn(BudgetModel::layer, Qt::AscendingOrder);
  footer_ = new BudgetFooter(header, this);
  connect(table_->horizontalScrollBar(), &QScrollBar::valueChanged, footer_, qOverload<>(&QWidget::update));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(table_, 1);
  column->addWidget(footer_);
  table_->installEventFilter(this);
  table_->viewport()->installEventFilter(this);
  makeControls();

  connect(delegate_, &BudgetDelegate::refused, this, &BudgetView::setReason);
  connect(model_, &BudgetModel::rankTyped, this, [this](int row, const QString& text) {
    const auto change = rankChangeFromText(text);
    if (!change) return;
    std::vector<int> rows = selectedRows();
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows = {row};
    changeRanks(rows, *change);
  });
  connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this] {
    if (!selecting_) Q_EMIT groupsSelected(selectedGroups());
  });
  connect(header, &QHeaderView::sortIndicatorChanged, this, &View::viewStateChanged);
  connect(header, &QHeaderView::sectionResized, this, [this](int section) {
    if (fitting_) return;
    fitColumns();
    if (section != BudgetModel::heads) Q_EMIT viewStateChanged();
  });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    table_->viewport()->update();
    footer_->update();
  });
  setRecord({});
}

void BudgetView::makeControls() {
  auto* row = new QHBoxLayout(controls_);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(6);
  target_ = new TargetEditor(controls_);
  target_->setMinimumWidth(127);  // "8.0 times smaller"
  target_->setMaximumWidth(160);
  allocator_ = new QComboBox(controls_);
  allocator_->setMinimumWidth(64);  // Where there is little room, the target is what must be read.
  allocator_->setAccessibleName(tr("Allocator"));
  storage_ = new SegmentedControl({{QStringLiteral("ranks"), tr("16-bit")}, {QStringLiteral("coded"), tr("coded")}},
                                  tr("Storage"), controls_);
  storage_->setToolTip(
      tr("16-bit: a direction is a number or dropped. Coded: 8, 6, 4, 3, 2 or 1 bit a direction, by its worth."));
  auto* cost = new QWidget(footer_);
  auto* costRow = new QHBoxLayout(cost);
  costRow->setContentsMargins(0, 0, 0, 0);
  costRow->setSpacing(6);
  device_ = new QComboBox(cost);
  device_->setAccessibleName(tr("Device of the cost model"));
  device_->setToolTip(tr("Device that decoding's time is estimated for."));
  context_ = new QComboBox(cost);
  context_->setAccessibleName(tr("Cached tokens of the cost model"));
  context_->setToolTip(tr("Cached tokens that decoding's time is estimated for."));
  for (const qint64 tokens : kContexts) context_->addItem(tr("%1 K").arg(tokens / 1024), tokens);
  for (QWidget* widget :
       {static_cast<QWidget*>(target_), static_cast<QWidget*>(allocator_), static_cast<QWidget*>(storage_)})
    row->addWidget(widget);
  for (QWidget* widget : {static_cast<QWidget*>(new QLabel(tr("Decoding on"))), static_cast<QWidget*>(device_),
                          static_cast<QWidget*>(new QLabel(tr("at"))), static_cast<QWidget*>(context_),
                          static_cast<QWidget*>(new QLabel(tr("cached tokens")))}) {
    if (auto* label = qobject_cast<QLabel*>(widget)) label->setForegroundRole(QPalette::PlaceholderText);
    costRow->addWidget(widget);
  }
  footer_->setControls(cost);

  connect(target_, &TargetEditor::targetEntered, this, &BudgetView::targetEntered);
  connect(target_, &TargetEditor::reasonChanged, this, &BudgetView::setReason);
  connect(allocator_, &QComboBox::activated, this,
          [this](int index) { Q_EMIT allocatorChosen(allocator_->itemData(index).toString()); });
  connect(storage_, &SegmentedControl::chosen, this, [this](const QString& id) {
    Q_EMIT storageChosen(id == QStringLiteral("ranks") ? Storage::lowRank16 : Storage::coded);
  });
  const auto chosen = [this] {
    Q_EMIT costModelChosen(device_->currentData().toString(), context_->currentData().toLongLong());
  };
  connect(device_, &QComboBox::activated, this, chosen);
  connect(context_, &QComboBox::activated, this, chosen);
}

void BudgetView::showControls() {
  const auto choices = [](const QComboBox* box) {
    std::vector<QString> all;
    for (int i = 0; i < box->count(); ++i) all.push_back(box->itemData(i).toString());
    return all;
  };
  std::vector<QString> names;
  for (const auto& [name, summary] : record_.allocators) names.push_back(name);
  if (choices(allocator_) != names) {
    allocator_->clear();
    for (const auto& [name, summary] : record_.allocators) {
      allocator_->addItem(name, name);
      allocator_->setItemData(allocator_->count() - 1, summary, Qt::ToolTipRole);
    }
  }
  allocator_->setCurrentIndex(allocator_->findData(record_.allocator));
  allocator_->setToolTip(allocator_->currentData(Qt::ToolTipRole).toString());
  if (choices(device_) != record_.devices) {
    device_->clear();
    for (const QString& name : record_.devices) device_->addItem(name.toUpper(), name);
  }
  device_->setCurrentIndex(device_->findData(record_.device));
  if (context_->findData(qint64{record_.context}) < 0)
    context_->addItem(countText(record_.context), qint64{record_.context});
  context_->setCurrentIndex(context_->findData(qint64{record_.context}));
  storage_->setCurrent(record_.storage == Storage::lowRank16 ? QStringLiteral("ranks")
                       : record_.storage == Storage::coded   ? QStringLiteral("coded")
                                                             : QString());
  if (!target_->hasFocus() && target_->reason().isEmpty()) target_->setTarget(record_.target);
  for (QWidget* widget :
       {static_cast<QWidget*>(target_), static_cast<QWidget*>(allocator_), static_cast<QWidget*>(storage_)})
    widget->setEnabled(!record_.rows.empty());
}

/// The numbers come first: bits are drawn where there is room beside them.
void BudgetView::fitColumns() {
  const bool isHidden = table_->isColumnHidden(BudgetModel::bits);
  if (!isHidden) bitsWidth_ = table_->columnWidth(BudgetModel::bits);
  int others = bitsWidth_;
  for (int column = 0; column < BudgetModel::columns; ++column)
    if (column != BudgetModel::heads && column != BudgetModel::bits) others += table_->columnWidth(column);
  const bool hides = others + kLeastHeads > table_->viewport()->width();
  if (hides == isHidden) return;
  fitting_ = true;
  table_->setColumnHidden(BudgetModel::bits, hides);
  if (!hides) table_->setColumnWidth(BudgetModel::bits, bitsWidth_);
  fitting_ = false;
}

void BudgetView::setRecord(BudgetRecord record) {
  record_ = std::move(record);
  delegate_->setRankStep(std::max(1, record_.rankStep));
  model_->setRows(record_.rows);
  footer_->setRecord(record_);
  table_->setVisible(!record_.rows.empty());
  footer_->setVisible(!record_.rows.empty());
  update();
  showControls();
}

void BudgetView::paintEvent(QPaintEvent*) {
  if (!record_.rows.empty()) return;
  QPainter painter(this);
  painter.setPen(colours().soft);
  painter.drawText(rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap,
                   tr("No plan yet: calibrate the model, and its groups are listed here with their bits."));
}

void BudgetView::setReason(const QString& reason) { footer_->setReason(reason); }
QString BudgetView::reason() const { return footer_->reason(); }

void BudgetView::selectGroups(const std::vector<int>& groups) {
  std::vector<int> now = selectedGroups();
  if (now.size() == groups.size() && std::is_permutation(now.begin(), now.end(), groups.begin())) return;
  selecting_ = true;
  QItemSelection selection;
  for (int row = 0; row < model_->rowCount(); ++row) {
    if (std::find(groups.begin(), groups.end(), model_->rows()[static_cast<std::size_t>(row)].group) == groups.end())
      continue;
    const QModelIndex index = proxy_->mapFromSource(model_->index(row, 0));
    selection.select(index, index);
  }
  table_->selectionModel()->select(selection, QItemSelectionModel::ClearAndSelect | QItemSelectionModel::Rows);
  if (!selection.isEmpty()) table_->scrollTo(selection.indexes().front());
  selecting_ = false;
}

std::vector<int> BudgetView::selectedRows() const {
  std::vector<int> shown;
  for (const QModelIndex& index : table_->selectionModel()->selectedRows()) shown.push_back(index.row());
  std::sort(shown.begin(), shown.end());
  for (int& row : shown) row = proxy_->mapToSource(proxy_->index(row, 0)).row();
  return shown;
}

std::vector<int> BudgetView::selectedGroups() const {
  std::vector<int> groups;
  for (const int row : selectedRows()) groups.push_back(model_->rows()[static_cast<std::size_t>(row)].group);
  return groups;
}

QJsonObject BudgetView::viewState() const {
  QJsonObject state;
  const QHeaderView* header = table_->horizontalHeader();
  if (header->sortIndicatorSection() != BudgetModel::layer || header->sortIndicatorOrder() != Qt::AscendingOrder)
    state[QStringLiteral("sort")] =
        QJsonArray{header->sortIndicatorSection(), header->sortIndicatorOrder() == Qt::AscendingOrder ? 1 : -1};
  QJsonArray widths;
  bool usual = true;
  for (int column = 0; column < BudgetModel::columns; ++column) {
    // The heads' takes what the others leave.
    const int width = column == BudgetModel::heads  ? kColumnWidths[column]
                      : column == BudgetModel::bits ? bitsWidth_
                                                    : table_->columnWidth(column);
    usual = usual && width == kColumnWidths[column];
    widths.append(width);
  }
  if (!usual) state[QStringLiteral("widths")] = widths;
  return state;
}

bool BudgetView::setViewState(const QJsonObject& state) {
  ViewStateReader reader(state);
  const std::vector<double> sort = reader.numbers("sort", 2, 2);
  const bool isColumn = !sort.empty() && sort[0] >= 0 && sort[0] < static_cast<int>(BudgetModel::columns);
  if (!sort.empty() && !isColumn) reader.reject();
  table_->sortByColumn(isColumn ? static_cast<int>(sort[0]) : BudgetModel::layer,
                       isColumn && sort[1] < 0 ? Qt::DescendingOrder : Qt::AscendingOrder);
  const std::vector<double> widths = reader.numbers("widths", BudgetModel::columns, BudgetModel::columns);
  constexpr double kNarrowest = 20, kWidest = 2000;
  for (int column = 0; column < BudgetModel::columns; ++column) {
    const int width = widths.empty()
                          ? kColumnWidths[column]
                          : static_cast<int>(std::clamp(widths[static_cast<std::size_t>(column)], kNarrowest, kWidest));
    if (column == BudgetModel::bits) bitsWidth_ = width;
    table_->setColumnWidth(column, width);
  }
  fitColumns();
  return reader.isSound();
}

void BudgetView::changeRanks(const std::vector<int>& rows, const RankChange& change) {
  std::vector<std::pair<int, RankChange>> changes;
  for (const int row : rows) changes.emplace_back(row, change);
  changeRanks(changes);
}

void BudgetView::changeRanks(const std::vector<std::pair<int, RankChange>>& changes) {
  std::vector<std::pair<int, int>> ranks;
  std::vector<int> full;  // Directions of the groups that were asked for more.
  double asked = 0;
  for (const auto& [index, change] : changes) {
    const BudgetRow& row = model_->rows()[static_cast<std::size_t>(index)];
    const int rank = change.of(row, std::max(1, record_.rankStep));
    if (rank != row.rank) ranks.emplace_back(row.group, rank);
    if (std::round(change.asked(row)) <= row.directions) continue;
    full.push_back(row.directions);
    asked = std::round(change.asked(row));
  }
  if (full.empty()) {
    setReason({});
  } else if (full.size() == 1) {
    setReason(tr("Rank %1 is more than the group's %2 directions: it has all %2.")
                  .arg(countText(static_cast<std::int64_t>(asked)), countText(full.front())));
  } else {
    const auto [least, most] = std::minmax_element(full.begin(), full.end());
    setReason(*least == *most ? tr("%1 groups have %2 directions, fewer than asked for: each has all of them.")
                                    .arg(full.size())
                                    .arg(countText(*least))
                              : tr("%1 groups have fewer directions than asked for, %2 to %3: each has all of its own.")
                                    .arg(full.size())
                                    .arg(countText(*least), countText(*most)));
  }
  if (!ranks.empty()) Q_EMIT ranksEdited(ranks);
}

void BudgetView::toggleLocks(std::vector<int> rows) {
  // What reads another layer's cache, or stores numbers of tokens, has no bits to keep.
  std::erase_if(rows, [&](int row) { return !model_->rows()[static_cast<std::size_t>(row)].instead.isEmpty(); });
  if (rows.empty()) return;
  // All the same afterwards: locked, unless all were.
  const bool all = std::all_of(rows.begin(), rows.end(),
                               [&](int row) { return model_->rows()[static_cast<std::size_t>(row)].locked; });
  std::vector<std::pair<int, bool>> locks;
  for (const int index : rows) {
    const BudgetRow& row = model_->rows()[static_cast<std::size_t>(index)];
    if (row.locked == all) locks.emplace_back(row.group, !all);
  }
  Q_EMIT locksEdited(locks);
}

QString BudgetView::selectedAsTsv() const {
  const std::vector<int> rows = selectedRows();
  return tabSeparated(rows.empty() ? plainTable() : kvista::plainTable(*model_, rows, BudgetModel::plainRole));
}

PlainTable BudgetView::plainTable() const {
  std::vector<int> rows(static_cast<std::size_t>(proxy_->rowCount()));
  std::iota(rows.begin(), rows.end(), 0);
  return kvista::plainTable(*proxy_, rows, BudgetModel::plainRole);
}

void BudgetView::paintFigure(QPainter& painter, const QRectF& area) const {
  const QHeaderView* header = table_->horizontalHeader();
  constexpr double kRow = 30;
  const double scale = std::min(1.0, area.width() / std::max(1, header->length()));
  painter.save();
  painter.translate(area.topLeft());
  painter.scale(scale, scale);
  painter.setFont(textFont(TextRole::title));
  for (int column = 0; column < BudgetModel::columns; ++column) {
    if (header->isSectionHidden(column)) continue;
    painter.setPen(colours().soft);
    const auto alignment = model_->headerData(column, Qt::Horizontal, Qt::TextAlignmentRole).toInt();
    painter.drawText(QRectF(header->sectionPosition(column) + 8, 0, header->sectionSize(column) - 16, kRow), alignment,
                     model_->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString());
  }
  const int rows = std::min(proxy_->rowCount(), static_cast<int>(area.height() / scale / kRow) - 2);
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < BudgetModel::columns; ++column) {
      if (header->isSectionHidden(column)) continue;
      QStyleOptionViewItem option;
      option.rect = QRect(header->sectionPosition(column), static_cast<int>((row + 1) * kRow),
                          header->sectionSize(column), static_cast<int>(kRow));
      delegate_->paint(&painter, option, proxy_->index(row, column));
    }
  footer_->paintSums(painter, QRectF(0, (rows + 1) * kRow, header->length(), kRow));
  painter.restore();
}

}  // namespace kvista
