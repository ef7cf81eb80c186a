// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "core/plan/plan.h"

namespace kvista {

/// A value of an enumeration and what it is called in files and messages.
template <class Value>
struct Named {
  std::string_view name;
  Value value;
};

inline constexpr std::array kMetrics = {Named{"identity", Metric::identity},   Named{"fisher", Metric::fisher},
                                        Named{"query", Metric::query},         Named{"output", Metric::output},
                                        Named{"attention", Metric::attention}, Named{"eigen", Metric::eigen}};
inline constexpr std::array kKeyPositions = {Named{"beforeRope", KeyPosition::beforeRope},
                                             Named{"afterRope", KeyPosition::afterRope}};
inline constexpr std::array kStorages = {Named{"lowRank16", Storage::lowRank16}, Named{"coded", Storage::coded},
                                         Named{"plainQuantised", Storage::plainQuantised}};
inline constexpr std::array kTargetKinds = {
    Named{"share", Target::Kind::share}, Named{"keptFraction", Target::Kind::keptFraction},
    Named{"bytesPerToken", Target::Kind::bytesPerToken}, Named{"maxLoss", Target::Kind::maxLoss}};
inline constexpr std::array kSides = {Named{"key", Side::key}, Named{"value", Side::value}};

/// Empty for a value that the table does not hold.
template <class Table, class Value>
std::string nameIn(const Table& table, Value value) {
  const auto entry = std::find_if(table.begin(), table.end(), [&](const auto& named) { return named.value == value; });
  return std::string(entry == table.end() ? std::string_view{} : entry->name);
}

}  // namespace kvista
