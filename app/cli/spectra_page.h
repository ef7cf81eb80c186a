// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/compress/cache_spectra.h"
#include "core/evaluate/truncation_loss.h"
#include "core/plan/spectrum.h"

namespace kvista {

/// The spectra of one model on one text, and what is known of each.
struct TextSpectra {
  std::string model, file;
  std::string name;  ///< What tables call it: the file, of several models with the model.
  double tokens = 0;
  std::vector<CacheSpectrum> spectra;
  std::vector<SpectrumMeasures> measures;
  /// Of every spectrum at every part that was kept, these after each other; or none.
  std::vector<TruncationLoss> losses;
};

/// Normalised effective ranks and what truncation costs at one kept part, over texts, layers and sides.
struct RanksAndLosses {
  std::vector<double> ranks, losses;

  [[nodiscard]] double linear() const;  ///< Pearson's correlation, NaN where there is none.
  [[nodiscard]] double ranked() const;  ///< Spearman's.
};
/// `index` of `count` kept parts.
RanksAndLosses ranksAndLosses(const std::vector<TextSpectra>& texts, std::size_t index, std::size_t count);

/// Normalised effective ranks as a heat table for each side, layers downwards, texts or their heads across, and a
/// scatter of them against what truncation costs for each part in `kept`: one HTML page without scripts or other files
/// (KV-CoRE; methods.md section 7).
std::string spectraPage(const std::vector<TextSpectra>& texts, const std::vector<double>& kept);

}  // namespace kvista
