// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/layer_stream.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <numeric>
#include <system_error>
#include <utility>

#include "core/model/device.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

constexpr std::int64_t kAlignment = 64;

std::int64_t paddedBytes(std::int64_t numbers, at::ScalarType dtype) {
  const std::int64_t bytes = numbers * static_cast<std::int64_t>(c10::elementSize(dtype));
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

at::Tensor viewOf(const at::Tensor& buffer, std::int64_t offset, const at::Tensor& like, at::ScalarType dtype) {
  return buffer.narrow(0, offset, like.numel() * static_cast<std::int64_t>(c10::elementSize(dtype)))
      .view(dtype)
      .view(like.sizes());
}

c10::Stream currentStream(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

/// Of a layer's matrices, as a buffer holds them.
std::int64_t streamedBytes(const LayerDescription& layer, at::ScalarType dtype) {
  std::int64_t bytes = 0;
  for (const LinearDescription* matrix : matricesOf(layer)) bytes += paddedBytes(matrix->in * matrix->out, dtype);
  return bytes;
}

}  // namespace

std::int64_t deviceBytes(const DecoderDescription& description, at::ScalarType dtype, bool streamed) {
  std::int64_t bytes = 0, largest = 0;
  for (const RequiredTensor& tensor : requiredTensors(description)) {
    std::int64_t numbers = 1;
    for (const std::int64_t length : tensor.shape) numbers *= length;
    bytes += numbers * static_cast<std::int64_t>(c10::elementSize(dtype));
  }
  if (!streamed) return bytes;
  for (const LayerDescription& layer : description.layers) {
    for (const LinearDescription* matrix : matricesOf(layer))
      bytes -= matrix->in * matrix->out * static_cast<std::int64_t>(c10::elementSize(dtype));
    largest = std::max(largest, streamedBytes(layer, dtype));
  }
  return bytes + 2 * largest;
}

bool streamsLayers(const DecoderDescription& description, at::Device device, at::ScalarType dtype, bool wasAskedFor) {
  if (wasAskedFor || device.is_cpu()) return wasAskedFor;
  const std::optional<std::int64_t> free = availableMemory(device);
  return free && deviceBytes(description, dtype, false) > *free / 8 * 7;  // The rest is for what a pass computes.
}

std::vector<int> LayerStream::upwards(int layers) {
  std::vector<int> order(static_cast<std::size_t>(layers));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

LayerStream::LayerStream(const DecoderDescription& description, const DecoderWeights& weights, at::Device device,
                         at::ScalarType dtype, std::vector<int> order)
    : description_(description), weights_(weights), device_(device), dtype_(dtype), order_(std::move(order)) {
  std::int64_t bytes = 0;
  for (const int layer : order_)
    bytes = std::max(bytes, streamedBytes(description_.layers[static_cast<std::size_t>(layer)], dtype_));
  if (!device_.is_cpu()) copying_ = c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_);
  const auto plain = at::TensorOptions(at::kByte);
  for (std::size_t i = 0; i < std::min(slots_.size(), order_.size()); ++i) {
    Slot& slot = slots_[i];
    slot.host = at::empty({bytes}, plain.pinned_memory(copying_.has_value()));
    slot.device = copying_ ? at::empty({bytes}, plain.device(device_)) : slot.host;
    if (!copying_) continue;
    slot.copied.emplace(device_.type());
    // What used this memory before may still be at work.
    slot.computed.emplace(device_.type());
    slot.computed->record(currentStream(device_));
  }
  if (!order_.empty()) beginToFetch(0);
}

LayerStream::~LayerStream() {
  if (fetched_.valid()) fetched_.wait();
  if (!copying_) return;
  try {
    copying_->synchronize();         // The buffers go back to allocators that know nothing of this stream.
  } catch (const std::exception&) {  // A device that is lost has been reported by whatever computed on it.
  }
}

std::int64_t LayerStream::bufferBytes() const {
  std::int64_t bytes = 0;
  for (const Slot& slot : slots_)
    if (slot.host.defined()) bytes += slot.host.numel() + (copying_ ? slot.device.numel() : 0);
  return bytes;
}

void LayerStream::beginToFetch(std::size_t position) {
  try {
    fetched_ = std::async(std::launch::async, [this, position] { return fetch(position); });
  } catch (const std::system_error&) {  // No thread is to be had: it is read when it is asked for.
    fetched_ = std::async(std::launch::deferred, [this, position] { return fetch(position); });
  }
}

Result<void> LayerStream::fetch(std::size_t position) {
  return guardTorch("Reading a layer's weights", [&]() -> Result<void> {
    const c10::NoGradGuard noGrad;
    const c10::DeviceGuard onDevice(device_);
    Slot& slot = slots_[position % slots_.size()];
    if (copying_) slot.copied->synchronize();  // The buffer's last layer may still be on its way.
    slot.matrices.clear();
    const int layer = order_[position];
    std::int64_t offset = 0;
    for (const LinearDescription* described : matricesOf(description_.layers[static_cast<std::size_t>(layer)])) {
      KVISTA_ASSIGN(const at::Tensor matrix, readMatrix(weights_, layer, described->weight));
      viewOf(slot.host, offset, matrix, dtype_).copy_(matrix);
      slot.matrices.push_back(viewOf(slot.device, offset, matrix, dtype_));
      offset += paddedBytes(matrix.numel(), dtype_);
    }
    weights_.layersKnown->at(static_cast<std::size_t>(layer)) = true;
    if (!copying_) return {};
    slot.computed->block(*copying_);  // What computes with the device's buffer comes first.
    const c10::StreamGuard onCopyingStream(*copying_);
    slot.device.narrow(0, 0, offset).copy_(slot.host.narrow(0, 0, offset), /*non_blocking=*/true);
    slot.copied->record(*copying_);
    return {};
  });
}

Result<LayerWeights> LayerStream::next() {
  KVISTA_CHECK(fetched_.get());
  const std::size_t position = position_++;
  Slot& slot = slots_[position % slots_.size()];
  if (copying_) slot.copied->block(currentStream(device_));
  if (position + 1 < order_.size()) {
    if (copying_) slots_[(position + 1) % slots_.size()].computed->record(currentStream(device_));
    beginToFetch(position + 1);
  }
  const auto number = static_cast<std::size_t>(order_[position]);
  LayerWeights layer = weights_.layers[number];
  const std::vector<LinearWeights*> matrices = matricesOf(description_.layers[number], layer);
  for (std::size_t i = 0; i < matrices.size(); ++i) matrices[i]->weight = slot.matrices[i];
  return layer;
}

Result<void> loadLayers(const DecoderDescription& description, DecoderWeights& weights, at::Device device,
                        at::ScalarType dtype, const Task& task) {
  return guardTorch("Loading the weights", [&]() -> Result<void> {
    const std::size_t layers = weights.layers.size();
    LayerStream stream(description, weights, device, dtype, LayerStream::upwards(static_cast<int>(layers)));
    for (std::size_t layer = 0; layer < layers; ++layer) {
      KVISTA_CHECK(task.checkStop());
      task.progress("load", layer, layers, "layers");
      KVISTA_ASSIGN(LayerWeights loaded, stream.next());
      for (LinearWeights* matrix : matricesOf(description.layers[layer], loaded))
        matrix->weight = matrix->weight.clone();
      weights.layers[layer] = std::move(loaded);
    }
    return {};
  });
}

}  // namespace kvista
