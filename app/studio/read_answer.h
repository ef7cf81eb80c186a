// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/error.h"
#include "core/protocol/records.h"

namespace kvista {

/// A field of the engine's answer; null where there is none.
inline const nlohmann::json& field(const nlohmann::json& answer, const char* name) {
  static const nlohmann::json kMissing;
  const auto found = answer.is_object() ? answer.find(name) : answer.end();
  return found == answer.end() ? kMissing : *found;
}

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
