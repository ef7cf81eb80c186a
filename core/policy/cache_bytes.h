// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/description.h"
#include "core/plan/plan.h"
#include "core/policy/policy.h"

namespace kvista {

/// Layers of which none can be read without the others' tokens, in rising order of the first: in a chain, one with all
/// that read its cache, or with a group in common. One that stores the numbers of tokens has them of all, for all
/// layers. `plan`: null without one.
std::vector<std::vector<int>> layersStoredTogether(const CompressionPlan* plan, int layers);

/// Whether a head's tokens can go without those of the other heads of its layers.
bool isOfOneHead(const Group& group);

/// Counts what a cache takes up from which tokens it holds. Layers that are stored together hold the same tokens, and
/// are counted together; what can only be kept or dropped together of them is a unit: a head, or all heads where a
/// plan's latents are shared.
class CacheBytes {
 public:
  /// Positions that a chooser of tokens must know: none, those of a layer where its heads hold the same tokens, or each
  /// unit's.
  enum class Positions : std::uint8_t { none, layer, unit };
  /// `plan`: null without one. `storage`: null where tokens are held as they are or as the plan has them; must outlive
  /// this.
  CacheBytes(const DecoderDescription& description, const CompressionPlan* plan, const CacheStorage* storage,
             Positions chooser);

  /// As layersStoredTogether.
  [[nodiscard]] const std::vector<std::vector<int>>& sets() const { return sets_; }
  [[nodiscard]] int units(std::size_t set) const { return static_cast<int>(units_[set].size()); }
  [[nodiscard]] const TokenBytes& token(std::size_t set, int unit) const {
    return units_[set][static_cast<std::size_t>(unit)];
  }
  /// Of one unit that holds `held` tokens of `read`, whose numbers are counted where a plan stores those. Where some
  /// are gone and keys cannot be read without knowing their positions (a plan stores them before RoPE, a layer has a
  /// sliding window or linear biases), or the chooser asks for them, 4 bytes a token say them.
  [[nodiscard]] std::int64_t ofUnit(std::size_t set, int unit, std::int64_t held, std::int64_t read) const;
  /// Of the numbers of `read` tokens, where a plan stores those.
  [[nodiscard]] std::int64_t ofTokenNumbers(std::int64_t read) const {
    return numbersTokens_ ? read * kTokenNumberBytes : 0;
  }
  /// Of layers whose units all hold as many.
  [[nodiscard]] std::int64_t ofSet(std::size_t set, std::int64_t held, std::int64_t read) const;
  /// The 16-bit cache of `tokens` tokens.
  [[nodiscard]] std::int64_t full(std::int64_t tokens) const { return tokens * fullToken_; }

 private:
  std::vector<std::vector<int>> sets_;
  std::vector<std::vector<TokenBytes>> units_;  // of each set
  std::vector<bool> needsPositions_;            // of each set, to read keys
  Positions chooser_;
  std::int64_t fullToken_ = 0;
  bool numbersTokens_ = false;  // CompressionPlan::tokenNumbers, of the first set
  const CacheStorage* storage_;
};

}  // namespace kvista
