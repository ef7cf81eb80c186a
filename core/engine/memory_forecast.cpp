// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/memory_forecast.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/model/device.h"
#include "core/model/layer_stream.h"

namespace kvista {

std::int64_t weightBytes(const Checkpoint& checkpoint, const DecoderDescription& description, c10::Device device,
                         c10::ScalarType dtype, bool streamLayers) {
  if (streamsLayers(description, device, dtype, streamLayers)) return deviceBytes(description, dtype, true);
  const std::int64_t each = dtype == c10::kBFloat16 ? 2 : 4;
  const DataType asItLies = dtype == c10::kBFloat16 ? DataType::bf16 : DataType::f32;
  std::int64_t bytes = 0;
  for (const RequiredTensor& tensor : requiredTensors(description)) {
    std::int64_t count = each;
    for (const std::int64_t length : tensor.shape) count *= length;
    const auto found = checkpoint.tensors->tensors().find(tensor.name);
    const bool mapped =
        device.is_cpu() && found != checkpoint.tensors->tensors().end() && found->second.type == asItLies;
    if (!mapped) bytes += count;
  }
  return bytes;
}

std::int64_t tokensPerPass(std::int64_t window, c10::Device device) {
  return std::max(usualTokensPerStep(device), window);
}

std::int64_t activationBytes(const ModelShape& shape, std::int64_t tokens) {
  return 4 * tokens * shape.hiddenSize * 20;  // One layer's, about twenty times as wide as its input.
}

std::int64_t calibrationBytes(const ModelShape& shape, bool gradients, std::int64_t tokensPerBatch) {
  const std::int64_t width = std::min<std::int64_t>(shape.hiddenSize, shape.cacheWidth());
  const std::int64_t heads = shape.kvHeads;
  // Sums in float64 and, at the end, their copies; Fisher blocks; the papers' scores, one number a weight.
  std::int64_t layer = 16 * width * width;
  if (gradients)
    layer += heads * 16 * (3 * shape.headDim * shape.headDim + 2 * shape.valueHeadDim * shape.valueHeadDim) +
             std::int64_t{8} * shape.cacheWidth() * shape.hiddenSize;
  // Every layer's input is kept for the backward pass.
  const std::int64_t activations =
      activationBytes(shape, tokensPerBatch) + (gradients ? 4 * tokensPerBatch * shape.hiddenSize * shape.layers : 0);
  constexpr std::int64_t kKeptActivations = std::int64_t{1} << 30;
  const std::int64_t kept = std::min<std::int64_t>(gradients ? kKeptActivations : 0, 10 * activations);
  return shape.layers * layer + activations + kept;
}

std::int64_t planBytes(const CompressionPlan& plan, const ModelShape& shape) {
  std::int64_t factors = 0;
  std::int64_t largest = 0;
  for (const Group& group : plan.groups) {
    const auto width = static_cast<std::int64_t>(group.widths.size());
    if (!group.isUncompressed()) factors += 8 * width * group.rank();
    largest = std::max(largest, width);
  }
  // A decomposition holds some square matrices in float64; makeFactors keeps the factors, a transform copies them.
  return 2 * factors + 10 * 8 * largest * largest + std::int64_t{8} * shape.cacheWidth() * shape.cacheWidth() * 4;
}

std::int64_t refiningBytes(const CompressionPlan& plan, const ModelShape& shape, std::int64_t tokensPerStep,
                           c10::Device device) {
  std::int64_t factors = 0;
  for (const Group& group : plan.groups)
    if (!group.isUncompressed()) factors += 2 * 4 * static_cast<std::int64_t>(group.widths.size()) * group.rank();
  // Parameter, gradient, two moments and what a step makes of them; the best so far and those given.
  constexpr std::int64_t kCopies = 7;
  constexpr std::int64_t kKeptActivations = std::int64_t{1} << 30;  // Of layers; those beyond are computed again.
  const std::int64_t layer = activationBytes(shape, tokensPerStep);
  const std::int64_t inputs = 4 * tokensPerStep * shape.hiddenSize * shape.layers;
  const std::int64_t kept = std::min(kKeptActivations, layer * shape.layers);
  // As the head takes them: both models' logits and a gradient, in blocks.
  const std::int64_t rows =
      device.is_cpu() ? 512 : std::max<std::int64_t>(512, (std::int64_t{1} << 28) / std::max(1, shape.vocabulary));
  const std::int64_t logits = 3 * 4 * std::min(rows, tokensPerStep) * shape.vocabulary;
  return kCopies * factors + 2 * layer + inputs + kept + logits;
}

CompressionPlan widestPlan(const ModelShape& shape) {
  CompressionPlan plan;
  plan.groups.emplace_back().widths.assign(static_cast<std::size_t>(shape.cacheWidth()), 16);
  return plan;
}

Result<void> checkCalibrationMemory(const Decoder& decoder, const CalibrationRequest& request) {
  const c10::Device device = decoder.options().device;
  return checkMemory(calibrationBytes(decoder.shape(), request.gradients, tokensPerPass(request.recipe.window, device)),
                     device, fmt::format("Calibration in windows of {} tokens", request.recipe.window));
}

Result<void> checkMemory(std::int64_t bytes, c10::Device device, std::string_view what) {
  const std::optional<std::int64_t> available = availableMemory(device);
  if (!available || bytes <= *available) return {};
  return fail(
      ErrorCode::outOfMemory,
      fmt::format("{} would take about {:.1f} GB; {:.1f} GB are free on {}.", what, static_cast<double>(bytes) / 1e9,
                  static_cast<double>(*available) / 1e9, describeDevice(device)),
      "Close other programs, use a smaller text window, or run the engine on a machine with more memory.");
}

}  // namespace kvista
