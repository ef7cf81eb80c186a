// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/util/Half.h>

#include <span>
#include <vector>

namespace kvista {

/// What RebuiltAttentionRun (core/cuda/latent_attention.h) needs to know of the rotation of a model.
struct RotationTable {
  int segment = 0;  ///< Tokens.
  int lowFunctions = 0;
  std::vector<c10::Half> table;           ///< [(2 * kDirectPairs + lowFunctions) / 8, segment, 8]
  std::vector<float> lowCosine, lowSine;  ///< [pairs - kDirectPairs, lowFunctions]
  double error = 0;                       ///< The largest of any cosine or sine, before it was rounded to 16 bits.
};

/// The functions of a token's place d in a segment that rotated scores are made of: cos(d f_j) and sin(d f_j)
/// themselves for the kDirectPairs highest frequencies, and for the others the `lowFunctions` first left singular
/// vectors of the matrix of all of them. A segment of length L holds few of these that differ: about L f / pi for the
/// highest frequency f of theirs (the dimension of functions limited in time and band; methods.md section 8).
/// frequencies: falling, at least kDirectPairs of them.
RotationTable makeRotationTable(std::span<const float> frequencies, int segment, int lowFunctions);

}  // namespace kvista
