// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/sharing_dialog.h"

#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QScrollArea>
#include <QSpinBox>
#include <QStringList>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>
#include <numeric>

#include "app/studio/window/start_buttons.h"
#include "app/studio/window/window_size.h"
#include "core/io/sharing_map.h"
#include "views/lab_table.h"
#include "views/number_text.h"
#include "views/plain_table.h"
#include "views/theme.h"
#include "views/words.h"

namespace kvista {
namespace {

constexpr int kMapSide = 160;  // Of the map of distances.

QString fileKinds() { return SharingDialog::tr("Maps of layers (*.json)"); }

/// Why a map is none of so many layers; empty where it is.
QString problemOf(const std::vector<int>& map, std::size_t layers) {
  if (map.size() != layers)
    return SharingDialog::tr("The map is of %L1 layers, this model has %L2.").arg(map.size()).arg(layers);
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const int source = map[layer];
    if (source < 0 || source > static_cast<int>(layer) || map[static_cast<std::size_t>(source)] != source)
      return SharingDialog::tr(
                 "In the map layer %1 reads layer %2; it must be itself or an earlier layer with its own cache.")
          .arg(layer)
          .arg(source);
  }
  return {};
}

}  // namespace

QString sharingInWords(const std::vector<int>& map, const std::optional<double>& cosine) {
  std::vector<int> readers;
  for (int layer = 0; layer < static_cast<int>(map.size()); ++layer)
    if (map[static_cast<std::size_t>(layer)] != layer) readers.push_back(layer);
  if (readers.empty()) return SharingDialog::tr("every layer has its own cache");
  const auto layers = static_cast<int>(map.size());
  const QString count =
      readers.size() == 1
          ? SharingDialog::tr("1 of %Ln layers reads another's cache", nullptr, layers)
          : SharingDialog::tr("%1 of %Ln layers read another's cache", nullptr, layers).arg(readers.size());
  return cosine ? SharingDialog::tr("%1, cosine %2").arg(count, QLocale().toString(*cosine, 'f', 4)) : count;
}

