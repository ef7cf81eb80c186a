// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/recording.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>

#include "core/model/operators.h"

namespace kvista {
namespace {

const LayerWeights& weightsOf(const PassContext& pass, int layer) {
  return pass.weights.layers[static_cast<std::size_t>(layer)];
}

/// Numbers of the widest layer that a token leaves behind, roughly: the residual stream twice, both norms' outputs,
/// queries and keys before and after rotation, values, what latent attention makes of them, attention output, and three
/// widths of each MLP that it goes through.
std::int64_t recordedNumbers(const DecoderDescription& description) {
  const ModelShape& shape = description.shape;
  const std::int64_t repeatedHeads = shape.queryHeads == shape.kvHeads ? 0 : shape.queryHeads;
  std::int64_t widest = 0;
  for (const LayerDescription& layer : description.layers) {
    const AttentionDescription& attention = layer.attention;
    const FeedForwardDescription& feedForward = layer.feedForward;
    std::int64_t numbers = 4 * shape.hiddenSize + 2 * attention.query.out + attention.output.in + 2 * shape.keyWidth() +
                           shape.valueWidth();
    numbers +=
        attention.latent ? 2 * attention.latent->expansion.out : repeatedHeads * (shape.headDim + shape.valueHeadDim);
    numbers += 3 * (feedForward.router ? feedForward.router->perToken : 1) * feedForward.experts.front().up.out;
    if (feedForward.shared) numbers += 3 * feedForward.shared->up.out;
    widest = std::max(widest, numbers);
  }
  return widest;
}

}  // namespace

RecordedLayer recordLayer(const PassContext& pass, int layer, const LayerWeights& weights, const at::Tensor& input) {
  const c10::AutoGradMode withGradients(true);
  RecordedLayer recorded;
  recorded.input = input.detach().set_requires_grad(true);
  recorded.activations = runLayer(pass, layer, weights, recorded.input);
  return recorded;
}

Result<at::Tensor> backThrough(const RecordedLayer& recorded, int layer, std::int64_t firstWindow,
                               const at::Tensor& gradient, const LayerVisitor& visitor) {
  const LayerActivations& activations = recorded.activations;
  std::vector<at::Tensor> wanted = {activations.keys, activations.values, activations.rotatedKeys};
  if (layer > 0) wanted.push_back(recorded.input);
  const std::vector<at::Tensor> gradients = torch::autograd::grad({activations.output}, wanted, {gradient});
  if (visitor) {
    LayerRecord record = activations.record(layer);
    record.firstWindow = firstWindow;
    record.gradientKeys = gradients[0];
    record.gradientValues = gradients[1];
    record.gradientRotatedKeys = gradients[2];
    KVISTA_CHECK(visitor(record));
  }
  return layer > 0 ? gradients[3] : at::Tensor();
}

Result<Recording> Recording::begin(const PassContext& pass, const at::Tensor& ids, const ComputeOptions& options,
                                   const Task& task) {
  const int layers = pass.description.shape.layers;
  const std::int64_t bytes =
      recordedNumbers(pass.description) * ids.numel() * static_cast<std::int64_t>(c10::elementSize(options.dtype));
  const auto kept =
      static_cast<int>(std::clamp<std::int64_t>(options.activationBudgetBytes.value_or(0) / bytes, 0, layers));

  Recording recording;
  recording.firstKept_ = layers - kept;
  recording.layers_.resize(static_cast<std::size_t>(layers));
  at::Tensor hidden = embedTokens(pass.description, pass.weights, ids, 0);
  for (int layer = 0; layer < layers; ++layer) {
    KVISTA_CHECK(task.checkStop());
    RecordedLayer& recorded = recording.layers_[static_cast<std::size_t>(layer)];
    if (layer >= recording.firstKept_) {
      recorded = recordLayer(pass, layer, weightsOf(pass, layer), hidden);
      hidden = recorded.activations.output.detach();
    } else {
      recorded.input = hidden;
      hidden = runLayer(pass, layer, weightsOf(pass, layer), hidden).output;
    }
  }
  recording.hidden_ = std::move(hidden);
  return recording;
}

RecordedLayer Recording::take(const PassContext& pass, int layer) {
  RecordedLayer recorded = std::exchange(layers_[static_cast<std::size_t>(layer)], {});
  return layer < firstKept_ ? recordLayer(pass, layer, weightsOf(pass, layer), recorded.input) : recorded;
}

RecordedNorm RecordedNorm::of(const PassContext& pass, const at::Tensor& hidden) {
  const c10::AutoGradMode withGradients(true);
  RecordedNorm norm;
  norm.input = hidden.detach().set_requires_grad(true);
  norm.output = headInput(pass.description, pass.weights, norm.input);
  return norm;
}

at::Tensor RecordedNorm::back(const at::Tensor& gradient) const {
  return torch::autograd::grad({output}, {input}, {gradient}).front();
}

}  // namespace kvista
