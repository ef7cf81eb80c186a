// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plan under edit: steps, gestures, and the numbers that follow.
#include <algorithm>
#include <set>
#include <utility>

#include "app/studio/background.h"
#include "app/studio/document.h"
#include "core/plan/edit.h"

namespace kvista {
namespace {

/// Up to here a budget is shared out in a few milliseconds.
constexpr std::size_t kDirectionsAtOnce = 8192;

/// Whether a waterline's table of one plan holds for the other.
bool sameTable(const CompressionPlan& a, const CompressionPlan& b) {
  return a.method == b.method && a.metric == b.metric && a.keyPosition == b.keyPosition && a.storage == b.storage &&
         a.rankStep == b.rankStep && std::ranges::equal(a.groups, b.groups, [](const Group& x, const Group& y) {
           return x.slots == y.slots && x.locked == y.locked && (!x.locked || x.widths == y.widths);
         });
}

std::size_t directionsOf(const CompressionPlan& plan) {
  std::size_t directions = 0;
  for (const Group& group : plan.groups) directions += group.widths.size();
  return directions;
}

}  // namespace

PlannedPlan Document::assessed(CompressionPlan plan) const {
  if (!model_) {
    PlannedPlan planned;
    planned.achievedBytes = bytesPerToken(plan);
    planned.plan = std::move(plan);
    return planned;
  }
  const PlanningContext context = planningContext();
  if (storesLatents() && spectra_.isComplete()) return assessWithLoss(std::move(plan), spectra_.loss(), context);
  return assess(std::move(plan), {}, context);
}

void Document::assume(CompressionPlan plan, double waterline, std::string note) {
  ++serial_;
  const bool same = plan.storage == planned_.plan.storage && plan.metric == planned_.plan.metric && measuresLoss(plan);
  const auto predicted = planned_.predictedLoss, corrected = planned_.correctedLoss;
  planned_.plan = std::move(plan);
  spectra_.follow(planned_.plan);
  planned_ = assessed(std::move(planned_.plan));
  planned_.waterline = waterline;
  planned_.note = std::move(note);
  if (same && storesLatents() && !spectra_.isComplete()) {
    // The last prediction stands, marked as stale, until the spectra come.
    planned_.predictedLoss = predicted;
    planned_.correctedLoss = corrected;
  }
  if (planned_.predictedLoss || measuresLoss(planned_.plan) || predictions_.empty() || gesture_) return;
  if (const auto known = predictions_.find(planFingerprint()); known != predictions_.end()) {
    planned_.predictedLoss = known->second.loss;
    planned_.correctedLoss = known->second.corrected;
  }
}

void Document::rememberPrediction(const CompressionPlan& plan, const std::optional<double>& predicted,
                                  const std::optional<double>& corrected) {
  if (predicted && !measuresLoss(plan)) predictions_[fingerprint(plan)] = {predicted, corrected};
}

PlanStep Document::stepOf(const PlannedPlan& planned) const {
  return {PlanSnapshot(planned.plan, snapshot_), selection_, planned.waterline, planned.note};
}

void Document::become(const PlanStep& step, const QString& text, StepKind kind) {
  if (gesture_) cancelGesture();
  snapshot_ = step.plan;
  CompressionPlan plan = step.plan.plan();
  const bool differs = plan != planned_.plan;
  if (differs) {
    assume(std::move(plan), step.waterline, step.note);
    makeTable();
    Q_EMIT planChanged();
  }
  setSelection(step.selection);
  Q_EMIT committed(text, kind);
}

Result<void> Document::edit(const CompressionPlan& plan, const QString& text, Budget budget, int mergeId) {
  if (model_)
    if (const auto problems = validate(plan, model_->shape); !problems.empty())
      return fail(ErrorCode::invalidArgument, problems.front());
  if (gesture_) cancelGesture();
  PlannedPlan after;
  after.plan = plan;
  push(after, text, storesLatents() || budget == Budget::keep ? budget : Budget::keep, mergeId);
  return {};
}

void Document::push(const PlannedPlan& after, const QString& text, Budget budget, int mergeId) {
  if (after.plan == planned_.plan && budget == Budget::keep) return;
  const QString name = text.isEmpty() ? QString::fromStdString(describeEdit(planned_.plan, after.plan)) : text;
  PlanStep before = stepOf(planned_);
  snapshot_ = before.plan;
  const bool allocate = budget == Budget::spendAnew && after.plan.storage != Storage::plainQuantised;
  // As the stack decides it.
  const bool goesOn = mergeId >= 0 && current() && current()->id() == mergeId && !stack_.isClean();
  pushing_ = goesOn ? StepKind::more : StepKind::edit;
  stack_.push(new PlanStepCommand(*this, std::move(before), stepOf(after), name, mergeId, allocate));
  pushing_ = StepKind::redone;
  allocateIfWanted();
}

Result<void> Document::adopt(const PlannedPlan& planned, std::vector<BudgetUnit> units, const QString& text) {
  if (model_)
    if (const auto problems = validate(planned.plan, model_->shape); !problems.empty())
      return fail(ErrorCode::invalidArgument, problems.front());
  if (gesture_) cancelGesture();
  spectra_.add(planned.plan, std::move(units));
  rememberPrediction(planned.plan, planned.predictedLoss, planned.correctedLoss);
  push(planned, text, Budget::keep, -1);
  afterSpectra();
  return {};
}

Result<void> Document::bringBack(const std::string& fingerprint) {
  const auto found = std::ranges::find(triedFingerprints_, fingerprint);
  if (found == triedFingerprints_.end()) return {};
  const TriedPlan& tried = project_.tried[static_cast<std::size_t>(found - triedFingerprints_.begin())];
  return edit(tried.plan, tr("Bring back %1").arg(QString::fromStdString(tried.name)));
}

Result<void> Document::setTarget(const Target& target) {
  if (!storesLatents())
    return fail(ErrorCode::invalidArgument,
                "A plan by quantisation alone has no directions that a target could be shared out among.",
                "Plan anew (Ctrl+P) for that target.");
  KVISTA_CHECK(checkTarget(target, planned_.plan.storage, measuresLoss(planned_.plan), planningContext().loss));
  CompressionPlan plan = gesture_ ? gesture_->before.plan : planned_.plan;
  plan.target = target;
  return edit(plan, {}, Budget::spendAnew);
}

void Document::beginGesture(const QString& text) {
  if (gesture_) commitGesture();
  gesture_ = Gesture{text, planned_, selection_};
  Q_EMIT gestureChanged(true);
}

void Document::updateGesture(CompressionPlan plan) {
  if (!gesture_ || plan == planned_.plan) return;
  assume(std::move(plan), 0, {});
  Q_EMIT planChanged();
}

void Document::updateGesture(PlannedPlan planned) {
  if (!gesture_) return;
  ++serial_;
  planned_ = std::move(planned);
  spectra_.follow(planned_.plan);
  Q_EMIT planChanged();
}

void Document::commitGesture() {
  if (!gesture_) return;
  Gesture gesture = std::move(*gesture_);
  gesture_.reset();
  Q_EMIT gestureChanged(false);
  const PlannedPlan after = std::exchange(planned_, gesture.before);
  if (after.plan == planned_.plan) return becomeAsBefore();
  push(after, gesture.text, Budget::keep, -1);
}

void Document::cancelGesture() {
  if (!gesture_) return;
  Gesture gesture = std::move(*gesture_);
  gesture_.reset();
  planned_ = std::move(gesture.before);
  Q_EMIT gestureChanged(false);
  becomeAsBefore();
  setSelection(std::move(gesture.selection));
}

/// The plan of before a gesture that left no step. Its numbers are made anew: spectra may have come meanwhile.
void Document::becomeAsBefore() {
  assume(std::move(planned_.plan), planned_.waterline, std::move(planned_.note));
  Q_EMIT planChanged();
  allocateIfWanted();
}

void Document::undo() {
  if (canUndo()) stack_.undo();
  allocateIfWanted();
}
void Document::redo() {
  if (canRedo()) stack_.redo();
  allocateIfWanted();
}

std::vector<int> Document::staleLayers() const {
  if (!model_ || !storesLatents() || spectra_.isComplete()) return {};
  std::set<int> layers;
  for (std::size_t i = 0; i < planned_.plan.groups.size(); ++i)
    if (!spectra_.isKnown(i)) layers.insert(planned_.plan.groups[i].slots.front().layer);
  return {layers.begin(), layers.end()};
}

void Document::addSpectra(const CompressionPlan& plan, std::vector<BudgetUnit> units) {
  if (spectra_.add(plan, std::move(units))) afterSpectra();
}

/// Numbers of the plan as it stands, anew.
void Document::afterSpectra() {
  if (!model_) return;
  assume(std::move(planned_.plan), planned_.waterline, std::move(planned_.note));
  Q_EMIT planChanged();
  Q_EMIT spectraChanged();
  makeTable();
  allocateIfWanted();
}

std::vector<int> Document::widths() const {
  const auto method = std::ranges::find(catalogue_.methods, planned_.plan.method,
                                        [](const MethodChoice& each) { return each.choice.name; });
  if (method != catalogue_.methods.end() && method->storage == planned_.plan.storage && !method->widths.empty())
    return method->widths;
  return standardWidths(planned_.plan.storage);
}

PlanStepCommand* Document::current() const {
  // Only our own steps are ever pushed, and the newest done one is what the plan came from.
  return stack_.index() == 0
             ? nullptr
             : const_cast<PlanStepCommand*>(static_cast<const PlanStepCommand*>(stack_.command(stack_.index() - 1)));
}

bool Document::isAllocating() const {
  const PlanStepCommand* command = current();
  return command && command->wantsAllocation();
}

void Document::allocateIfWanted() {
  const PlanStepCommand* command = current();
  if (!command || !command->wantsAllocation() || gesture_ || !model_ || !spectra_.isComplete()) return;
  auto work = [plan = planned_.plan, units = spectra_.units(), widths = widths(),
               context = planningContext()]() mutable {
    return allocateBudget(std::move(plan), std::move(units), widths, context);
  };
  if (directionsOf(planned_.plan) <= kDirectionsAtOnce) return allocated(command, work());
  if (allocating_ == command) return;
  allocating_ = command;
  inBackground(*QThreadPool::globalInstance(), this, std::move(work),
               [this, command, serial = serial_](Result<PlannedPlan> result) {
                 if (allocating_ == command) allocating_ = nullptr;
                 if (serial == serial_ && command == current())
                   allocated(command, std::move(result));
                 else
                   allocateIfWanted();
               });
}

void Document::allocated(const PlanStepCommand* command, Result<PlannedPlan> result) {
  PlanStepCommand* step = current();
  if (step != command || !step) return;
  if (!result) {
    step->giveUpAllocation();
    Q_EMIT planChanged();
    Q_EMIT allocationFailed(result.error());
    return;
  }
  ++serial_;
  planned_ = *std::move(result);
  spectra_.follow(planned_.plan);
  step->amend(stepOf(planned_));
  snapshot_ = PlanSnapshot(planned_.plan, snapshot_);
  if (step->changesNothing()) {
    // An obsolete command goes when it is undone.
    step->setObsolete(true);
    return stack_.undo();
  }
  // Saved while it waited: the file has the plan without its share.
  if (stack_.isClean()) stack_.resetClean();
  Q_EMIT planChanged();
  Q_EMIT committed(step->text(), StepKind::more);
}

void Document::makeTable() {
  if (tableOf_ && tableWidths_ == widths() && sameTable(*tableOf_, planned_.plan)) return;
  tableOf_.reset();
  const std::int64_t serial = ++tableSerial_;
  if (std::exchange(table_, nullptr)) Q_EMIT tableChanged();
  if (!model_ || !storesLatents() || !spectra_.isComplete() || planned_.plan.groups.empty()) return;
  // One at a time: each has a copy of the spectra.
  if (makingTable_) return;
  makingTable_ = true;
  tableOf_ = planned_.plan;
  tableWidths_ = widths();
  AllocationRequest request{spectra_.units(), tableWidths_, planned_.plan.rankStep, 0};
  for (std::size_t i = 0; i < request.units.size(); ++i) request.units[i].widths = planned_.plan.groups[i].widths;
  inBackground(
      *QThreadPool::globalInstance(), this, [request = std::move(request)] { return WaterlineTable::make(request); },
      [this, serial](Result<WaterlineTable> table) {
        makingTable_ = false;
        if (serial != tableSerial_) return makeTable();
        if (table) table_ = std::make_shared<const WaterlineTable>(*std::move(table));
        Q_EMIT tableChanged();
      });
}

}  // namespace kvista
