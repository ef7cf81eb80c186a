// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/plan_rules.h"

#include <QCoreApplication>
#include <initializer_list>
#include <string>

#include "core/plan/chaining.h"
#include "core/plan/grouping.h"
#include "core/plan/plan_names.h"

namespace kvista {
namespace {

struct Words {
  Q_DECLARE_TR_FUNCTIONS(kvista::PlanRules)
};

QString first(std::initializer_list<QString> reasons) {
  for (const QString& reason : reasons)
    if (!reason.isEmpty()) return reason;
  return {};
}

QString unless(bool isGood, const QString& reason) { return isGood ? QString() : reason; }

QString nameOf(const MethodChoice& method) { return QString::fromStdString(method.choice.name); }

/// A reason of the method itself, as in "has no bases".
QString ofMethod(const MethodChoice& method, std::string_view reason) {
  return unless(reason.empty(), Words::tr("The method %1 %2.").arg(nameOf(method), QString::fromUtf8(reason)));
}

QString ofWeights(const PlanWish& wish) {
  return unless(!wish.unwhitened, Words::tr("Bases of the weights alone look at no tokens."));
}

QString ofPrediction(const MethodChoice& method, const PlanWish& wish) {
  return unless(wish.chain.value_or(method.chain) == 1 && !wish.tokenNumbers.value_or(method.tokenNumbers),
                Words::tr("Layers that predict others are neither centred nor compensated, and each has its own "
                          "cache."));
}

std::string groupingOf(const MethodChoice& method, const PlanWish& wish) {
  return wish.grouping.value_or(method.grouping);
}

Metric metricOf(const MethodChoice& method, const PlanWish& wish) { return wish.metric.value_or(method.metric); }

}  // namespace

bool needsText(Metric metric) { return metric != Metric::identity && metric != Metric::output; }

bool hasBases(const MethodChoice& method) { return method.storage != Storage::plainQuantised; }

bool hasDamping(const MethodChoice& method, const PlanWish& wish) {
  return hasBases(method) && metricOf(method, wish) != Metric::identity;
}

bool hasGroupSize(const MethodChoice& method, const PlanWish& wish) {
  const std::string grouping = groupingOf(method, wish);
  const bool hasSizes =
      grouping == "joint" || grouping == "neighbours-both" || (findGrouping(grouping) && grouping != "all");
  return hasBases(method) && hasSizes;
}

bool hasMeasure(const MethodChoice& method, const PlanWish& wish) {
  if (!hasBases(method) || method.weightsOnly) return false;
  const std::string grouping = groupingOf(method, wish);
  if (grouping == "joint") return wish.groupSize.has_value();
  const auto found = findGrouping(grouping);
  return grouping == "auto" || (found && (*found)->needsSimilarity);
}

QString whyNoRanks(const MethodChoice& method, const PlanWish&) {
  return unless(hasBases(method), Words::tr("The method %1 has no ranks.").arg(nameOf(method)));
}

QString whyNoEps(const MethodChoice& method, const PlanWish& wish) {
  const std::string allocator = wish.allocator.value_or(method.allocator);
  return unless(allocator == "head-mean",
                Words::tr("%1 knows no eps; head-mean does.").arg(QString::fromStdString(allocator)));
}

QString whyNoTrellis(const MethodChoice& method, const PlanWish&) {
  return unless(method.storage == Storage::coded, Words::tr("The method %1 stores no codes.").arg(nameOf(method)));
}

QString whyNotPredicted(const MethodChoice& method, const PlanWish& wish) {
  return first({ofMethod(method, whyNotChained(method.storage, groupingOf(method, wish))),
                unless(!wish.groupSize, Words::tr("Layers that predict others need all their heads in one latent."))});
}

QString whyNotUnwhitened(const MethodChoice& method, const PlanWish& wish) {
  const Metric metric = metricOf(method, wish);
  return first({ofMethod(method, method.notUnwhitened),
                unless(!needsText(metric),
                       Words::tr("The metric %1 needs text.").arg(QString::fromUtf8(nameIn(kMetrics, metric))))});
}

QString whyNotSinkFree(const MethodChoice& method, const PlanWish& wish) {
  const QString name = nameOf(method);
  return first(
      {unless(!method.weightsOnly,
              Words::tr("The method %1 looks at weights alone; there are no tokens to leave out.").arg(name)),
       unless(hasBases(method), Words::tr("The method %1 has no bases that tokens could be left out of.").arg(name)),
       unless(method.storage != Storage::coded,
              Words::tr("The method %1 keeps the first tokens exact, and leaves them out in any case.").arg(name)),
       ofWeights(wish)});
}

QString whyNotCentred(const MethodChoice& method, const PlanWish& wish) {
  return first({ofMethod(method, method.notCentred), ofWeights(wish), ofPrediction(method, wish)});
}

QString whyNotCompensated(const MethodChoice& method, const PlanWish& wish) {
  return first({ofMethod(method, method.notCompensated), ofWeights(wish), ofPrediction(method, wish)});
}

QString whyNotUncalibrated(const MethodChoice& method, const PlanWish&) {
  return ofMethod(method, method.notUncalibrated);
}

QString whyNotShared(const MethodChoice& method, const PlanWish& wish) {
  return first({ofMethod(method, method.notShared), ofPrediction(method, wish),
                unless(!wish.compensate, Words::tr("Compensated layers each need their own cache."))});
}

}  // namespace kvista
