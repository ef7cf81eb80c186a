// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/plan/shape.h"

namespace kvista {

enum class Side : std::uint8_t { key, value };

/// One head of one side of one layer: the smallest thing that can be grouped.
struct Slot {
  int layer = 0;
  Side side = Side::key;
  int head = 0;
  auto operator<=>(const Slot&) const = default;
};

/// Where keys are compressed. Before RoPE they must be rebuilt and rotated when read; after RoPE the query can be
/// brought into the latent space instead.
enum class KeyPosition : std::uint8_t { beforeRope, afterRope };

/// The quadratic form in which errors are measured (methods.md section 2): every output alike; the loss's own curvature
/// as one Fisher block a head; what attention scores feel of keys, the energy of their queries (section 6), values
/// alike; what the output projection makes of values, keys alike; or these two together, queries' energy for keys and
/// output for values. `eigen` is Eigen Attention's choice of directions for keys after RoPE: the largest of keys and of
/// their queries together; values alike.
enum class Metric : std::uint8_t { identity, fisher, query, output, attention, eigen };

/// How a latent is stored.
///  lowRank16: a direction is a 16-bit number or dropped (widths 0 and 16).
///  coded: a direction is a fixed-step code of 0, 1, 2, 3, 4, 6 or 8 bits, or a 16-bit number.
///  plainQuantised: no change of basis (for comparison). Every group is one slot with the same width b everywhere: 2,
///  3, 4, 8 or 16. Below 16 a number is an asymmetric b-bit code with a 16-bit scale and a 16-bit zero: for keys one
///  pair a channel and block of `scaleBlock` tokens, for values one pair a token.
enum class Storage : std::uint8_t { lowRank16, coded, plainQuantised };

/// Bytes of one token's codes of these widths: directions are sorted by width; a code of 6 bits is one of 4 and one of
/// 2, one of 3 one of 2 and one of 1; the run of each is padded to whole bytes.
std::int64_t storedBytes(std::span<const std::uint8_t> widths);

/// A set of slots that share one latent. `widths[i]` is the number of bits that direction i of the group's eigenbasis
/// gets (0: dropped); directions are ordered by falling eigenvalue. An uncompressed group has 16 everywhere.
struct Group {
  std::vector<Slot> slots;           ///< Ordered: keys before values, then by layer and head, unless reordered by hand.
  std::vector<std::uint8_t> widths;  ///< Size: sum of the slots' head widths.
  bool locked = false;               ///< Allocators leave a locked group alone.

  bool operator==(const Group&) const = default;
  [[nodiscard]] int rank() const;                  ///< Directions with any bits.
  [[nodiscard]] bool isUncompressed() const;       ///< 16 bits everywhere: kept as it is, no change of basis.
  [[nodiscard]] std::int64_t storedBytes() const;  ///< Bytes a token, as kvista::storedBytes; no scales.
};

/// What the user asked for; `kind` names the unit of `value`.
struct Target {
  enum class Kind : std::uint8_t { share, keptFraction, bytesPerToken, maxLoss };
  Kind kind = Kind::share;
  /// share, keptFraction: of the 16-bit cache, in (0, 1]; bytesPerToken: over all layers; maxLoss: the relative rise of
  /// perplexity, 0.02 for 2 %.
  double value = 1.0;
  bool operator==(const Target&) const = default;
};

/// The one thing a user edits. A value: compare, copy, store, send.
struct CompressionPlan {
  std::string method;     ///< Preset it was made with ("coded", "joint", ...): decides what its factors are made from.
  std::string grouping;   ///< Name of the layout it was made with, "manual" once groups were changed by hand.
  std::string allocator;  ///< Name in the allocator registry.
  Metric metric = Metric::fisher;
  /// Each head's metric M becomes M + damping * mean(diag M) * I, so that no direction goes without any weight
  /// (methods.md section 2).
  double damping = 0;
  KeyPosition keyPosition = KeyPosition::beforeRope;
  Storage storage = Storage::coded;
  int rankStep = 8;     ///< Ranks (or directions of one width) come in multiples of this.
  int exactTokens = 0;  ///< The first tokens of a sequence that stay exact (attention sinks).
  /// Bases come from the tokens beyond the first of each window, attention sinks being like no others, although the
  /// first are stored like all. Plans that keep those exact (exactTokens) do so in any case.
  bool sinkFree = false;
  /// Bases are those of the outputs less their mean over tokens, which is put back when they are read: no direction is
  /// spent on what all tokens have in common (methods.md section 6). Of keys after RoPE it is the mean over the
  /// calibration's positions.
  bool centred = false;
  int scaleBlock = 64;  ///< plainQuantised: tokens that share a key channel's scale and zero.
  /// Factors are fitted to what the compressed layers before hand on, so that they rebuild the outputs of the model as
  /// it is (methods.md section 5): not for keys after RoPE, nor for plain quantisation.
  bool compensated = false;
  /// Second moments of the weights alone stand in for the text's: what whitening would add is left out. For metrics
  /// that need no text.
  bool unwhitened = false;
  /// A method that calibrates its values offline (ReCalKV's OVC) leaves that out.
  bool uncalibrated = false;
  /// KVSharer: for each layer the layer whose cached outputs it reads, itself or an earlier one that has its own; its
  /// bias and norm it adds itself. Empty: every layer has its own. Groups of a layer that reads another's store nothing
  /// (widths of 0).
  std::vector<int> sharedFrom;
  /// So many adjacent layers are a chain: each but the first codes what the decoded outputs of the layer before it do
  /// not predict (methods.md section 10). 1: every layer is coded by itself. For coded plans with one group a layer.
  int chain = 1;
  /// Codes of up to 4 bits go through a trellis: the same bytes lose less, and coding a token takes longer (methods.md
  /// section 10). For coded plans.
  bool trellis = false;
  /// The first layer stores the number of each token instead of codes, and computes its outputs anew: they hang on
  /// nothing else. It predicts each layer that begins a chain, one of 1 too. For plans whose layers can be chained
  /// (methods.md section 10).
  bool tokenNumbers = false;
  Target target;
  std::vector<Group> groups;  ///< Every slot of the model is in exactly one group.

