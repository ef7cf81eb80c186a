// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace kvista {

class CacheTransform;

/// What one layer holds of b sequences, as attention sees it, so that a policy may take tokens out of it or change
/// them. Heads may hold different tokens; with latent attention the only head is the latent and the key that turns (see
/// LatentAttentionDescription).
struct LiveLayer {
  at::Tensor keys;       ///< [b, kvHeads, s, headDim], rotated.
  at::Tensor values;     ///< [b, kvHeads, s, valueHeadDim], as projected.
  at::Tensor positions;  ///< int64 [b, kvHeads, s]: where in the sequence; -1: an empty place.
  at::Tensor queries;    ///< [b, queryHeads, w, d]: of the last tokens that were read.
  /// What LiveCache::beside makes of the same tokens.
  at::Tensor storedKeys, storedValues;

  [[nodiscard]] std::int64_t places() const { return keys.defined() ? keys.size(2) : 0; }
};

/// Several sequences of one length that are read together; see Decoder::extend.
struct LiveCache {
  std::vector<LiveLayer> layers;
  std::int64_t tokens = 0;  ///< Read so far, whatever of them is still held.
  /// Tokens that the sequences will have, which some ropes depend on; 0: those read so far.
  std::int64_t sequenceLength = 0;
  std::int64_t queryWindow = 0;  ///< How many tokens' queries to hold.
  /// Tokenwise: what it makes of tokens is held beside them. Must outlive this.
  const CacheTransform* beside = nullptr;
};

}  // namespace kvista
