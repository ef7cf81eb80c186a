// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <string>
#include <vector>

#include "core/protocol/lab_records.h"
#include "views/lab_view.h"

namespace kvista {

/// What was measured of one model.
struct ModelRanks {
  std::string hash;  ///< Of its content.
  QString name;
  RanksRecord ranks;
};

/// The lab's records as tables.
LabFindings findingsOf(const TasksRecord& record);
LabFindings findingsOf(const AgreementRecord& record);
LabFindings findingsOf(const std::vector<PredictorRecord>& records);
/// With the directions of KQ-SVD beside the others.
LabFindings findingsOf(const KeyVariantsRecord& record);
/// At least one model; all of them side by side.
LabFindings findingsOf(const std::vector<ModelRanks>& models);

}  // namespace kvista