  bool operator==(const CompressionPlan&) const = default;
};

inline constexpr std::size_t kMaxProblems = 20;
inline constexpr int kMaxExactTokens = 1024;
inline constexpr double kMaxDamping = 1;
inline constexpr int kMaxChain = 65535;               ///< As good as all layers.
inline constexpr std::int64_t kTokenNumberBytes = 4;  ///< Of one token (CompressionPlan::tokenNumbers).

/// Problems of a plan for a model, in words; empty when it is sound. At most kMaxProblems, then one line with the
/// number of the others. Never throws.
std::vector<std::string> validate(const CompressionPlan& plan, const ModelShape& shape);

/// Whether a layer has no cache of its own (CompressionPlan::sharedFrom).
bool readsAnotherLayer(const CompressionPlan& plan, int layer);

/// Whether a layer stores the numbers of tokens alone (CompressionPlan::tokenNumbers).
bool storesTokenNumbers(const CompressionPlan& plan, int layer);

/// Whether a layer stores directions of its own: it neither reads another's cache nor stores numbers of tokens.
bool storesDirections(const CompressionPlan& plan, int layer);

/// The layer whose decoded outputs predict `layer`, which codes what they leave (CompressionPlan::chain, tokenNumbers);
/// none where it is coded by itself.
std::optional<int> predictedFrom(const CompressionPlan& plan, int layer);

/// Whether any layer predicts another.
bool predictsLayers(const CompressionPlan& plan);

/// Whether eigenvalues of the plan's bases are what the loss rises by, nats a token: in Fisher blocks as they are, of
/// all tokens that are stored.
bool measuresLoss(const CompressionPlan& plan);

/// Width in numbers of one slot of the model.
int slotWidth(const Slot& slot, const ModelShape& shape);

/// Bytes a token over all layers as stored, padding of every run and the scales and zeros of plainQuantised counted.
/// Tokens that stay exact (exactTokens, an unfinished block of keys) are few and not counted.
std::int64_t bytesPerToken(const CompressionPlan& plan);
std::int64_t bytesPerToken(const CompressionPlan& plan, const Group& group);
/// Latent numbers a token over all layers divided by the uncompressed cache's numbers.
double keptFraction(const CompressionPlan& plan, const ModelShape& shape);
/// bytesPerToken divided by the uncompressed 16-bit cache's bytes.
double share(const CompressionPlan& plan, const ModelShape& shape);

/// Hash (16 hex digits) of everything that changes what layer `layer` computes: method, metric, storage, key position,
/// exact tokens and the groups that touch the layer (and those of the layers before it in its chain or, where the plan
/// is compensated, of all), in whatever order the plan lists them. Names of grouping and allocator, locks, rank step
/// and target only say how the plan came about.
std::string layerFingerprint(const CompressionPlan& plan, int layer);
/// The same over all layers.
std::string fingerprint(const CompressionPlan& plan);

/// Canonical JSON: equal plans give equal bytes. Reading checks types, ranges, duplicates and unknown fields and names
/// the field. Widths are runs [width, count]; slots are "K3" or "V0" with one "layer", or a list "layers", one a slot:
///   {"layer": 0, "slots": ["K0", "K1", "V0", "V1"], "widths": [[16, 40], [8, 12], [0, 76]]}
nlohmann::json toJson(const CompressionPlan& plan);
nlohmann::json toJson(const Target& target);
Result<Target> targetFromJson(const nlohmann::json& json);
Result<CompressionPlan> planFromJson(const nlohmann::json& json);

}  // namespace kvista
