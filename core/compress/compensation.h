// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/planner.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"

namespace kvista {

/// Makes the plan's factors without and with compensation (methods.md section 5) and measures both on the text that
/// calibration held out. Where compensation lowers the mean loss there by more than the standard error of the difference,
/// the plan becomes compensated and `made` gets its factors; else it stays as it is. Its note says which, and by how much.
/// Errors: invalidArgument for statistics that hold no such text.
Result<void> compensateWhereItHelps(const Decoder& decoder, const Statistics* statistics, PlanWithSpectra& made, const Task& task,
                                    const ProcessGroup& processes);

}  // namespace kvista
