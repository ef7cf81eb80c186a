// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/model/decoder_layer.h"

namespace kvista {

/// One layer computed with gradients enabled: its input as a leaf and everything the graph holds.
struct RecordedLayer {
  at::Tensor input;
  LayerActivations activations;
};

RecordedLayer recordLayer(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input);

/// Takes the gradient at a recorded layer's output to its input (undefined for the first layer, below which nothing
/// wants one) and shows the layer to `visitor` with its gradients; `firstWindow` as in LayerRecord.
Result<at::Tensor> backThrough(const RecordedLayer& recorded, int layer, std::int64_t firstWindow,
                               const at::Tensor& gradient, const LayerVisitor& visitor);

/// A forward pass that can be gone through backwards. The last layers are recorded as they are computed, as many as a
/// budget holds; of the others the inputs are kept, and they are computed again when their turn comes.
class Recording {
 public:
  /// `ids` on the device of the weights. A transform's own leaves that want gradients are part of the layers' graphs.
  static Result<Recording> begin(const PassContext& pass, const at::Tensor& ids, const ComputeOptions& options,
                                 const Task& task);

  /// What the last layer answered, [b, n, hiddenSize], without a graph.
  [[nodiscard]] const at::Tensor& hidden() const { return hidden_; }
  /// Layers are taken in falling order, each once.
  RecordedLayer take(const PassContext& pass, int layer);

 private:
  std::vector<RecordedLayer> layers_;  // before firstKept_ only the inputs
  int firstKept_ = 0;
  at::Tensor hidden_;
};

/// The final norm with a graph, so that a gradient at the head's input becomes one at the last layer's output.
struct RecordedNorm {
  at::Tensor input, output;
  static RecordedNorm of(const PassContext& pass, const at::Tensor& hidden);
  /// d loss / d input from d loss / d output.
  [[nodiscard]] at::Tensor back(const at::Tensor& gradient) const;
};

}  // namespace kvista
