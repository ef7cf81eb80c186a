// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// Quantisation of the cache itself, as KIVI does it (methods.md section 10): keys per channel in blocks of tokens,
/// values per token and head; asymmetric, scale = (max - min) / (2^bits - 1) clamped at 1e-5. The plan's first exact
/// tokens stay as they are, and so do a block of keys that is not full yet and a head of 16 bits.
class PlainQuantisation {
 public:
  /// `plan`: of storage plainQuantised, one slot a group.
  PlainQuantisation(const CompressionPlan& plan, const ModelShape& shape, at::Device device);
  [[nodiscard]] KeyValues quantise(int layer, const KeyValues& raw) const;

 private:
  struct LayerBits {
    at::Tensor keyLevels;    // float32 [kv]: 2^bits - 1 of each channel
    at::Tensor valueLevels;  // float32 [kvHeads, 1]
  };
  int block_;
  int exactTokens_;
  int kvHeads_;
  std::vector<LayerBits> layers_;
};

}  // namespace kvista
