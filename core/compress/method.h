// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/plan/plan.h"

namespace kvista {

/// A way to compress a cache: a choice of each part. All the choices are seams of their own, so that a method is a
/// value.
struct Method {
  std::string_view name;
  std::string_view summary;   ///< One line for `kvista list methods`.
  std::string_view source;    ///< Paper or section it comes from.
  std::string_view grouping;  ///< Which slots share a latent; see layouts.h.
  int groupSize = 4;          ///< Heads a group, where the grouping has one.
  /// Of measures.h, for groupings by similarity; empty: linear CKA of what is decomposed.
  std::string_view measure = {};
  Metric metric = Metric::fisher;
  KeyPosition keyPosition = KeyPosition::beforeRope;
  Storage storage = Storage::lowRank16;
  std::vector<int> widths = {0, 16};
  std::string_view allocator = "waterline";
  int rankStep = 8;          ///< Of wide groups; see fittingRankStep.
  int exactTokens = 0;       ///< First tokens of a sequence that stay exact.
  bool weightsOnly = false;  ///< Second moments from the weights alone: no text needed.
  /// ReCalKV: layer after layer, each decomposed for the inputs that the compressed layers before it hand on, its
  /// values then calibrated offline against the outputs of the model as it is. Takes the calibration text through the
  /// model again.
  bool sequential = false;
  /// Every group of keys or of values becomes one head, that of keys by factors which commute with RoPE
  /// (common_heads.h): its rank is a head's width. `groupSize` 0: as many heads a group as the target needs.
  bool sharesHeads = false;
  /// CommonKV: so many adjacent layers have one `down` from what goes into their projections (common_layers.h).
  int layersTogether = 1;
  int chain = 1;              ///< CompressionPlan::chain.
  bool trellis = false;       ///< CompressionPlan::trellis.
  bool tokenNumbers = false;  ///< CompressionPlan::tokenNumbers.
  /// KVSharer: as many layers read the cache of another as the target needs (layer_sharing.h).
  bool sharesLayers = false;
};

/// Why a plan of a method cannot do without whitening (CompressionPlan::unwhitened), as in "needs text"; empty where it
/// can.
std::string_view whyNotUnwhitened(const Method& method);

/// Why plans of a method cannot be compensated (CompressionPlan::compensated), as in "it has no latent"; empty where
/// they can.
std::string_view whyNotCompensated(const Method& method);

/// Why layers of a method's plans cannot be chained (CompressionPlan::chain), likewise.
std::string_view whyNotChained(const Method& method);

/// Why plans of a method cannot be centred (CompressionPlan::centred), likewise.
std::string_view whyNotCentred(const Method& method);

/// Why plans of a method cannot leave their offline calibration out (CompressionPlan::uncalibrated), likewise.
std::string_view whyNotUncalibrated(const Method& method);

/// Why layers of a method's plans cannot read the cache of another (CompressionPlan::sharedFrom), likewise.
std::string_view whyNotShared(const Method& method);

/// The method's rank step, halved until the narrowest groups have four of it: whole heads of 32 are no choice of ranks.
int fittingRankStep(const Method& method, const ModelShape& shape);

/// Every method; a new one is a file in methods/ and one line in methods.cpp.
const std::vector<Method>& methods();
Result<const Method*> findMethod(std::string_view name);

}  // namespace kvista
