// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Passes that take all their windows through one layer before the next, so that each layer's weights are read once.
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "core/model/decoder.h"
#include "core/model/decoder_layer.h"
#include "core/model/device.h"
#include "core/model/head.h"
#include "core/model/layer_stream.h"
#include "core/model/recording.h"

namespace kvista {
namespace {

/// Numbers of all windows, [b, n, hiddenSize] each, that wait while others are at work.
class WaitingRoom {
 public:
  WaitingRoom(const at::Tensor& ids, std::int64_t width, const ComputeOptions& options, std::int64_t tensors)
      : sizes_{ids.size(0), ids.size(1), width}, device_(options.device) {
    const std::int64_t bytes =
        ids.numel() * width * static_cast<std::int64_t>(c10::elementSize(options.dtype)) * tensors;
    const bool inMainMemory = !device_.is_cpu() && bytes > options.activationBudgetBytes.value_or(0);
    layout_ = at::TensorOptions(options.dtype).device(inMainMemory ? at::kCPU : device_).pinned_memory(inMainMemory);
  }
  [[nodiscard]] at::Tensor make() const { return at::empty(sizes_, layout_); }
  /// Copies are queued in order with what is computed.
  static void put(const at::Tensor& numbers, const at::Tensor& place) { place.copy_(numbers, /*non_blocking=*/true); }
  [[nodiscard]] at::Tensor get(const at::Tensor& place) const {
    return place.to(device_, place.scalar_type(), /*non_blocking=*/true);
  }

