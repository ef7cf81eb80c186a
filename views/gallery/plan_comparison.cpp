// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/plan_comparison.h"

#include <cmath>

#include "core/plan/plan_groups.h"
#include "views/gallery/gallery.h"
#include "views/gallery/made_up_model.h"
#include "views/plan_comparison_view.h"

namespace kvista {
namespace {

ComparedPlan compared(const CompressionPlan& plan, const ModelShape& shape, const std::vector<double>& losses) {
  ComparedPlan result;
  result.bytes = bytesPerToken(plan);
  result.timesSmaller = 1 / share(plan, shape);
  result.kept = keptFraction(plan, shape);
  result.bits = bitsPerNumber(plan, shape);
  result.loss = lossByLayer(plan, shape, losses);
  return result;
}

/// Four groups a side, each with widths of its own, against one group a layer at eight times smaller.
View* makePlanComparison() {
  MadeUpModel model(8, 1024, Storage::coded);
  const ModelShape& shape = model.context().shape;
  std::vector<double> losses;
  for (std::size_t i = 0; i < model.units().size(); ++i)
    losses.push_back(predictedLoss(model.units()[i].spectrum, model.plan().groups[i].widths));
  PlanComparisonRecord record;
  record.plans = {{QStringLiteral("f1"), QStringLiteral("four groups a side, 7.4 times")},
                  {{}, QStringLiteral("this plan")}};
  record.b = compared(model.plan(), shape, losses);

  CompressionPlan groups = model.plan();
  groups.groups.clear();
  losses.clear();
  for (int layer = 0; layer < shape.layers; ++layer)
    for (Group& group : groupsOf(shape, layer, {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}},
                                 {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}})) {
      const Slot first = group.slots.front();
      const double worth = 1 + 0.35 * std::sin(2.1 * layer + first.head) + (first.side == Side::key ? -0.25 : 0.2);
      for (std::size_t i = 0; i < group.widths.size(); ++i) {
        const double part = static_cast<double>(i) / static_cast<double>(group.widths.size()) / worth;
        group.widths[i] = part < 0.1 ? 8 : part < 0.3 ? 4 : part < 0.5 ? 2 : part < 0.62 ? 1 : 0;
      }
      losses.push_back(0.0004 * (1.6 + std::sin(1.3 * layer + first.head)) / worth);
      groups.groups.push_back(std::move(group));
    }
  record.a = compared(groups, shape, losses);
  record.a.plan = record.plans[0];
  record.b.plan = record.plans[1];
  record.a.perplexity = {37.81, 37.57, true, QStringLiteral("austen")};
  record.b.perplexity = {37.70, 37.57, false, {}};
  record.layer = 3;
  auto* view = new PlanComparisonView;
  view->setRecord(std::move(record));
  return view;
}

}  // namespace

Exhibit planComparisonExhibit() { return {"plan-comparison", makePlanComparison}; }

Exhibit planComparisonLossExhibit() {
  return {"plan-comparison-loss", [] {
            View* view = makePlanComparison();
            static_cast<PlanComparisonView*>(view)->setQuantity(PlanComparisonView::Quantity::loss);
            return view;
          }};
}

Exhibit planComparisonEmptyExhibit() {
  return {"plan-comparison-empty", [] { return static_cast<View*>(new PlanComparisonView); }};
}

}  // namespace kvista
