// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QUndoCommand>
#include <string>
#include <vector>

#include "app/studio/plan_snapshot.h"
#include "core/plan/plan.h"

namespace kvista {

class Document;

/// What all views point at.
struct Selection {
  int layer = 0;
  Side side = Side::key;
  std::vector<Slot> slots;
  bool operator==(const Selection&) const = default;
};

/// A place in history.
struct PlanStep {
  PlanSnapshot plan;
  Selection selection;
  double waterline = 0;  ///< As PlannedPlan::waterline.
  std::string note;      ///< As PlannedPlan::note.
};

/// How a step came to be the newest: what a list of unsaved edits has to know.
enum class StepKind {
  edit,  ///< A new step.
  more,  ///< The newest step goes on: it was merged with the next, or has got its share of the budget.
  undone,
  redone,
};

/// From one plan to another: the only command there is.
class PlanStepCommand final : public QUndoCommand {
 public:
  /// `mergeId` -1: never one with its neighbours.
  PlanStepCommand(Document& document, PlanStep before, PlanStep after, const QString& text, int mergeId,
                  bool wantsAllocation);
  void undo() override;
  void redo() override;
  [[nodiscard]] int id() const override { return mergeId_; }
  bool mergeWith(const QUndoCommand* other) override;
  /// Whether its plan still waits for its share of the budget.
  [[nodiscard]] bool wantsAllocation() const { return wantsAllocation_; }
  /// The share has come, or will not.
  void amend(PlanStep after);
  [[nodiscard]] bool changesNothing() const { return before_.plan == after_.plan && !wantsAllocation_; }
  void giveUpAllocation() { wantsAllocation_ = false; }

 private:
  Document& document_;
  PlanStep before_, after_;
  int mergeId_;
  bool wantsAllocation_;
};

}  // namespace kvista
