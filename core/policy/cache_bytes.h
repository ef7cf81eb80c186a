// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/description.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"

namespace kvista {

/// Counts what a cache takes up from which tokens it holds. What can only be kept or dropped together is a unit: a head of a
/// layer, or all its heads where a plan's latents are shared.
class CacheBytes {
 public:
  /// Positions that a chooser of tokens must know: none, those of a layer where its heads hold the same tokens, or each unit's.
  enum class Positions : std::uint8_t { none, layer, unit };
  /// `plan`: null without one. `storage`: null where tokens are held as they are or as the plan has them; must outlive this. `coder`: of the
  /// plan's latents; null where the plan says how these are held.
  CacheBytes(const DecoderDescription& description, const CompressionPlan* plan, const CacheStorage* storage, const LatentCoder* coder,
             Positions chooser);

  [[nodiscard]] int layers() const { return static_cast<int>(units_.size()); }
  [[nodiscard]] int units(int layer) const { return static_cast<int>(units_[static_cast<std::size_t>(layer)].size()); }
  [[nodiscard]] const TokenBytes& token(int layer, int unit) const { return units_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(unit)]; }
  /// Of one unit that holds `held` tokens of `read`. Where some are gone and keys cannot be read without knowing their
  /// positions (a plan stores them before RoPE, the layer has a sliding window or linear biases), or the chooser asks for them, 4 bytes a
  /// token say them.
  [[nodiscard]] std::int64_t ofUnit(int layer, int unit, std::int64_t held, std::int64_t read) const;
  /// Of a layer whose units all hold as many.
  [[nodiscard]] std::int64_t ofLayer(int layer, std::int64_t held, std::int64_t read) const;
  /// The 16-bit cache of `tokens` tokens.
  [[nodiscard]] std::int64_t full(std::int64_t tokens) const { return tokens * fullToken_; }

 private:
  std::vector<std::vector<TokenBytes>> units_;
  std::vector<bool> needsPositions_;  // to read keys
  Positions chooser_;
  std::int64_t fullToken_ = 0;
  const CacheStorage* storage_;
};

}  // namespace kvista
