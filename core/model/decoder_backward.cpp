// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/embedding.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/model/decoder.h"
#include "core/model/decoder_layer.h"
#include "core/model/head.h"
#include "core/model/torch_guard.h"

namespace kvista {

namespace {

/// One layer computed with gradients enabled: its input as a leaf and everything the graph holds.
struct RecordedLayer {
  at::Tensor input;
  LayerActivations activations;
};

RecordedLayer recordLayer(const PassContext& pass, int layer, const at::Tensor& input) {
  const c10::AutoGradMode withGradients(true);
  RecordedLayer recorded;
  recorded.input = input.detach().set_requires_grad(true);
  recorded.activations = runLayer(pass, layer, recorded.input);
  return recorded;
}

/// What a recorded layer keeps, roughly: the residual stream twice, both norms' outputs, queries and keys before and
/// after rotation, values, attention output, and three widths of the MLP.
std::int64_t recordedBytes(const DecoderDescription& description, std::int64_t tokens, std::int64_t bytesPerNumber) {
  const ModelShape& shape = description.shape;
  const std::int64_t query = std::int64_t{shape.queryHeads} * (2 * shape.headDim + shape.valueHeadDim);
  const std::int64_t repeatedHeads = shape.queryHeads == shape.kvHeads ? 0 : shape.queryHeads;
  const std::int64_t keyValue =
      2 * shape.keyWidth() + shape.valueWidth() + repeatedHeads * (shape.headDim + shape.valueHeadDim);
  const std::int64_t numbers = 4 * shape.hiddenSize + query + keyValue + 3 * description.layers.front().mlp.up.out;
  return numbers * tokens * bytesPerNumber;
}

}  // namespace

Result<double> Decoder::forwardBackward(const at::Tensor& ids, const LayerVisitor& visitor, const Task& task) const {
  return guardTorch("The backward pass", [&]() -> Result<double> {
    KVISTA_CHECK(checkIds(ids, 2));
    const c10::NoGradGuard noGrad;
    const at::Tensor idsOnDevice = ids.to(options_.device);
    const PassContext pass = beginPass(ids.size(1), nullptr);
    const int layers = description_.shape.layers;

    // The last layers are recorded on the way forward, as many as the budget holds; the others are computed again.
    const std::int64_t bytes =
        recordedBytes(description_, ids.numel(), static_cast<std::int64_t>(c10::elementSize(options_.dtype)));
    const auto kept = static_cast<int>(std::clamp<std::int64_t>(options_.activationBudgetBytes / bytes, 0, layers));
    const int firstKept = layers - kept;

    std::vector<RecordedLayer> recorded(layers);  // before firstKept only the inputs
    at::Tensor hidden = at::embedding(weights_.embedding, idsOnDevice);
    for (int layer = 0; layer < layers; ++layer) {
      KVISTA_CHECK(task.checkStop());
      if (layer >= firstKept) {
        recorded[layer] = recordLayer(pass, layer, hidden);
        hidden = recorded[layer].activations.output.detach();
      } else {
        recorded[layer].input = hidden;
        hidden = runLayer(pass, layer, hidden).output;
      }
    }

    at::Tensor normInput = hidden.detach().set_requires_grad(true);
    at::Tensor hiddenLast;
    {
      const c10::AutoGradMode withGradients(true);
      hiddenLast = rmsNorm(normInput, weights_.finalNorm, description_.finalNorm.epsilon);
    }
    KVISTA_ASSIGN(LossGradient loss, nextTokenLossGradient(weights_.head, hiddenLast.detach(), idsOnDevice, task));
    at::Tensor gradient = torch::autograd::grad({hiddenLast}, {normInput}, {loss.gradient}).front();

    for (int layer = layers - 1; layer >= 0; --layer) {
      KVISTA_CHECK(task.checkStop());
      RecordedLayer current = std::move(recorded[layer]);
      recorded[layer] = {};
      if (layer < firstKept) current = recordLayer(pass, layer, current.input);
      const LayerActivations& activations = current.activations;
      std::vector<at::Tensor> wanted = {activations.keys, activations.values, activations.rotatedKeys};
      if (layer > 0) wanted.push_back(current.input);  // nothing below the first layer wants a gradient
      const std::vector<at::Tensor> gradients = torch::autograd::grad({activations.output}, wanted, {gradient});
      if (visitor) {
        LayerRecord record = activations.record(layer);
        record.gradientKeys = gradients[0];
        record.gradientValues = gradients[1];
        record.gradientRotatedKeys = gradients[2];
        KVISTA_CHECK(visitor(record));
      }
      if (layer > 0) gradient = gradients[3];
    }
    return loss.sum;
  });
}

}  // namespace kvista
