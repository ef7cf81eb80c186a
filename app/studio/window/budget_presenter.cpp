// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/budget_presenter.h"

#include <algorithm>
#include <cmath>

#include "core/plan/budget.h"
#include "core/plan/edit.h"
#include "core/plan/rank_edit.h"
#include "views/budget_view.h"

namespace kvista {

BudgetPresenter::BudgetPresenter(Document& document, Workflow& workflow, BudgetView& view)
    : document_(document), workflow_(workflow), view_(view) {
  for (const auto signal : {&Document::planChanged, &Document::spectraChanged, &Document::modelChanged,
                            &Document::projectChanged, &Document::statisticsChanged, &Document::resultsChanged})
    connect(&document_, signal, this, &BudgetPresenter::show);
  connect(&document_, &Document::selectionChanged, this, &BudgetPresenter::showSelection);
  connect(&view_, &BudgetView::ranksEdited, this, &BudgetPresenter::setRanks);
  connect(&view_, &BudgetView::locksEdited, this, &BudgetPresenter::setLocks);
  connect(&view_, &BudgetView::storageChosen, this, &BudgetPresenter::setStorage);
  connect(&workflow_, &Workflow::notPlanned, this, &BudgetPresenter::show);  // The plan is stored as it was.
  connect(&view_, &BudgetView::targetEntered, this,
          [this](const Target& target) { report(document_.setTarget(target)); });
  connect(&view_, &BudgetView::allocatorChosen, this, [this](const QString& name) {
    CompressionPlan plan = document_.plan();
    plan.allocator = name.toStdString();
    report(document_.edit(plan, tr("Share the budget out by %1").arg(name), Budget::spendAnew));
  });
  connect(&view_, &BudgetView::costModelChosen, this, [this](const QString& device, qint64 context) {
    document_.setCost({device.toStdString(), context, document_.cost().batch});
  });
  connect(&view_, &BudgetView::groupsSelected, this, [this](const std::vector<int>& groups) {
    Selection selection = document_.selection();
    selection.slots.clear();
    for (const int group : groups) {
      const auto& slots = document_.plan().groups[static_cast<std::size_t>(group)].slots;
      selection.slots.insert(selection.slots.end(), slots.begin(), slots.end());
    }
    if (!selection.slots.empty()) {
      selection.layer = selection.slots.front().layer;
      selection.side = selection.slots.front().side;
    }
    document_.setSelection(selection);
  });
  show();
}

void BudgetPresenter::show() {
  // A table in the background would cost every frame of a drag; it is filled when it comes to the front.
  if (!document_.hasModel()) return view_.setRecord({});
  BudgetRecord record = budgetRecordOf(document_.planned(), document_.spectra().units(), document_.planningContext());
  for (const Choice& choice : document_.catalogue().allocators)
    record.allocators.emplace_back(QString::fromStdString(choice.name), QString::fromStdString(choice.summary));
  for (const DeviceProfile& device : document_.catalogue().devices)
    record.devices.push_back(QString::fromStdString(device.name));
  if (document_.statistics() && document_.isPredictionStale())
    for (BudgetRow& row : record.rows) row.stale = !document_.spectra().isKnown(static_cast<std::size_t>(row.group));
  if (const MeasuredResult* measured = document_.result(document_.planFingerprint());
      measured && measured->perplexityBefore > 0)
    record.measuredLoss = std::log(measured->perplexityAfter / measured->perplexityBefore);
  view_.setRecord(std::move(record));
  showSelection();
}

/// Every group that a selected head is in.
void BudgetPresenter::showSelection() {
  const auto& slots = document_.selection().slots;
  const auto& groups = document_.plan().groups;
  std::vector<int> selected;
  for (std::size_t i = 0; i < groups.size() && !slots.empty(); ++i)
    if (std::ranges::find_first_of(groups[i].slots, slots) != groups[i].slots.end())
      selected.push_back(static_cast<int>(i));
  view_.selectGroups(selected);
}

void BudgetPresenter::setRanks(const std::vector<std::pair<int, int>>& ranks) {
  CompressionPlan plan = document_.plan();
  for (const auto& [index, rank] : ranks) {
    Group& group = plan.groups[static_cast<std::size_t>(index)];
    if (!document_.spectra().isKnown(static_cast<std::size_t>(index)))
      return Q_EMIT failed({ErrorCode::invalidArgument,
                            "The spectrum of that group is still being worked out.",
                            {},
                            "Try again in a moment."});
    group.widths = widthsForRank(document_.spectra().units()[static_cast<std::size_t>(index)].spectrum,
                                 standardWidths(plan.storage), rank);
  }
  const std::string text = describeEdit(document_.plan(), plan);
  // Neighbouring steps of the arrow keys on one cell become one.
  const int mergeId = ranks.size() == 1 ? ranks.front().first : -1;
  report(document_.edit(plan, QString::fromStdString(text), Budget::keep, mergeId));
}

void BudgetPresenter::setLocks(const std::vector<std::pair<int, bool>>& locks) {
  CompressionPlan plan = document_.plan();
  for (const auto& [group, locked] : locks) {
    Result<CompressionPlan> edited = setLock(std::move(plan), group, locked);
    if (!edited) return report(tl::unexpected(std::move(edited).error()));
    plan = *std::move(edited);
  }
  report(document_.edit(plan));
}

/// The same groups stored otherwise: a method of that storage decides what their factors are made from.
void BudgetPresenter::setStorage(Storage storage) {
  if (storage == document_.plan().storage) return;
  const CompressionPlan& plan = document_.plan();
  PlanWish wish;
  wish.method = storage == Storage::coded ? "coded" : "joint";
  wish.target = plan.target;
  wish.keep = plan;
  wish.metric = plan.metric;
  wish.damping = plan.damping;
  wish.sinkFree = plan.sinkFree;
  wish.centred = plan.centred;
  wish.compensate = plan.compensated;
  wish.sharedFrom = plan.sharedFrom;
  wish.chain = plan.chain;
  wish.trellis = plan.trellis && storage == Storage::coded;
  wish.tokenNumbers = plan.tokenNumbers && storage == Storage::coded;
  workflow_.propose(std::move(wish), storage == Storage::coded ? tr("Store codes") : tr("Store 16-bit numbers"));
}

void BudgetPresenter::report(const Result<void>& done) {
  if (!done) Q_EMIT failed(done.error());
}

}  // namespace kvista
