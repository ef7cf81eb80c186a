// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/families/layout.h"

namespace kvista::families {

/// What holds where a configuration of latent attention says nothing.
struct LatentConventions {
  std::int64_t keyWidth = 128, valueWidth = 128, queryRank = 1536;
  std::int64_t maximumPositions = 2048;
  double epsilon = 1e-6;
  std::string_view interleaveKey = {};  ///< Empty: rotated pairs are always neighbours.
};

/// Llama's layout with multi-head latent attention (DeepSeek-V2, section 2.1). The cache is the latent, as the only
/// value head, and one rotated key for all heads.
Result<Layout> readLatent(const ConfigReader& config, const LatentConventions& conventions);

/// The experts that are there for every token, n_shared_experts as one MLP; 0: none.
Result<std::int64_t> readSharedWidth(const ConfigReader& config, const Mixture& mixture, std::int64_t absent);

/// Reads n_group and topk_group into `router`.
Result<void> readGroups(const ConfigReader& config, const Mixture& mixture, std::int64_t absentGroups,
                        std::int64_t absentChosen, RouterDescription& router);

/// Experts as DeepSeek-V3 has them (section 2.1.2), and what holds where a configuration says nothing.
struct SigmoidMixtureConventions {
  MixtureConventions mixture = {};
  std::int64_t denseLayers = 0;  ///< first_k_dense_replace.
  std::int64_t shared = 1;
  std::int64_t groups = 1, chosenGroups = 1;
  double scale = 1;
  bool renormalises = true;
};

/// Replaces the MLPs of all layers but the first ones, or of those that mlp_layer_types calls sparse.
Result<void> fillSigmoidMixture(const ConfigReader& config, const SigmoidMixtureConventions& conventions,
                                Layout& layout);

}  // namespace kvista::families
