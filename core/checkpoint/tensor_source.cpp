// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/tensor_source.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cstring>
#include <span>
#include <utility>

#include "core/model/torch_guard.h"
#include "core/model/weights.h"

namespace kvista {

namespace {

at::ScalarType torchType(DataType type) {
  return type == DataType::bf16 ? at::kBFloat16 : type == DataType::f16 ? at::kHalf : at::kFloat;
}

std::span<const std::byte> bytesOf(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

}  // namespace

TensorToWrite carriedOver(const std::shared_ptr<const TensorStore>& store, const TensorInfo& tensor, std::string name,
                          DataType dtype) {
  if (const auto bytes = store->raw(tensor); !bytes.empty() || tensor.count() == 0)
    return {std::move(name), tensor.shape, tensor.type,
            [store, bytes] { return Result<std::span<const std::byte>>(bytes); }, true};
  const bool isPlain = tensor.type == DataType::f32 || tensor.type == DataType::bf16 || tensor.type == DataType::f16;
  TensorToWrite written = computed(std::move(name), tensor.shape, isPlain ? tensor.type : dtype,
                                   [store, tensor] { return readTensor(*store, tensor); });
  written.isCarriedOver = true;
  return written;
}

TensorToWrite computed(std::string name, std::vector<std::int64_t> shape, DataType dtype,
                       std::function<Result<at::Tensor>()> compute) {
  auto produce = [dtype, shape, what = fmt::format("Computing tensor {}", name), compute = std::move(compute),
                  held = std::make_shared<at::Tensor>()] {
    return guardTorch(what, [&]() -> Result<std::span<const std::byte>> {
      KVISTA_ASSIGN(const at::Tensor value, compute());
      if (value.sizes() != at::IntArrayRef(shape)) return fail(ErrorCode::internal, what + " gave a wrong shape.");
      *held = value.to(torchType(dtype)).cpu().contiguous();
      if (!held->isfinite().all().item<bool>()) {
        return fail(ErrorCode::numerical, fmt::format("{} gave numbers that {} cannot hold.", what, nameOf(dtype)),
                    "Write float32, or bfloat16, which has the same range.");
      }
      return bytesOf(*held);
    });
  };
  return {std::move(name), std::move(shape), dtype, std::move(produce)};
}

std::vector<TensorToWrite> withType(std::vector<TensorToWrite> tensors, DataType type) {
  for (TensorToWrite& tensor : tensors) {
    const bool isPlain = tensor.type == DataType::f32 || tensor.type == DataType::bf16 || tensor.type == DataType::f16;
    if (!tensor.isCarriedOver || !isPlain || tensor.type == type) continue;
    auto read = [shape = tensor.shape, from = torchType(tensor.type),
                 produce = std::move(tensor.produce)]() -> Result<at::Tensor> {
      KVISTA_ASSIGN(const std::span<const std::byte> bytes, produce());
      // Mapped files need not be aligned as torch wants its numbers.
      at::Tensor numbers = at::empty(shape, at::TensorOptions(from));
      if (!bytes.empty()) std::memcpy(numbers.mutable_data_ptr(), bytes.data(), bytes.size());
      return numbers;
    };
    tensor = computed(std::move(tensor.name), std::move(tensor.shape), type, std::move(read));
    tensor.isCarriedOver = true;
  }
  return tensors;
}

Result<at::Tensor> readWeight(const TensorStore& store, const std::string& name) {
  const auto found = store.tensors().find(name);
  if (found == store.tensors().end()) return fail(ErrorCode::corruptFile, fmt::format("Tensor {} is missing.", name));
  return readTensor(store, found->second);
}

ProjectionRows::ProjectionRows(std::shared_ptr<const TensorStore> viewed, const DecoderDescription& description,
                               at::Device device)
    : store_(std::move(viewed)), device_(device) {
  for (const LayerDescription& layer : description.layers)
    names_.emplace_back(layer.attention.key.weight, layer.attention.value.weight);
}

Result<at::Tensor> ProjectionRows::layer(int layer) {
  if (layer != held_) {
    KVISTA_ASSIGN(const at::Tensor keys, readWeight(*store_, names_.at(static_cast<std::size_t>(layer)).first));
    KVISTA_ASSIGN(const at::Tensor values, readWeight(*store_, names_.at(static_cast<std::size_t>(layer)).second));
    rows_ = at::cat({keys.to(device_).to(at::kDouble), values.to(device_).to(at::kDouble)});
    held_ = layer;
  }
  return rows_;
}

at::Tensor columnsOf(const Group& group, const ModelShape& shape) {
  std::vector<std::int64_t> columns;
  for (const Slot& slot : group.slots) {
    const int width = slotWidth(slot, shape);
    const std::int64_t begin = (slot.side == Side::key ? 0 : shape.keyWidth()) + std::int64_t{slot.head} * width;
    for (int i = 0; i < width; ++i) columns.push_back(begin + i);
  }
  return at::tensor(columns, at::kLong);
}

}  // namespace kvista
