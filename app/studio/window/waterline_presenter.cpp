// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/waterline_presenter.h"

#include <algorithm>
#include <cmath>

#include "core/plan/waterline_table.h"
#include "views/target_editor.h"
#include "views/waterline_view.h"

namespace kvista {
namespace {

/// The target that a plan reaches, in the unit that was chosen.
Target reached(const PlannedPlan& planned, Target::Kind kind, const ModelShape& shape) {
  switch (kind) {
    case Target::Kind::share:
      return {kind, share(planned.plan, shape)};
    case Target::Kind::keptFraction:
      return {kind, keptFraction(planned.plan, shape)};
    case Target::Kind::bytesPerToken:
      break;
    // A drag gives bytes; an allowed loss that is read back from them would creep.
    case Target::Kind::maxLoss:
      return {Target::Kind::share, share(planned.plan, shape)};
  }
  return {Target::Kind::bytesPerToken, static_cast<double>(planned.achievedBytes)};
}

std::vector<std::vector<std::uint8_t>> widthsOf(const CompressionPlan& plan) {
  std::vector<std::vector<std::uint8_t>> widths;
  widths.reserve(plan.groups.size());
  for (const Group& group : plan.groups) widths.push_back(group.widths);
  return widths;
}

/// A layer that reads the cache of another, or stores numbers of tokens, has nothing that could be dropped.
std::vector<BudgetUnit> ownUnits(const CompressionPlan& plan, std::vector<BudgetUnit> units) {
  for (BudgetUnit& unit : units)
    if (!storesDirections(plan, unit.layer)) unit.spectrum.eigenvalues.clear();
  return units;
}

}  // namespace

WaterlinePresenter::WaterlinePresenter(Document& document, WaterlineView& view) : document_(document), view_(view) {
  for (const auto signal :
       {&Document::spectraChanged, &Document::modelChanged, &Document::projectChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, &WaterlinePresenter::showSpectra);
  for (const auto signal : {&Document::planChanged, &Document::tableChanged})
    connect(&document_, signal, this, &WaterlinePresenter::showWidths);
  connect(&document_, &Document::selectionChanged, this,
          [this] { view_.setCurrentLayer(document_.selection().layer); });
  connect(&view_, &WaterlineView::dragBegan, this, &WaterlinePresenter::beginDrag);
  connect(&view_, &WaterlineView::levelDragged, this, &WaterlinePresenter::drag);
  connect(&view_, &WaterlineView::levelCommitted, &document_, &Document::commitGesture);
  connect(&view_, &WaterlineView::dragCancelled, &document_, &Document::cancelGesture);
  connect(&view_, &WaterlineView::hovered, this, &WaterlinePresenter::message);
  connect(&view_, &WaterlineView::layerActivated, this, [this](int layer) {
    Selection selection = document_.selection();
    selection.layer = layer;
    selection.slots.clear();
    document_.setSelection(selection);
  });
  showSpectra();
}

void WaterlinePresenter::showSpectra() {
  WaterlineRecord record;
  if (document_.hasModel() && document_.spectra().isComplete()) {
    order_ = LayerOrder(ownUnits(document_.plan(), document_.spectra().units()), document_.model().shape.layers);
    ordered_.clear();
    for (const Group& group : document_.plan().groups) ordered_.push_back(group.slots);
    record.layers = order_.spectra();
    order_.fillWidths(widthsOf(document_.plan()), record.layers);
    record.level = level();
    record.coded = document_.plan().storage == Storage::coded;
    record.unit = document_.isPredictedByDirections() ? tr("nats per token") : tr("squared outputs per token");
    record.currentLayer = document_.selection().layer;
    record.readsFrom = document_.plan().sharedFrom;
    record.tokenNumbers = document_.plan().tokenNumbers;
  }
  shown_ = record.layers;
  view_.setRecord(std::move(record));
  view_.setHandleText(targetText(document_.plan().target));
}

/// A plan that was read from a file, or set by hand, does not say where its water stands: its bytes do.
double WaterlinePresenter::level() const {
  const PlannedPlan& planned = document_.planned();
  const auto table = document_.waterlineTable();
  return planned.waterline > 0 || !table ? planned.waterline : table->levelForBytes(planned.achievedBytes);
}

bool WaterlinePresenter::isOrdered() const {
  return !shown_.empty() && std::ranges::equal(ordered_, document_.plan().groups, {}, {}, &Group::slots);
}

void WaterlinePresenter::showWidths() {
  // Spectra of regrouped layers are still to come: the picture stays as it was until then.
  if (!document_.hasModel() || !document_.spectra().isComplete()) return;
  if (!isOrdered()) return showSpectra();
  order_.fillWidths(widthsOf(document_.plan()), shown_);
  view_.setWater(level(), shown_);
  view_.setHandleText(targetText(document_.plan().target));
}

void WaterlinePresenter::beginDrag() {
  if (document_.waterlineTable() && !document_.isInGesture()) document_.beginGesture(tr("Move the waterline"));
}

void WaterlinePresenter::drag(double level) {
  const auto table = document_.waterlineTable();
  if (!table) return;
  beginDrag();
  PlannedPlan planned = planAt(*table, level, document_.plan(), document_.planningContext());
  planned.plan.target = reached(planned, document_.plan().target.kind, document_.model().shape);
  planned.requestedBytes = planned.achievedBytes;
  document_.updateGesture(std::move(planned));
}

}  // namespace kvista
