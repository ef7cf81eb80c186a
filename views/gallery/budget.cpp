// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include <memory>

#include "core/plan/rank_edit.h"
#include "views/budget_view.h"
#include "views/gallery/gallery.h"
#include "views/gallery/made_up_model.h"

namespace kvista {
namespace {

/// A table in which ranks and locks can be edited, over layers that each have a joint group or four.
View* makeBudget(int layers, int directions, bool ready) {
  auto* view = new BudgetView;
  if (!ready) return view;
  const auto model = std::make_shared<MadeUpModel>(layers, directions, Storage::coded);
  const auto plan = std::make_shared<CompressionPlan>(model->plan());
  plan->target = {Target::Kind::share, 0.125};
  plan->groups[2].locked = true;
  const auto show = [view, model, plan] {
    BudgetRecord record =
        budgetRecordOf(assess(*plan, model->units(), model->context()), model->units(), model->context());
    record.measuredLoss = record.predictedLoss;
    if (record.rows.size() > 5) record.rows[5].stale = true;
    view->setRecord(std::move(record));
  };
  show();
  QObject::connect(view, &BudgetView::ranksEdited, view, [=](const std::vector<std::pair<int, int>>& ranks) {
    for (const auto& [group, rank] : ranks) {
      const auto index = static_cast<std::size_t>(group);
      plan->groups[index].widths = widthsForRank(model->units()[index].spectrum, standardWidths(plan->storage), rank);
    }
    show();
  });
  QObject::connect(view, &BudgetView::locksEdited, view, [=](const std::vector<std::pair<int, bool>>& locks) {
    for (const auto& [group, locked] : locks) plan->groups[static_cast<std::size_t>(group)].locked = locked;
    show();
  });
  return view;
}

}  // namespace

Exhibit budgetExhibit() {
  return {"budget", [] { return makeBudget(8, 1024, true); }};
}
Exhibit budgetLargeExhibit() {
  return {"budget-large", [] { return makeBudget(32, 8192, true); }};
}
Exhibit budgetEmptyExhibit() {
  return {"budget-empty", [] { return makeBudget(8, 1024, false); }};
}

}  // namespace kvista
