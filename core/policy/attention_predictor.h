// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/model/tensor_file.h"

namespace kvista {

/// Foretells from what the last queries looked at what the next ones will look at (Yang et al. 2025,
/// AttentionPredictor): a history of attention is a picture, queries down and keys across, on which two layers of 3 x 3
/// convolutions see what comes back, moves on or fades. One network of 1,504 numbers serves all heads of all layers.
struct AttentionPredictor {
  static constexpr std::int64_t kHistory = 64;  ///< Queries of a history.
  /// Last keys, which the policy keeps in any case: nothing is learnt of them.
  static constexpr std::int64_t kRecent = 32;
  static constexpr std::int64_t kAhead = 32;  ///< Next queries, of whose mean attention the network is a model.

  at::Tensor firstWeight, firstBias;    ///< float32 [8, 1, 3, 3], [8]: every other query goes on.
  at::Tensor secondWeight, secondBias;  ///< [16, 8, 3, 3], [16]: every fourth.
  at::Tensor lastWeight;                ///< [1, 16, kHistory / 4, 1]: from all times together to one number a key.

  /// Untrained: the history's mean is all that it says.
  static AttentionPredictor initial(std::uint64_t seed);
  /// All of it by name: "first.weight", "first.bias", ...
  [[nodiscard]] NamedTensors tensors() const;
  /// What the next queries will give each key up to a factor, as a logarithm: [n, s]. `history` [n, w, s]: what the
  /// last w queries gave; before fewer than kHistory there was none. Differentiable.
  [[nodiscard]] at::Tensor predict(const at::Tensor& history) const;
};

/// Which part of the attention that the next queries give all keys so far goes to a quarter of them, the recent ones
/// included.
struct AttentionRecall {
  double predicted = 0;
  double accumulated = 0;  ///< The keys that got most from all queries so far (H2O).
  double recent = 0;       ///< From the last 32, neighbours counted in (SnapKV).
  double best = 0;         ///< The keys that will get most.
};

struct FittedAttentionPredictor {
  AttentionPredictor predictor;
  AttentionRecall recall;  ///< Over the windows held out.
  double correlation = 0;  ///< Of what it says and the logarithm of what is true, over their keys.
};

/// Trains it on the windows of `ids` and asks it about those of `heldOut`, int64 [windows, window]: histories that end
/// at up to eight places of a window, of up to 16 heads each. 300 steps of AdamW on the cross entropy between what the
/// next queries give older keys and what it foretells. Deterministic for a device. Error: invalidArgument for windows
/// that are too short for a history and what follows it.
Result<FittedAttentionPredictor> fitAttentionPredictor(const Decoder& decoder, const at::Tensor& ids,
                                                       const at::Tensor& heldOut, const Task& task);

/// One safetensors file that names the model by its content hash.
Result<void> saveAttentionPredictor(const std::filesystem::path& file, const AttentionPredictor& predictor,
                                    const std::string& modelHash, const Task& task);
/// Errors: corruptFile for a damaged file or one of something else; invalidArgument for another model than `modelHash`
/// (empty: any).
Result<AttentionPredictor> loadAttentionPredictor(const std::filesystem::path& file, const std::string& modelHash);

}  // namespace kvista
