// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/protocol/lab_records.h"
#include "views/lab_view.h"

namespace kvista {

/// The lab's records as tables.
LabFindings findingsOf(const TasksRecord& record);
LabFindings findingsOf(const AgreementRecord& record);
LabFindings findingsOf(const std::vector<PredictorRecord>& records);

}  // namespace kvista
