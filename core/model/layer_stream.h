// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <array>
#include <cstdint>
#include <future>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/description.h"
#include "core/model/weights.h"

namespace kvista {

/// Takes the matrices of a decoder's layers to the compute device one layer after the other, in an order known
/// beforehand: while one layer computes, the next is read from the file into a pinned buffer and copied on a stream of
/// its own. There are two buffers on either side, so that memory holds two layers however many there are. On the CPU
/// both sides are one.
class LayerStream {
 public:
  /// `weights`: of Decoder with streamed layers, which must outlive the stream, as must `description`. Begins to read
  /// the first layer of `order`. Throws what libtorch throws where there is no memory for the buffers.
  LayerStream(const DecoderDescription& description, const DecoderWeights& weights, at::Device device,
              at::ScalarType dtype, std::vector<int> order);
  /// The order 0, 1, ... of a forward pass.
  static std::vector<int> upwards(int layers);
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;
  ~LayerStream();

  /// Weights of the next layer of the order, until the next call. What computes with them must have been queued on the
  /// current stream of the device by then. Errors: numerical (NaN or infinity, naming tensor and index), outOfMemory.
  Result<LayerWeights> next();

  /// Of all buffers, on both sides.
  [[nodiscard]] std::int64_t bufferBytes() const;

 private:
  struct Slot {
    at::Tensor host, device;  // bytes; the same on the CPU
    std::vector<at::Tensor> matrices;
    std::optional<c10::Event> copied, computed;
  };
  Result<void> fetch(std::size_t position);
  void beginToFetch(std::size_t position);

  const DecoderDescription& description_;
  const DecoderWeights& weights_;
  at::Device device_;
  at::ScalarType dtype_;
  std::vector<int> order_;
  std::size_t position_ = 0;
  std::optional<c10::Stream> copying_;
  std::array<Slot, 2> slots_;
  std::future<Result<void>> fetched_;
};

/// The matrices of all layers into `weights`, which were loaded as for streamed layers: through a stream's pinned
/// buffers a GPU has them several times as fast as from mapped files. Errors: as LayerStream::next, cancelled.
Result<void> loadLayers(const DecoderDescription& description, DecoderWeights& weights, at::Device device,
                        at::ScalarType dtype, const Task& task);

/// Bytes that weights take on a device: all of them, or with `streamed` layers a LayerStream's buffers and the rest.
std::int64_t deviceBytes(const DecoderDescription& description, at::ScalarType dtype, bool streamed);

/// Whether a decoder's layers are streamed: because that was asked for, or because a GPU has no room for all of them.
bool streamsLayers(const DecoderDescription& description, at::Device device, at::ScalarType dtype, bool wasAskedFor);

}  // namespace kvista
