// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/regex.h"
#include "core/text/tokenizer_fields.h"

namespace kvista {

/// What becomes of the matches that a text is split at.
enum class SplitBehavior {
  removed,
  isolated,            ///< A piece of its own.
  mergedWithPrevious,  ///< The end of the gap before it; the first of several matches in a row only.
  mergedWithNext,      ///< The beginning of the gap after it; the last of several matches in a row only.
  contiguous,          ///< Matches in a row are one piece.
};
Result<SplitBehavior> readSplitBehavior(const TokenizerFields& fields, SplitBehavior otherwise);

/// Turns matches and gaps into the pieces to keep (their `isMatch` has no meaning any more), in order.
void applySplitBehavior(std::vector<Section>& sections, SplitBehavior behavior);

/// Splits every piece by what `search(text, sections)` finds in it. `invert` swaps matches and gaps.
template <class Search>
Result<void> splitPieces(TextPieces& pieces, SplitBehavior behavior, bool invert, Search search) {
  std::vector<TextPieces::Piece> result;
  result.reserve(pieces.pieces.size());
  std::vector<Section> sections;
  for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
    const TextPieces::Piece piece = pieces.pieces[i];
    KVISTA_CHECK(search(pieces[i], sections));
    for (Section& section : sections) section.isMatch ^= invert;
    applySplitBehavior(sections, behavior);
    for (const Section& section : sections) {
      if (section.begin == section.end) continue;
      result.push_back({piece.begin + section.begin, piece.begin + section.end, piece.atStart && section.begin == 0});
    }
  }
  pieces.pieces = std::move(result);
  return {};
}

}  // namespace kvista