SharingDialog::SharingDialog(int layers, const std::vector<int>& map, AskSharing ask, QWidget* parent)
    : QDialog(parent),
      ask_(std::move(ask)),
      map_(static_cast<std::size_t>(layers)),
      count_(new QSpinBox(this)),
      least_(new QDoubleSpinBox(this)),
      search_(new QPushButton(tr("Search"), this)),
      distances_(new LabModel(this)),
      distanceTable_(new QTableView(this)),
      said_(softLabel({}, this)) {
  setObjectName(QStringLiteral("sharingDialog"));
  setWindowTitle(tr("Layers that share a cache"));
  std::iota(map_.begin(), map_.end(), 0);
  auto* why =
      softLabel(tr("A layer that reads the cache of an earlier one stores nothing itself. The search tries the layers "
                   "whose caches are least alike first, and takes those that leave the model's final states alike "
                   "(KVSharer)."),
                this);
  for (QLabel* label : {why, said_}) label->setWordWrap(true);
  said_->setObjectName(QStringLiteral("said"));
  said_->setMinimumHeight(2 * said_->fontMetrics().lineSpacing());
  said_->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  count_->setObjectName(QStringLiteral("sharingCount"));
  count_->setRange(1, std::max(1, layers - 1));
  count_->setSuffix(tr(" layers"));
  count_->setAccessibleName(tr("How many layers shall read the cache of another"));
  least_->setObjectName(QStringLiteral("leastCosine"));
  least_->setRange(-1, 1);
  least_->setSingleStep(0.05);
  least_->setValue(SharingQuestion{}.least);
  least_->setPrefix(tr("cosine at least "));
  least_->setAccessibleName(tr("Least cosine of the final states with and without sharing"));
  search_->setObjectName(QStringLiteral("search"));
  for (QWidget* widget :
       {static_cast<QWidget*>(count_), static_cast<QWidget*>(least_), static_cast<QWidget*>(search_)}) {
    widget->setEnabled(ask_ && layers > 1);
    if (!ask_) widget->setToolTip(tr("The search reads the text of the calibration: calibrate first."));
  }
  auto* row = new QHBoxLayout;
  row->setSpacing(8);
  row->addWidget(count_, 1);
  row->addWidget(least_, 1);
  row->addWidget(search_);
  distanceTable_->setObjectName(QStringLiteral("distances"));
  distanceTable_->setAccessibleName(tr("How unlike the caches of two layers are"));
  distanceTable_->setModel(distances_);
  distanceTable_->setShowGrid(false);
  distanceTable_->setTabKeyNavigation(false);
  distanceTable_->verticalHeader()->hide();
  distanceTable_->horizontalHeader()->hide();
  for (QHeaderView* header : {distanceTable_->verticalHeader(), distanceTable_->horizontalHeader()}) {
    header->setMinimumSectionSize(4);
    header->setDefaultSectionSize(std::clamp(kMapSide / std::max(1, layers), 6, 24));
  }
  distanceTable_->setFixedHeight(kMapSide + 4);
  distanceTable_->hide();
  auto* inside = new QWidget;
  auto* grid = new QGridLayout(inside);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setVerticalSpacing(4);
  grid->setColumnStretch(1, 1);
  for (int layer = 0; layer < layers; ++layer) {
    auto* box = new QComboBox(inside);
    box->setObjectName(QStringLiteral("layer%1").arg(layer));
    box->setAccessibleName(tr("Layer %1 reads").arg(layer));
    auto* label = new QLabel(tr("Layer %1").arg(layer), inside);
    label->setBuddy(box);
    grid->addWidget(label, layer, 0);
    grid->addWidget(box, layer, 1);
    connect(box, &QComboBox::activated, this, [this, layer] { change(layer); });
    boxes_.push_back(box);
  }
  grid->setRowStretch(layers, 1);
  auto* scroll = new QScrollArea(this);
  scroll->setFrameShape(QFrame::NoFrame);  // Rows stand in line with what is above and below them.
  scroll->setWidget(inside);
  scroll->setWidgetResizable(true);
  scroll->setFocusPolicy(Qt::NoFocus);
  scroll->setAccessibleName(tr("Whose cache each layer reads"));
  const auto [buttons, use] = startButtons(*this, tr("Use this map"));
  use->setObjectName(QStringLiteral("useMap"));
  auto* files = new QHBoxLayout;
  auto* loading = new QPushButton(tr("Load…"), this);
  auto* saving = new QPushButton(tr("Save…"), this);
  auto* none = new QPushButton(tr("Share nothing"), this);
  loading->setObjectName(QStringLiteral("loadMap"));
  saving->setObjectName(QStringLiteral("saveMap"));
  none->setObjectName(QStringLiteral("shareNothing"));
  for (QPushButton* button : {loading, saving, none}) files->addWidget(button);
  files->addStretch(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(20, 20, 20, 16);
  column->setSpacing(8);
  column->addWidget(why);
  column->addLayout(row);
  column->addWidget(distanceTable_);
  column->addWidget(scroll, 1);
  column->addWidget(said_);
  column->addLayout(files);
  column->addWidget(buttons);
  connect(search_, &QPushButton::clicked, this, &SharingDialog::search);
  connect(loading, &QPushButton::clicked, this, &SharingDialog::load);
  connect(saving, &QPushButton::clicked, this, &SharingDialog::save);
  connect(none, &QPushButton::clicked, this, [this] { take({}); });
  std::vector<QWidget*> inOrder = {count_, least_, search_};
  inOrder.insert(inOrder.end(), boxes_.begin(), boxes_.end());
  inOrder.insert(inOrder.end(), {loading, saving, none});
  for (int i = 0; i < buttons->layout()->count(); ++i)
    if (QWidget* button = buttons->layout()->itemAt(i)->widget()) inOrder.push_back(button);
  for (std::size_t i = 1; i < inOrder.size(); ++i) setTabOrder(inOrder[i - 1], inOrder[i]);
  resizeToScreen(*this, {520, 560});
  take(map);
  const auto readers = std::ranges::count_if(boxes_, [](const QComboBox* box) { return box->currentIndex() > 0; });
  count_->setValue(readers > 0 ? static_cast<int>(readers) : std::max(1, layers / 4));
}

std::vector<int> SharingDialog::map() const {
  for (int layer = 0; layer < static_cast<int>(map_.size()); ++layer)
    if (map_[static_cast<std::size_t>(layer)] != layer) return map_;
  return {};
}

void SharingDialog::take(const std::vector<int>& map) {
  if (const QString problem = map.empty() ? QString() : problemOf(map, map_.size()); !problem.isEmpty())
    return say(problem, true);
  if (map.empty())
    std::iota(map_.begin(), map_.end(), 0);
  else
    map_ = map;
  offer();
  measure();
}

void SharingDialog::offer() {
  for (int layer = 0; layer < static_cast<int>(boxes_.size()); ++layer) {
    QComboBox* box = boxes_[static_cast<std::size_t>(layer)];
    const int source = map_[static_cast<std::size_t>(layer)];
    QStringList readers;
    for (int reader = layer + 1; reader < static_cast<int>(map_.size()); ++reader)
      if (map_[static_cast<std::size_t>(reader)] == layer) readers << QString::number(reader);
    box->clear();
    box->addItem(tr("its own"), layer);
    for (int other = 0; other < layer && readers.isEmpty(); ++other) {
      if (map_[static_cast<std::size_t>(other)] != other) continue;
      box->addItem(tr("the cache of layer %1").arg(other), other);
      if (other == source) box->setCurrentIndex(box->count() - 1);
    }
    box->setEnabled(box->count() > 1);
    box->setToolTip(!readers.isEmpty() ? tr("Read by %Ln layer(s): %1.", nullptr, static_cast<int>(readers.size()))
                                             .arg(readers.join(QStringLiteral(", ")))
                    : layer == 0 ? tr("There is no layer before it.")
                                 : QString());
  }
}

void SharingDialog::change(int layer) {
  map_[static_cast<std::size_t>(layer)] = boxes_[static_cast<std::size_t>(layer)]->currentData().toInt();
  offer();
  measure();
}

void SharingDialog::search() {
  const bool hadFocus = search_->hasFocus();
  search_->setEnabled(false);
  say(tr("Trying pairs of layers…"));
  ask_({.count = count_->value(), .least = least_->value()}, this,
       [this, hadFocus](const Result<SharingRecord>& found) {
         search_->setEnabled(true);
         if (hadFocus) search_->setFocus();
         if (!found) return failed(found.error());
         map_ = found->sharedFrom;
         cosine_ = found->cosine;
         offer();
         showCosine();
         showDistances(found->distances);
       });
}

/// Layers down and across, the brighter the less alike; the pairs that the search tried first are the brightest.
void SharingDialog::showDistances(const Matrix& distances) {
  const float most = distances.isEmpty() ? 0 : std::ranges::max(distances.values);
  LabTable table{std::vector<LabColumn>(static_cast<std::size_t>(distances.columns)), {}};
  for (int row = 0; row < distances.rows; ++row) {
    table.rows.emplace_back();
    for (int column = 0; column < distances.columns; ++column) {
      const double distance = distances.at(row, column);
      LabCell cell{{},
                   plainNumber(distance),
                   tr("Layers %1 and %2: %3 apart").arg(row).arg(column).arg(significantText(distance, 3))};
      cell.heat = most > 0 ? distance / most : 0;
      table.rows.back().push_back(std::move(cell));
    }
  }
  distances_->setTable(std::move(table));
  distanceTable_->setVisible(most > 0);
}

void SharingDialog::measure() {
  cosine_ = std::nullopt;
  if (!ask_ || map().empty()) return showCosine();
  say(tr("Working out what the map does to the final states…"));
  ask_({.map = map_}, this, [this, asked = map_](const Result<SharingRecord>& found) {
    if (!found) return failed(found.error());
    if (asked != map_) return;
    cosine_ = found->cosine;
    showCosine();
  });
}

/// What was asked for after it has cancelled a question says what comes of it.
void SharingDialog::failed(const Error& error) {
  if (error.code != ErrorCode::cancelled) say(QString::fromStdString(error.message + " " + error.hint), true);
}

void SharingDialog::showCosine() {
  const QString words = sharingInWords(map_, std::nullopt);
  if (map().empty()) return say(tr("As it stands %1.").arg(words));
  say(cosine_ ? tr("%1. Cosine of the final states with those of the model as it is: %2.")
                    .arg(words, QLocale().toString(*cosine_, 'f', 4))
              : tr("%1. What that does to the final states is not known without a calibration.").arg(words));
}

void SharingDialog::load() {
  const QString file = QFileDialog::getOpenFileName(this, tr("Load a map of layers"), {}, fileKinds());
  if (file.isEmpty()) return;
  const Result<SharingMap> read = readSharingMap(file.toStdString());
  if (!read) return failed(read.error());
  take(read->sharedFrom);
}

void SharingDialog::save() {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Save the map of layers"), QStringLiteral("sharing.json"), fileKinds());
  if (file.isEmpty()) return;
  if (const auto written = writeSharingMap(file.toStdString(), {map_, cosine_}); !written)
    return failed(written.error());
  say(tr("The map is in %1.").arg(file));
}

void SharingDialog::say(const QString& text, bool isProblem) {
  said_->setForegroundRole(isProblem ? QPalette::WindowText : QPalette::PlaceholderText);
  said_->setText(text);
}

}  // namespace kvista
