// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/analysis_presenter.h"

#include <QEvent>
#include <algorithm>
#include <cmath>

#include "core/plan/edit.h"
#include "core/plan/spectrum.h"
#include "views/error_view.h"
#include "views/spectra_view.h"

namespace kvista {

AnalysisPresenter::AnalysisPresenter(Document& document, Workflow& workflow, SpectraView& spectra, ErrorView& errors)
    : document_(document), workflow_(workflow), spectra_(spectra), errors_(errors) {
  for (const auto signal : {&Document::spectraChanged, &Document::planChanged, &Document::selectionChanged,
                            &Document::projectChanged, &Document::modelChanged})
    connect(&document_, signal, this, &AnalysisPresenter::showSpectra);
  for (const auto signal :
       {&Document::errorsChanged, &Document::resultsChanged, &Document::planChanged, &Document::projectChanged})
    connect(&document_, signal, this, &AnalysisPresenter::showErrors);
  for (const auto signal : {&Document::tableChanged, &Document::spectraChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, &AnalysisPresenter::askErrorsIfSeen);
  connect(&document_, &Document::committed, this, &AnalysisPresenter::askErrorsIfSeen);
  connect(&spectra_, &SpectraView::hovered, this, &AnalysisPresenter::message);
  connect(&errors_, &ErrorView::hovered, this, &AnalysisPresenter::message);
  connect(&errors_, &ErrorView::cellActivated, this, [this](int layer, int, const QString& kind) {
    document_.setSelection({layer, kind == tr("values") ? Side::value : Side::key, {}});
  });
  connect(&errors_, &ErrorView::planActivated, this, [this](const QString& of) {
    if (const auto done = document_.bringBack(of.toStdString()); !done) Q_EMIT failed(done.error());
  });
  errors_.installEventFilter(this);
  showSpectra();
  showErrors();
}

bool AnalysisPresenter::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::Show)
    QMetaObject::invokeMethod(this, &AnalysisPresenter::askErrorsIfSeen, Qt::QueuedConnection);
  return QObject::eventFilter(watched, event);
}

void AnalysisPresenter::showSpectra() {
  SpectraRecord record;
  if (document_.hasModel()) {
    const auto [layer, side, slots] = document_.selection();
    record.what = tr("layer %1").arg(layer);
    record.unit = document_.isPredictedByDirections() ? tr("nats per token") : tr("squared outputs per token");
    const auto& groups = document_.plan().groups;
    const auto& units = document_.spectra().units();
    for (std::size_t i = 0; i < std::min(groups.size(), units.size()); ++i) {
      const bool selected = slots.empty() || std::ranges::any_of(slots, [&](const Slot& slot) {
                              return std::ranges::find(groups[i].slots, slot) != groups[i].slots.end();
                            });
      if (groups[i].slots.front().layer != layer || !selected || !document_.spectra().isKnown(i)) continue;
      const auto& eigenvalues = units[i].spectrum.eigenvalues;
      std::vector<double> singularValues;
      for (const double value : eigenvalues) singularValues.push_back(std::sqrt(std::max(value, 0.0)));
      const double edge =
          document_.statistics() ? noiseEdge(singularValues, static_cast<double>(document_.statistics()->tokens)) : 0;
      record.curves.push_back({.label = QString::fromStdString(groupName(document_.plan(), static_cast<int>(i))),
                               .eigenvalues = {eigenvalues.begin(), eigenvalues.end()},
                               .rank = groups[i].rank(),
                               .noiseEdge = edge * edge});
    }
  }
  spectra_.setRecord(std::move(record));
}

void AnalysisPresenter::askErrorsIfSeen() {
  // They take a pass through the model: only for who looks.
  if (errors_.isVisible() && !document_.isInGesture()) workflow_.askErrors();
}

void AnalysisPresenter::showErrors() {
  ErrorRecord record;
  if (document_.hasModel() && !document_.isInGesture()) {
    const std::string current = fingerprint(document_.plan());
    if (const PlanErrorsRecord* errors = document_.errors(current)) {
      const std::tuple<QString, QString, const Matrix*> kinds[] = {
          {tr("keys"), QStringLiteral("K"), &errors->keys},
          {tr("values"), QStringLiteral("V"), &errors->values},
          {tr("logits"), QStringLiteral("Q"), &errors->logits},
          {tr("attention"), QStringLiteral("Q"), &errors->attentionOutputs}};
      for (const auto& [label, heads, matrix] : kinds)
        if (!matrix->isEmpty()) record.matrices.push_back({label, heads, *matrix});
    }
    const auto add = [&](const CompressionPlan& plan, const QString& label, const std::optional<double>& loss) {
      const std::string of = fingerprint(plan);
      const MeasuredResult* measured = document_.result(of);
      if (!measured || !loss || measured->perplexityBefore <= 0) return;
      record.plans.push_back({.fingerprint = QString::fromStdString(of),
                              .label = label,
                              .predicted = *loss,
                              .measured = std::log(measured->perplexityAfter / measured->perplexityBefore),
                              .current = of == current});
    };
    for (const TriedPlan& tried : document_.tried())
      if (fingerprint(tried.plan) != current) add(tried.plan, QString::fromStdString(tried.name), tried.loss());
    add(document_.plan(), tr("this plan"), document_.planned().loss());
  }
  errors_.setRecord(std::move(record));
}

}  // namespace kvista
