// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/heads_presenter.h"

#include <algorithm>
#include <utility>

#include "core/plan/edit.h"
#include "views/heatmap_view.h"
#include "views/navigator_view.h"
#include "views/number_text.h"

namespace kvista {
namespace {

QString explanationOf(const Choice& measure) {
  return HeadsPresenter::tr("%1\nFormula: %2\nUnit: %3\nSource: %4")
      .arg(QString::fromStdString(measure.summary), QString::fromStdString(measure.formula),
           QString::fromStdString(measure.unit), QString::fromStdString(measure.source));
}

}  // namespace

HeadsPresenter::HeadsPresenter(Document& document, Workflow& workflow, HeatmapView& heatmap, NavigatorView& navigator)
    : document_(document), workflow_(workflow), heatmap_(heatmap), navigator_(navigator) {
  for (const auto signal : {&Document::modelChanged, &Document::projectChanged, &Document::statisticsChanged}) {
    connect(&document_, signal, this, &HeadsPresenter::showAll);
    connect(&document_, signal, this, &HeadsPresenter::showLayer);
  }
  connect(&document_, &Document::similarityChanged, this, [this](int layer) {
    showAll();
    if (layer == document_.selection().layer) showLayer();
  });
  connect(&document_, &Document::planChanged, this, &HeadsPresenter::showLayer);
  connect(&document_, &Document::selectionChanged, this, [this] {
    navigator_.setCurrent(document_.selection().layer, document_.selection().side);
    showLayer();
    showSelection();
  });
  connect(&workflow_, &Workflow::layerSpectraReady, this, &HeadsPresenter::showSelection);
  connect(&navigator_, &NavigatorView::activated, this, [this](int layer, Side side) {
    document_.setSelection({layer, side, {}});
  });
  connect(&heatmap_, &HeatmapView::selectionChanged, this, [this](const std::vector<int>& heads) {
    Selection selection = document_.selection();
    selection.slots.clear();
    for (const int head : heads) selection.slots.push_back({selection.layer, selection.side, head});
    document_.setSelection(selection);
  });
  connect(&heatmap_, &HeatmapView::cellHovered, this, &HeadsPresenter::message);
  connect(&heatmap_, &HeatmapView::copied, this,
          [this](int cells) { Q_EMIT message(tr("Copied %Ln cell(s) as a table", nullptr, cells)); });
  connect(&heatmap_, &HeatmapView::viewStateChanged, this,
          [this] { navigator_.setColours(heatmap_.scale().map(), heatmap_.scale().record().inverted); });
  connect(&heatmap_, &HeatmapView::measureChosen, this,
          [this](const QString& name) { Q_EMIT actionRequested(QStringLiteral("view.measure.") + name); });
  connect(&heatmap_, &HeatmapView::rangeShared, this, &HeadsPresenter::shareRange);
  connect(&heatmap_, &HeatmapView::rangeChanged, this, [this] {
    isSharedRangeFitted_ = false;
    shareRange(heatmap_.isRangeShared());
  });
  connect(&heatmap_, &HeatmapView::tableRequested, this, &HeadsPresenter::tableRequested);
  connect(&heatmap_, &HeatmapView::makeGroupRequested, this, &HeadsPresenter::makeGroupRequested);
  connect(&heatmap_, &HeatmapView::showSpectraRequested, this, &HeadsPresenter::showSpectraRequested);
  connect(&heatmap_, &HeatmapView::explainRequested, this, &HeadsPresenter::explainRequested);
  heatmap_.setRangeShared(false);
  showAll();
  showLayer();
}

/// One range for the layer's picture and those of all layers: the one set by hand, or else the one that fits all.
void HeadsPresenter::shareRange(bool shared) {
  if (!shared) {
    isSharedRangeFitted_ = false;
    return navigator_.setSharedRange(std::nullopt);
  }
  if (heatmap_.scale().record().percentile >= 0) isSharedRangeFitted_ = true;
  if (isSharedRangeFitted_) heatmap_.setSharedRange(navigator_.fittedRange());
  navigator_.setSharedRange(heatmap_.range());
}

void HeadsPresenter::showMeasures() {
  std::vector<MeasureChoice> measures;
  for (const Choice& measure : document_.catalogue().measures)
    measures.push_back({QString::fromStdString(measure.name), explanationOf(measure)});
  heatmap_.setMeasures(std::move(measures));
}

void HeadsPresenter::showLayer() {
  HeatmapRecord record;
  const auto [layer, side, slots] = document_.selection();
  if (document_.hasModel()) {
    if (const Matrix* matrix = document_.similarity(workflow_.measureShown(), layer, side)) record.matrix = *matrix;
    record.layer = layer;
    record.side = side;
    record.title = side == Side::key ? tr("Layer %1 · keys").arg(layer) : tr("Layer %1 · values").arg(layer);
    record.groups = headGroups(document_.plan(), layer, side);
    record.measure = QString::fromStdString(workflow_.measureShown());
    const auto& measures = document_.catalogue().measures;
    if (const auto shown = std::ranges::find(measures, workflow_.measureShown(), &Choice::name);
        shown != measures.end())
      record.explanation = explanationOf(*shown);
  }
  if (record != heatmap_.record()) heatmap_.setRecord(record);
}

void HeadsPresenter::showAll() {
  showMeasures();
  NavigatorRecord record;
  record.measure = QString::fromStdString(workflow_.measureShown());
  if (document_.hasModel()) {
    for (int layer = 0; layer < document_.model().shape.layers; ++layer) {
      const Matrix* keys = document_.similarity(workflow_.measureShown(), layer, Side::key);
      const Matrix* values = document_.similarity(workflow_.measureShown(), layer, Side::value);
      record.keys.push_back(keys ? *keys : Matrix{});
      record.values.push_back(values ? *values : Matrix{});
    }
  }
  navigator_.setRecord(std::move(record));
  if (isSharedRangeFitted_) shareRange(true);
  navigator_.setCurrent(document_.selection().layer, document_.selection().side);
  navigator_.setFooter(document_.statistics() ? tr("%1\nof %L2 tokens")
                                                    .arg(QString::fromStdString(workflow_.measureShown()))
                                                    .arg(document_.statistics()->tokens)
                                              : QString());
}

void HeadsPresenter::showSelection() {
  const Selection& selection = document_.selection();
  std::vector<int> heads;
  for (const Slot& slot : selection.slots)
    if (slot.layer == selection.layer && slot.side == selection.side) heads.push_back(slot.head);
  if (heads != heatmap_.selection()) heatmap_.setSelection(heads);
  Facts facts;
  for (const LayerSpectrumRecord& spectrum : workflow_.layerSpectra())
    if (spectrum.layer == selection.layer && spectrum.side == selection.side) {
      const auto n = static_cast<qlonglong>(spectrum.singularValues.size());
      facts.push_back({tr("NER of layer"), decimalText(spectrum.measures.normalisedEffectiveRank, 3),
                       tr("Normalised effective rank: how evenly all directions of this side of the layer are used.\n"
                          "Formula: exp(−Σ p ln p) / n with p = s / Σ s, s the n = %L1 singular values\n"
                          "Unit: none, 0 to 1\nSource: KV-CoRE; computed from the calibration's second moments")
                           .arg(n)});
      facts.push_back({tr("99 % of energy in"), tr("%L1 directions").arg(spectrum.measures.energyRank99),
                       tr("How few directions hold nearly all of this side of the layer.\n"
                          "Formula: smallest r with Σ s² of the r largest of n = %L1 singular values ≥ 0.99 Σ s²\n"
                          "Unit: directions\nSource: principal components of the calibration's second moments")
                           .arg(n)});
    }
  heatmap_.setSelectionFacts(std::move(facts));
}

}  // namespace kvista
