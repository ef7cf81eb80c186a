// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace kvista {

/// Bit widths a direction can have, in the order of every table below.
inline constexpr std::array<int, 10> kWidths = {0, 1, 2, 3, 4, 5, 6, 8, 12, 16};

/// Relative distortion D_b of the optimal uniform mid-rise quantiser of a unit Gaussian at `bits`, 1 for 0 bits and
/// 0 for 16 bits (methods.md section 10). NaN for a width that is not in kWidths.
double gaussianDistortion(int bits);
/// Its step, as a multiple of the standard deviation; 0 for 0 and 16 bits, which have none.
double gaussianStep(int bits);

/// The distortion of codes through a trellis of 8 states (core/model/trellis.h) with the best step, measured on 4
/// million numbers of a unit Gaussian for 1 to 4 bits; gaussianDistortion of others.
double trellisDistortion(int bits);

/// Eigenvalues of one group's covariance in the metric (methods.md section 2), and how well each direction can be
/// coded.
struct Spectrum {
  /// Falling; with the Fisher metric in nats a token (loss = half of what is dropped).
  std::vector<double> eigenvalues;
  /// distortion[direction * widths.size() + w] = relative squared error of direction coded with widths[w] bits, fitted
  /// on calibration latents. Empty: use gaussianDistortion.
  std::vector<int> widths;
  std::vector<float> distortion;

  /// The fitted distortion, or the Gaussian one where nothing was fitted.
  [[nodiscard]] double distortionAt(std::size_t direction, int bits) const;
};

/// As many directions, of which none loses anything: of outputs that need not be stored.
Spectrum nothingLost(const Spectrum& spectrum);

/// Half of what coding with `widths` loses: the predicted rise of the loss in nats a token with the Fisher metric.
/// Directions beyond `widths` count as dropped; negative eigenvalues (rounding noise) as 0.
double predictedLoss(const Spectrum& spectrum, const std::vector<std::uint8_t>& widths);

/// Shape measures of a spectrum of singular values s (not squared), in any order; methods.md section 7. Values that are
/// negative or not finite count as 0; all measures of an empty or zero spectrum are 0.
struct SpectrumMeasures {
  double normalisedEffectiveRank = 0;  ///< KV-CoRE: exp(entropy of s / sum s) / n.
  double effectiveRank = 0;
  double stableRank = 0;          ///< sum s^2 / max s^2
  double participationRatio = 0;  ///< (sum s^2)^2 / sum s^4
  /// Smallest number of the largest values that hold this part of sum s^2.
  int energyRank90 = 0, energyRank95 = 0, energyRank99 = 0, energyRank999 = 0;
};
SpectrumMeasures measure(const std::vector<double>& singularValues);

/// With fewer tokens for each direction, spectra look other than they are (methods.md section 7).
inline constexpr double kTokensADirection = 16;

/// The largest singular value a token that noise of the same energy would show, alike in all n directions, over so many
/// tokens: the edge of Marchenko and Pastur's law, sqrt(mean of s^2) (1 + sqrt(n / tokens)). `singularValues`: roots of
/// a mean second moment's eigenvalues.
double noiseEdge(const std::vector<double>& singularValues, double tokens);

}  // namespace kvista
