// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/layer_accumulator.h"
#include "core/model/decoder.h"

namespace kvista {

/// Takes windows through a model into the sums of its layers, as many at a time as the memory allows: where it runs
/// out, half as many go through together from then on, and what had been summed by then is not summed twice.
class SummingPass {
 public:
  /// `ids`: int64 [windows, tokens]. `layers`: one a layer of the model; must outlive the pass, as must the decoder.
  SummingPass(const Decoder& decoder, const at::Tensor& ids, bool gradients, std::int64_t tokensPerStep,
              std::vector<LayerAccumulator>& layers);
  SummingPass(const SummingPass&) = delete;
  SummingPass& operator=(const SummingPass&) = delete;
  ~SummingPass();

  /// Windows that `add` is best given at a time.
  [[nodiscard]] std::int64_t windowsAtATime() const { return windowsAtATime_; }
  /// Adds windows `first` to `first + count`; answers the sum of their token losses, 0 without gradients. Errors:
  /// outOfMemory where not even one window fits, numerical (layer, window and token named), cancelled.
  Result<double> add(std::int64_t first, std::int64_t count, const Task& task);
  /// Tokens that go through a layer together; fewer than was asked for once memory has run out.
  [[nodiscard]] std::int64_t tokensPerStep() const { return tokensPerStep_; }

 private:
  Result<double> tryToAdd(const Decoder& decoder, std::int64_t first, std::int64_t count, const Task& task);
  Result<void> addRecord(LayerRecord record, std::int64_t first);

  const Decoder& decoder_;
  at::Tensor ids_;
  bool gradients_;
  std::int64_t tokensPerStep_, windowsAtATime_;
  std::vector<LayerAccumulator>& layers_;
  std::vector<std::int64_t> next_;  // of each layer, the first window that its sums do not have
};

}  // namespace kvista
