// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/split.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvista {

Result<SplitBehavior> readSplitBehavior(const TokenizerFields& fields, SplitBehavior otherwise) {
  if (fields.find("behavior") == nullptr) return otherwise;
  KVISTA_ASSIGN(const std::string name, fields.text("behavior"));
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::mergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::mergedWithNext;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  return fail(ErrorCode::unsupportedModel,
              fmt::format("{}: behavior \"{}\" is not supported; supported: Removed, Isolated, MergedWithPrevious, "
                          "MergedWithNext, Contiguous.",
                          fields.where(), name.substr(0, 80)));
}

void applySplitBehavior(std::vector<Section>& sections, SplitBehavior behavior) {
  if (behavior == SplitBehavior::isolated) return;
  if (behavior == SplitBehavior::removed) {
    std::erase_if(sections, [](const Section& section) { return section.isMatch; });
    return;
  }
  const bool backwards = behavior == SplitBehavior::mergedWithNext;
  if (backwards) std::ranges::reverse(sections);
  std::vector<Section> pieces;
  pieces.reserve(sections.size());
  bool previousMatch = false;
  for (const Section& section : sections) {
    const bool joins =
        behavior == SplitBehavior::contiguous ? section.isMatch == previousMatch : section.isMatch && !previousMatch;
    previousMatch = section.isMatch;
    if (joins && !pieces.empty()) {
      (backwards ? pieces.back().begin : pieces.back().end) = backwards ? section.begin : section.end;
    } else {
      pieces.push_back(section);
    }
  }
  if (backwards) std::ranges::reverse(pieces);
  sections = std::move(pieces);
}

}  // namespace kvista