 private:
  std::vector<std::int64_t> sizes_;
  at::Device device_;
  at::TensorOptions layout_;
};

void reportLayer(const Task& task, std::size_t done, std::size_t total) {
  task.progress("layers", done, total, "layers");
}

}  // namespace

std::int64_t Decoder::tokensPerStep() const {
  return options_.tokensPerStep > 0 ? options_.tokensPerStep : usualTokensPerStep(options_.device);
}

Decoder Decoder::withTokensPerStep(std::int64_t tokens) const {
  Decoder other = *this;
  if (tokens > 0 && tokens < tokensPerStep() &&
      other.options_.activationBudgetBytes)  // what is kept shrinks with the step
    *other.options_.activationBudgetBytes = *other.options_.activationBudgetBytes / tokensPerStep() * tokens;
  other.options_.tokensPerStep = tokens;
  return other;
}

std::int64_t Decoder::windowsPerPass(std::int64_t window, bool backward) const {
  const std::int64_t perStep = std::max<std::int64_t>(1, tokensPerStep() / window);
  if (!options_.streamLayers) return perStep;
  const std::int64_t handedOn = backward ? shape().layers + 1 : 1;  // the layers' inputs and the last one's output
  // Pinned memory comes in powers of two.
  const std::uint64_t room =
      std::bit_floor(static_cast<std::uint64_t>(availableMemory(at::kCPU).value_or(0) / 2 / handedOn));
  const std::int64_t each = window * shape().hiddenSize * static_cast<std::int64_t>(c10::elementSize(options_.dtype));
  return std::max(perStep,
                  static_cast<std::int64_t>(room) / each / perStep * perStep);  // steps are cut the same however many
}

std::vector<Decoder::Step> Decoder::stepsOf(const at::Tensor& ids) const {
  const std::int64_t perStep = std::max<std::int64_t>(1, tokensPerStep() / ids.size(1));
  std::vector<Step> steps;
  for (std::int64_t first = 0; first < ids.size(0); first += perStep)
    steps.push_back({first, std::min(perStep, ids.size(0) - first)});
  return steps;
}

Result<LayerWeights> Decoder::layerOnDevice(int layer) const {
  if (!options_.streamLayers) return weights_.layers[static_cast<std::size_t>(layer)];
  return LayerStream(description_, weights_, options_.device, options_.dtype, {layer}).next();
}

Result<at::Tensor> Decoder::runLayersStreamed(const at::Tensor& ids, const CacheTransform* transform,
                                              const LayerVisitor& visitor, const Task& task) const {
  const int layers = shape().layers;
  const std::vector<Step> steps = stepsOf(ids);
  LayerStream stream(description_, weights_, options_.device, options_.dtype, LayerStream::upwards(layers));
  const PassContext pass = beginPass(ids.size(1), transform);
  const WaitingRoom room(ids, shape().hiddenSize, options_, 1);
  const at::Tensor hidden = room.make();
  for (const Step& step : steps) room.put(embedTokens(description_, weights_, step.of(ids), 0), step.of(hidden));
  for (int layer = 0; layer < layers; ++layer) {
    reportLayer(task, static_cast<std::size_t>(layer), static_cast<std::size_t>(layers));
    KVISTA_ASSIGN(const LayerWeights weights, stream.next());
    for (const Step& step : steps) {
      KVISTA_CHECK(task.checkStop());
      const LayerActivations activations = runLayer(pass, layer, weights, room.get(step.of(hidden)));
      room.put(activations.output, step.of(hidden));
      if (!visitor) continue;
      LayerRecord record = activations.record(layer);
      record.firstWindow = step.first;
      KVISTA_CHECK(visitor(record));
    }
  }
  const std::int64_t width = description_.head.linear.in;
  const at::Tensor result = width == shape().hiddenSize ? hidden : WaitingRoom(ids, width, options_, 1).make();
  for (const Step& step : steps)
    room.put(headInput(description_, weights_, room.get(step.of(hidden))), step.of(result));
  // Main memory may be looked at without asking the device whether its copies are done.
  if (result.device() != options_.device)
    c10::impl::VirtualGuardImpl(options_.device.type()).getStream(options_.device).synchronize();
  return result;
}

Result<double> Decoder::forwardBackwardStreamed(const at::Tensor& ids, const LayerVisitor& visitor,
                                                const Task& task) const {
  const int layers = shape().layers;
  const std::vector<Step> steps = stepsOf(ids);
  std::vector<int> order = LayerStream::upwards(layers);
  for (int layer = layers - 2; layer >= 0; --layer) order.push_back(layer);  // the last layer is there already
  LayerStream stream(description_, weights_, options_.device, options_.dtype, order);
  const PassContext pass = beginPass(ids.size(1), nullptr);
  const WaitingRoom room(ids, shape().hiddenSize, options_, 1), largeRoom(ids, shape().hiddenSize, options_, layers);

  const at::Tensor hidden = room.make();
  std::vector<at::Tensor> inputs;  // of each layer
  for (const Step& step : steps) room.put(embedTokens(description_, weights_, step.of(ids), 0), step.of(hidden));
  LayerWeights weights;
  for (int layer = 0; layer < layers; ++layer) {
    reportLayer(task, static_cast<std::size_t>(layer), order.size());
    KVISTA_ASSIGN(weights, stream.next());
    inputs.push_back(largeRoom.make());
    for (const Step& step : steps) {
      KVISTA_CHECK(task.checkStop());
      const at::Tensor input = room.get(step.of(hidden));
      largeRoom.put(input, step.of(inputs.back()));
      room.put(runLayer(pass, layer, weights, input).output, step.of(hidden));
    }
  }

  double sum = 0;
  const at::Tensor& gradients = hidden;  // each step's place is free once its norm has been recorded
  for (const Step& step : steps) {
    const RecordedNorm norm = RecordedNorm::of(pass, room.get(step.of(hidden)));
    KVISTA_ASSIGN(const LossGradient loss, nextTokenLossGradient(head(), norm.output.detach(), step.of(ids), task));
    room.put(norm.back(loss.gradient), step.of(gradients));
    sum += loss.sum;
  }

  for (int layer = layers - 1; layer >= 0; --layer) {
    reportLayer(task, order.size() - static_cast<std::size_t>(layer), order.size());
    if (layer < layers - 1) {
      KVISTA_ASSIGN(weights, stream.next());
    }
    for (const Step& step : steps) {
      KVISTA_CHECK(task.checkStop());
      const RecordedLayer recorded = recordLayer(pass, layer, weights, largeRoom.get(step.of(inputs.back())));
      KVISTA_ASSIGN(const at::Tensor below,
                    backThrough(recorded, layer, step.first, room.get(step.of(gradients)), visitor));
      if (below.defined()) room.put(below, step.of(gradients));
    }
    inputs.pop_back();
  }
  return sum;
}

}  // namespace kvista
