// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/model/live_cache.h"

namespace kvista {

/// Foretells from a token's own key and value how important it will be, instead of reading the text twice (Kim et al.
/// 2026, Fast KVzip): of each head the linear map of its features that comes nearest to the logarithm of KVzip's score.
struct ImportanceGate {
  std::vector<at::Tensor> weights;  ///< Of each layer, float32 [kvHeads, features].

  /// [b, kvHeads, s]: higher is more important.
  [[nodiscard]] at::Tensor score(const Decoder& decoder, int layer, const LiveLayer& cache) const;
};

/// What a gate sees of each token of a layer's cache, float32 [b, kvHeads, s, features]: the value, the length of each
/// of the key's rotary pairs and its other numbers, the lengths of key and value, and 1. Nothing of it depends on where
/// the token stands.
at::Tensor gateFeatures(const Decoder& decoder, int layer, const LiveLayer& cache);

struct FittedGate {
  ImportanceGate gate;
  /// Correlation of what the gate says and the logarithm of the true score over all tokens, heads and layers of the
  /// windows held out.
  double correlation = 0;
};

/// Ridge regression on KVzip's scores of the windows of `ids`, int64 [windows, window]; `ridge` is added to the
/// features' second moments, as a part of their mean. `heldOut` [windows, window]: what the gate is asked about
/// afterwards. Of windows that are too long to be read again (longestReadAgain) their beginning is used.
Result<FittedGate> fitGate(const Decoder& decoder, const at::Tensor& ids, const at::Tensor& heldOut, double ridge,
                           const Task& task);

/// One safetensors file that names the model by its content hash.
Result<void> saveGate(const std::filesystem::path& file, const ImportanceGate& gate, const std::string& modelHash,
                      const Task& task);
/// Errors: corruptFile for a damaged file or one that is not a gate of `decoder`'s shape; invalidArgument for another
/// model than `modelHash` (empty: any).
Result<ImportanceGate> loadGate(const std::filesystem::path& file, const Decoder& decoder,
                                const std::string& modelHash);

}  // namespace kvista
