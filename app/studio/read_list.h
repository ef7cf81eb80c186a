// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/protocol/records.h"

namespace kvista {

/// An answer of the engine that is a list of records. Errors (invalidArgument): it is none, or an entry is not sound.
template <class Record>
Result<std::vector<Record>> readList(const nlohmann::json& answer) {
  if (!answer.is_array()) return fail(ErrorCode::invalidArgument, "The engine answered something that is no list.");
  std::vector<Record> records;
  for (const nlohmann::json& entry : answer) {
    KVISTA_ASSIGN(Record record, read<Record>(entry));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace kvista
