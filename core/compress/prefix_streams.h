// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"

namespace kvista {

/// Second moments of one layer's outputs y = [k; v] without bias, a token, float64 [2kv, 2kv] on the decoder's device.
struct PrefixMoments {
  at::Tensor compressed;  ///< Mean of y2 y2^T, y2 of the inputs that the compressed layers before it hand on.
  at::Tensor crossed;     ///< Mean of y1 y2^T, y1 of the model as it is.
  at::Tensor sample;      ///< float32 [rows, 2kv]: y2 of tokens drawn beyond the sinks, as many as the statistics have.
  at::Tensor compressedMean = {}, originalMean = {};  ///< Means of y2 and y1, [2kv].
};

/// The calibration text on its way through the layers, twice: through the model as it is, and through layers whose
/// cache is already compressed (methods.md sections 5 and 9). The streams share no memory that is ever written to.
/// Holds the residual stream of every token twice in the decoder's arithmetic: 2 * tokens * hiddenSize numbers in main
/// memory.
class PrefixStreams {
 public:
  /// `ids`: int [windows, window]. Both streams stand before the first layer, where they are alike.
  static Result<PrefixStreams> begin(const Decoder& decoder, const at::Tensor& ids, const Task& task);

  /// Of the layer that the streams stand before; `withoutSinks` leaves the first kSinkTokens of each window out of the
  /// means.
  [[nodiscard]] Result<PrefixMoments> moments(bool withoutSinks, const Task& task) const;
  /// Takes both streams through that layer, the second one through its compressed cache.
  Result<void> advance(const CacheTransform& compressed, const Task& task);

 private:
  explicit PrefixStreams(const Decoder& decoder) : decoder_(&decoder) {}

  const Decoder* decoder_;
  int layer_ = 0;
  std::int64_t sampleRows_ = 0;                    // a window
  std::vector<at::Tensor> original_, compressed_;  // a batch each: [b, n, hiddenSize] on the CPU
};

}  // namespace kvista
