// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/planner.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"

namespace kvista {

/// Makes the plan's factors without and with compensation (methods.md section 5) and measures both on the text that
/// calibration held out. Where compensation lowers the mean loss there beyond chance, the plan becomes compensated and
/// `made` gets its factors; else it stays as it is. Its note says which, and by how much. Errors: invalidArgument for
/// statistics that hold no such text.
Result<void> compensateWhereItHelps(const Decoder& decoder, const Statistics* statistics, PlanWithSpectra& made,
                                    const Task& task, const ProcessGroup& processes);

/// Whether windows' gains have a mean above 0 that chance would not give them in 19 of 20 cases: Student's test of one
/// sample, one side. Windows and not tokens, since tokens of a window gain and lose together. Fewer than two say
/// nothing.
bool isBeyondChance(const std::vector<double>& gains);

}  // namespace kvista
