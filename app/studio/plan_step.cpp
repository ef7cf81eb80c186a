// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/plan_step.h"

#include "app/studio/document.h"

namespace kvista {

PlanStepCommand::PlanStepCommand(Document& document, PlanStep before, PlanStep after, const QString& text, int mergeId,
                                 bool wantsAllocation)
    : QUndoCommand(text),
      document_(document),
      before_(std::move(before)),
      after_(std::move(after)),
      mergeId_(mergeId),
      wantsAllocation_(wantsAllocation) {}

void PlanStepCommand::undo() { document_.become(before_, Document::tr("Undo: %1").arg(text()), StepKind::undone); }
void PlanStepCommand::redo() { document_.become(after_, text(), document_.pushing_); }

bool PlanStepCommand::mergeWith(const QUndoCommand* other) {
  const auto& next = *static_cast<const PlanStepCommand*>(other);
  after_ = next.after_;
  wantsAllocation_ = next.wantsAllocation_;
  setText(next.text());
  // There and back again leaves nothing to undo.
  setObsolete(changesNothing());
  return true;
}

void PlanStepCommand::amend(PlanStep after) {
  after_ = std::move(after);
  wantsAllocation_ = false;
}

}  // namespace kvista
