// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "core/calibration/statistics.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"
#include "core/model/description.h"
#include "core/model/tensor_file.h"

namespace kvista {

/// Running sums of one layer on the compute device: products in float32 over one batch, sums in float64.
class LayerAccumulator {
 public:
  LayerAccumulator(const ModelShape& shape, bool ofInput, bool gradients, std::int64_t sampleRowsPerWindow,
                   at::Device device);

  /// `firstWindow`: index of the batch's first window in the whole pass; it decides which tokens are sampled, so that
  /// batches of any size sample the same tokens. `attention`: the layer's. `keyBias`, `valueBias` may be undefined.
  /// Throws what libtorch throws where there is no memory; nothing has been added then.
  void add(const LayerRecord& record, const at::Tensor& keyBias, const at::Tensor& valueBias,
           const AttentionDescription& attention, std::int64_t firstWindow);

  /// The sums of all members of group of `processes`, each of which has added windows of its own, those of lower ranks
  /// before those of higher ones. Equal to what one process would have that added all. This one stays as it is.
  [[nodiscard]] Result<LayerAccumulator> together(const ProcessGroup& processes, const Task& task) const;

  /// The sums so far as CPU tensors. `windows`: how many went in.
  [[nodiscard]] LayerStatistics finish(std::int64_t windows) const;

  /// Bytes of the sums, which are nearly all of what `appendState` appends.
  [[nodiscard]] std::int64_t sumBytes() const;
  /// Appends everything `finish` depends on, so that a pass that is cut off can be taken up again.
  void appendState(const std::string& prefix, NamedTensors& tensors) const;
  /// Takes up what appendState wrote; on an error nothing has changed.
  Result<void> restoreState(const std::string& prefix, const TensorFile& file);

 private:
  /// Sums, and what is to be added to each.
  using Terms = std::vector<std::pair<at::Tensor*, at::Tensor>>;
  void appendGradients(const LayerRecord& record, Terms& terms);
  void appendQueries(const LayerRecord& record, const AttentionDescription& attention, std::int64_t firstWindow,
                     Terms& terms);
  /// The sums by name; those of gradients only where there are any.
  std::vector<std::pair<const char*, at::Tensor*>> sums();

  ModelShape shape_;
  bool ofInput_;
  std::int64_t sampleRowsPerWindow_;
  // All in float64.
  at::Tensor secondMoment_, sum_, sinkSum_;
  at::Tensor rotatedKeySum_, rotatedQueries_, attentionMaps_;
  at::Tensor rotatedKeys_, fisherKeys_, fisherValues_, fisherRotatedKeys_, sinkFisherKeys_, sinkFisherValues_;
  at::Tensor keyGradientSquares_, valueGradientSquares_;  // [kv, D]: squares of the weight gradients of each window
  std::vector<at::Tensor> sinkRows_, sample_, samplePositions_;
};

}  // namespace kvista
