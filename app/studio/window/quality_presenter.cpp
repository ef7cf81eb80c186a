// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/quality_presenter.h"

#include <cmath>

#include "core/plan/device_profiles.h"
#include "core/plan/pareto.h"
#include "core/plan/waterline_table.h"
#include "views/quality_cost_view.h"

namespace kvista {
namespace {

/// Halves of halves of the cache, in steps that draw a smooth line.
constexpr int kSteps = 24;
constexpr double kSmallestShare = 1.0 / 32;

std::optional<double> riseOf(const MeasuredResult* measured, const std::optional<double>& loss) {
  if (measured && measured->perplexityBefore > 0) return measured->perplexityAfter / measured->perplexityBefore - 1;
  return loss ? std::optional(std::expm1(*loss)) : std::nullopt;
}

QPointF pointAt(const WaterlineTable& table, double share, const ModelShape& shape, const ResponseCurve* curve) {
  const auto full = static_cast<double>(shape.cacheBytesPerToken());
  const double level = table.levelForBytes(static_cast<std::int64_t>(full * share));
  const double loss = table.predictedLossAt(level);
  return {static_cast<double>(table.bytesAt(level)) / full, std::expm1(curve ? curve->correct(loss) : loss)};
}

}  // namespace

QualityPresenter::QualityPresenter(Document& document, Workflow& workflow, QualityCostView& view)
    : document_(document), view_(view) {
  for (const auto signal : {&Document::planChanged, &Document::resultsChanged, &Document::tableChanged,
                            &Document::projectChanged, &Document::modelChanged, &Document::statisticsChanged})
    connect(&document_, signal, this, &QualityPresenter::show);
  connect(&workflow, &Workflow::measured, this, [this](const EvaluationRecord& record) {
    // What was measured is worth coming back to; the plan may have been edited since it was asked for.
    if (record.planFingerprint == document_.planFingerprint())
      document_.keepPlan(usualName(document_.plan(), document_.model().shape).toStdString());
  });
  connect(&view_, &QualityCostView::planActivated, this, [this](const QString& of) {
    if (const auto done = document_.bringBack(of.toStdString()); !done) Q_EMIT failed(done.error());
  });
  show();
}

QString QualityPresenter::usualName(const CompressionPlan& plan, const ModelShape& shape) {
  return tr("%1, %2 times smaller").arg(QString::fromStdString(plan.method)).arg(1 / share(plan, shape), 0, 'f', 1);
}

void QualityPresenter::show() {
  QualityCostRecord record;
  if (document_.hasModel() && document_.statistics()) {
    const PlanningContext context = document_.planningContext();
    record.timeOf = QString::fromStdString(profileInWords(context.device));
    const auto add = [&](const CompressionPlan& plan, const std::string& of, const QString& label,
                         const std::optional<double>& loss, bool current) {
      const MeasuredResult* measured = document_.result(of);
      const auto rise = riseOf(measured, loss);
      if (!rise) return;
      const CostModel cost = costOf(plan, context.shape, context.device, context.context, context.batch);
      record.points.push_back(
          {.fingerprint = QString::fromStdString(of),
           .label = label,
           .share = share(plan, context.shape),
           .timeShare = cost.fullSecondsPerToken > 0 ? std::optional(cost.secondsPerToken / cost.fullSecondsPerToken)
                                                     : std::nullopt,
           .rise = *rise,
           .measured = measured != nullptr,
           .current = current,
           .parameterShare = context.shape.parameters > 0
                                 ? std::optional(1 + static_cast<double>(cost.extraParameters) /
                                                         static_cast<double>(context.shape.parameters))
                                 : std::nullopt});
    };
    const std::string& current = document_.planFingerprint();
    for (std::size_t i = 0; i < document_.tried().size(); ++i) {
      const TriedPlan& tried = document_.tried()[i];
      if (const std::string& of = document_.triedFingerprints()[i]; of != current)
        add(tried.plan, of, QString::fromStdString(tried.name), tried.loss(), false);
    }
    add(document_.plan(), current, tr("this plan"), document_.planned().loss(), true);
    const auto curve = context.loss.response.find(document_.plan().storage);
    if (const auto table = document_.waterlineTable();
        table && document_.isPredictedByDirections() && !document_.isInGesture()) {
      QualityCostSeries series{tr("other levels"), {}, true};
      for (int step = 0; step <= kSteps; ++step)
        series.points.push_back(
            pointAt(*table, kSmallestShare * std::pow(1 / kSmallestShare, static_cast<double>(step) / kSteps),
                    context.shape, curve == context.loss.response.end() ? nullptr : &curve->second));
      record.others.push_back(std::move(series));
    }
  }
  std::vector<CostQuality> points;
  const auto& tried = document_.triedFingerprints();
  for (const QualityCostPoint& point : record.points)
    if (std::ranges::find(tried, point.fingerprint.toStdString()) != tried.end())
      points.push_back({point.share, point.rise});
  plansOnFront_ = static_cast<int>(paretoFront(points).size());
  view_.setRecord(std::move(record));
}

}  // namespace kvista
