// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/groups_presenter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/plan/edit.h"
#include "core/plan/grouping.h"
#include "views/groups_view.h"

namespace kvista {
namespace {

HeadGroups together(int heads) {
  std::vector<int> all(static_cast<std::size_t>(heads));
  std::iota(all.begin(), all.end(), 0);
  return {all};
}

HeadGroups eachAlone(int heads) {
  HeadGroups groups;
  for (int head = 0; head < heads; ++head) groups.push_back({head});
  return groups;
}

bool needsTruncatedLoss(const std::string& grouping) {
  const auto found = findGrouping(grouping);
  return found && (*found)->needsTruncatedLoss;
}

bool isJointLayer(const CompressionPlan& plan, int layer) {
  return std::ranges::any_of(plan.groups, [layer](const Group& group) {
    return group.slots.front().layer == layer && group.slots.front().side != group.slots.back().side;
  });
}

}  // namespace

GroupsPresenter::GroupsPresenter(Document& document, Workflow& workflow, GroupsView& view)
    : document_(document), workflow_(workflow), view_(view) {
  for (const auto signal :
       {&Document::planChanged, &Document::spectraChanged, &Document::modelChanged, &Document::projectChanged})
    connect(&document_, signal, this, &GroupsPresenter::show);
  connect(&document_, &Document::selectionChanged, this, &GroupsPresenter::show);

  const auto& shape = [this]() -> const ModelShape& { return document_.model().shape; };
  connect(&view_, &GroupsView::moveRequested, this, [this, shape](const std::vector<Slot>& slots, int target) {
    apply(moveSlots(document_.plan(), shape(), slots, target));
  });
  connect(&view_, &GroupsView::splitRequested, this, [this, shape](int group, const std::vector<Slot>& out) {
    apply(splitGroup(document_.plan(), shape(), group, out));
  });
  connect(&view_, &GroupsView::mergeRequested, this,
          [this, shape](const std::vector<int>& groups) { apply(mergeGroups(document_.plan(), shape(), groups)); });
  connect(&view_, &GroupsView::lockToggled, this, [this](int group, bool locked) {
    const auto edited = setLock(document_.plan(), group, locked);
    if (!edited) return Q_EMIT message(QString::fromStdString(edited.error().message));
    document_.edit(*edited);
  });
  connect(&view_, &GroupsView::jointRequested, this, [this, shape](bool joint) {
    apply(joinLayer(document_.plan(), shape(), document_.selection().layer, joint));
  });
  connect(&view_, &GroupsView::autoGroupRequested, this, &GroupsPresenter::regroup);
  connect(&view_, &GroupsView::applyToLayersRequested, this, [this, shape](const std::vector<int>& layers) {
    apply(applyLayerTo(document_.plan(), shape(), document_.selection().layer, layers));
  });
  connect(&view_, &GroupsView::selectionChanged, this, [this](const std::vector<Slot>& slots) {
    Selection selection = document_.selection();
    selection.slots = slots;
    if (!slots.empty()) selection.side = slots.back().side;
    document_.setSelection(selection);
  });
  connect(&view_, &GroupsView::message, this, &GroupsPresenter::message);
  // A drag of heads is a gesture that changes nothing until they are dropped: what would change the plan meanwhile
  // waits.
  connect(&view_, &GroupsView::dragActive, this, [this](bool active) {
    if (active)
      document_.beginGesture(tr("Move heads"));
    else
      document_.commitGesture();
  });
  connect(&document_, &Document::gestureChanged, this, [this](bool inGesture) {
    if (!inGesture) view_.cancelDrag();  // Another plan came from the engine, or another project.
  });
  show();
}

void GroupsPresenter::show() {
  GroupsRecord record;
  if (document_.hasModel()) {
    const CompressionPlan& plan = document_.plan();
    record.layer = document_.selection().layer;
    record.shape = document_.model().shape;
    record.keyPosition = plan.keyPosition;
    record.storage = plan.storage;
    record.grouping = QString::fromStdString(plan.grouping);
    record.groupSize = groupSize_;
    for (const Choice& choice : document_.catalogue().groupings) {
      if (choice.name == "auto") continue;
      const QString summary = QString::fromStdString(choice.summary);
      record.groupings.push_back({QString::fromStdString(choice.name),
                                  needsTruncatedLoss(choice.name) ? tr("All layers: %1").arg(summary) : summary});
    }
    const bool predicts = document_.isPredictedByDirections();
    for (std::size_t i = 0; i < plan.groups.size(); ++i) {
      const Group& group = plan.groups[i];
      if (group.slots.front().layer != record.layer) continue;
      const bool isNumbered = storesTokenNumbers(plan, record.layer), isReader = readsAnotherLayer(plan, record.layer);
      const double loss = i < document_.spectra().losses().size() ? document_.spectra().losses()[i] : std::nan("");
      record.groups.push_back(
          {.index = static_cast<int>(i),
           .slots = group.slots,
           .widths = group.widths,
           .bytes = bytesPerToken(plan, group) + (isNumbered ? kTokenNumberBytes : 0),
           .loss = predicts && !std::isnan(loss) ? std::optional(loss) : std::nullopt,
           .locked = group.locked,
           .stale = document_.statistics() && document_.isPredictionStale(),
           .instead = isNumbered ? tr("numbers of tokens")
                      : isReader ? tr("reads layer %1").arg(plan.sharedFrom[static_cast<std::size_t>(record.layer)])
                                 : QString()});
    }
  }
  view_.setRecord(record);
  view_.setSelection(document_.selection().slots);
}

void GroupsPresenter::apply(Result<CompressionPlan> edited) {
  if (!edited) return Q_EMIT message(QString::fromStdString(edited.error().message));
  const QString text = QString::fromStdString(describeEdit(document_.plan(), *edited));
  const bool share = document_.statistics().has_value() && edited->storage != Storage::plainQuantised;
  if (const auto done = document_.edit(*std::move(edited), text, share ? Budget::spendAnew : Budget::keep); !done)
    Q_EMIT message(QString::fromStdString(done.error().message));
}

void GroupsPresenter::makeGroup(const std::vector<int>& heads) {
  std::vector<Slot> slots;
  for (const int head : heads) slots.push_back({document_.selection().layer, document_.selection().side, head});
  apply(moveSlots(document_.plan(), document_.model().shape, slots, kNewGroup));
}

Result<HeadGroups> GroupsPresenter::groupHeads(const std::string& grouping, int groupSize, Side side) const {
  GroupingRequest request;
  request.heads = document_.model().shape.kvHeads;
  request.groupSize = std::clamp(groupSize, 1, request.heads);
  KVISTA_ASSIGN(const Grouping* chosen, findGrouping(grouping));
  if (chosen->needsSimilarity) {
    const Matrix* matrix = document_.similarity(workflow_.measureShown(), document_.selection().layer, side);
    if (!matrix)
      return fail(ErrorCode::invalidArgument, "How alike the heads are is not known yet.",
                  "Calibrate the model first.");
    request.similarity.resize(matrix->rows, matrix->columns);
    for (int row = 0; row < matrix->rows; ++row)
      for (int column = 0; column < matrix->columns; ++column)
        request.similarity(row, column) = matrix->at(row, column);
  }
  return chosen->group(request);
}

/// What a group that is not made yet loses is known to the engine alone, which weighs groups of all layers at once.
void GroupsPresenter::regroupAll(const std::string& grouping) {
  if (!document_.statistics())
    return Q_EMIT message(tr("Calibrate the model first: groups are weighed by their loss."));
  if (std::ranges::any_of(document_.plan().groups, &Group::locked))
    return Q_EMIT message(tr("%1 makes the groups of all layers anew. Unlock those that are locked first.")
                              .arg(QString::fromStdString(grouping)));
  workflow_.regroup(grouping, groupSize_, tr("Group all layers by %1").arg(QString::fromStdString(grouping)));
}

/// The names that the engine's layouts have, and every grouping of heads.
void GroupsPresenter::regroup(const QString& grouping, int groupSize) {
  groupSize_ = groupSize;
  const std::string name = grouping.toStdString();
  const ModelShape& shape = document_.model().shape;
  const int layer = document_.selection().layer;
  const HeadGroups all = together(shape.kvHeads), alone = eachAlone(shape.kvHeads);
  if (needsTruncatedLoss(name)) return regroupAll(name);
  if (name == "joint") return apply(regroupLayer(document_.plan(), shape, layer, all, all, true));
  if (name == "separate") return apply(regroupLayer(document_.plan(), shape, layer, all, all, false));
  if (name == "head") return apply(regroupLayer(document_.plan(), shape, layer, alone, alone, false));
  const auto keys = groupHeads(name, groupSize, Side::key);
  if (!keys) return Q_EMIT message(QString::fromStdString(keys.error().message));
  if (isJointLayer(document_.plan(), layer))
    return apply(regroupLayer(document_.plan(), shape, layer, *keys, *keys, true));
  const auto values = groupHeads(name, groupSize, Side::value);
  if (!values) return Q_EMIT message(QString::fromStdString(values.error().message));
  apply(regroupLayer(document_.plan(), shape, layer, *keys, *values, false));
}

}  // namespace kvista
