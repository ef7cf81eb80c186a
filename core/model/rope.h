// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

class ConfigReader;

/// How rotary frequencies are stretched for long contexts; the names are those of `rope_type` in config.json.
enum class RopeType {
  standard,  ///< "default": inv_j = theta^(-2j/r).
  linear,    ///< inv_j / factor.
  dynamic,   ///< theta grows with the sequence beyond the trained length (NTK).
  llama3,    ///< Long wavelengths divided by factor, short ones kept, a ramp between.
  yarn,      ///< As llama3 with another ramp, and a temperature on cos and sin.
  longrope,  ///< inv_j divided by one of two lists, chosen by the sequence's length.
  factors,   ///< inv_j divided by one list (GGUF's rope_freqs).
};

/// Rotary position embedding of one kind of layer. Fields a type does not use keep their neutral values.
struct RopeDescription {
  RopeType type = RopeType::standard;
  int rotaryDim = 0;           ///< r: the first r of a head's numbers rotate, as pairs (j, j + r/2). Even.
  bool isInterleaved = false;  ///< As pairs (2j, 2j + 1) instead.
  double theta = 10000;
  double factor = 1;               ///< linear, dynamic, llama3, yarn.
  double attentionFactor = 1;      ///< Multiplies cos and sin (yarn, longrope).
  std::int64_t trainedLength = 0;  ///< dynamic, llama3, yarn, longrope: positions before stretching.
  double lowFrequencyFactor = 1, highFrequencyFactor = 1;  ///< llama3.
  double rampLow = 0, rampHigh = 0;                        ///< yarn: pair indices between which the ramp rises.
  std::vector<double> factors = {};                        ///< factors, longrope (short): one per pair.
  std::vector<double> longFactors = {};                    ///< longrope, beyond the trained length.

  bool operator==(const RopeDescription&) const = default;
};

/// How a family writes its rope down, and what holds where its files say nothing.
struct RopeConventions {
  double theta = 10000;
  /// Of the configuration itself, where the rope's own object lacks "rope_theta".
  std::string_view thetaKey = "rope_theta";
  double fraction = 1;                ///< Of a head's numbers that rotate.
  std::string_view fractionKey = {};  ///< As thetaKey, for "partial_rotary_factor"; empty: whole heads rotate.
  bool isInterleaved = false;
  bool isPhi3 = false;  ///< "su" and "yarn" mean longrope, and the trained length stands beside the rope's object.
  std::string_view layerType = {};    ///< For one of `layer_types`, of which rope_parameters may hold an object each.
  bool isScaled = true;               ///< rope_scaling concerns it.
  std::int64_t maximumPositions = 0;  ///< The value of max_position_embeddings, given or the family's.
};

/// Reads `rope_parameters` (5.x) or `rope_scaling` and `rope_theta` (4.x) as transformers 5.23 does: a non-empty
/// rope_scaling wins; a missing theta or fraction is the top-level one, then the family's.
Result<RopeDescription> readRope(const ConfigReader& config, int headDim, const RopeConventions& conventions);

/// What DeepSeek-V2 multiplies the scale of its scores by: the square of yarn's temperature for `mscale_all_dim`; 1
/// where that is not given.
Result<double> readScoreTemperature(const ConfigReader& config);

/// Rotation per position of each pair, radians; [rotaryDim / 2]. `sequenceLength` is the whole sequence's length, which
/// dynamic and longrope depend on.
std::vector<double> inverseFrequencies(const RopeDescription& rope, std::int64_t sequenceLength);

}  // namespace kvista
