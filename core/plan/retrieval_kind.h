// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "core/plan/plan_names.h"

namespace kvista {

/// What a test of retrieval plants in a text and asks for at its end.
enum class RetrievalKind {
  needle,    ///< One sentence with a number (Kamradt 2023).
  multiKey,  ///< Sentences that differ in a key and a number; one of them is asked for (RULER, section 3: MK-NIAH).
  /// A chain of assignments; all variables that have the value are asked for (RULER, section 3: VT).
  variableTracking,
};
inline constexpr std::array kRetrievalKinds = {Named{"needle", RetrievalKind::needle},
                                               Named{"multi-key", RetrievalKind::multiKey},
                                               Named{"variable-tracking", RetrievalKind::variableTracking}};

/// Sentences that are planted where nobody says how many: RULER's four keys, and a value with four hops.
constexpr std::int64_t usualPlanted(RetrievalKind kind) {
  return kind == RetrievalKind::needle ? 1 : kind == RetrievalKind::multiKey ? 4 : 5;
}
inline constexpr std::int64_t kMostPlanted = 48;

}  // namespace kvista
