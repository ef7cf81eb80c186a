// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/io/safetensors_writer.h"
#include "core/model/description.h"
#include "core/plan/plan.h"
#include "core/plan/shape.h"

namespace kvista {

/// A tensor of the checkpoint under another (or the same) name: byte for byte where the file holds plain numbers in
/// order; numbers that must be put in order keep their type; quantised ones become `dtype`.
TensorToWrite carriedOver(const std::shared_ptr<const TensorStore>& store, const TensorInfo& tensor, std::string name,
                          DataType dtype);

/// A tensor that `compute` answers (float32 or float64, on any device), written as `dtype`.
TensorToWrite computed(std::string name, std::vector<std::int64_t> shape, DataType dtype,
                       std::function<Result<at::Tensor>()> compute);

/// Those of f32, bf16 or f16 that are carried over, as `type`; all others as they are.
std::vector<TensorToWrite> withType(std::vector<TensorToWrite> tensors, DataType type);

/// The weight [out, in] under `name`, by readTensor. Errors: corruptFile (there is none).
Result<at::Tensor> readWeight(const TensorStore& store, const std::string& name);

/// Rows of one layer's [key projection; value projection], float64 on `device`; the last layer asked for stays in
/// memory, so that its groups do not read it again and again.
class ProjectionRows {
 public:
  /// `viewed`: a store in which the description's views can be read.
  ProjectionRows(std::shared_ptr<const TensorStore> viewed, const DecoderDescription& description, at::Device device);
  Result<at::Tensor> layer(int layer);  ///< [key width + value width, hidden size].

 private:
  std::shared_ptr<const TensorStore> store_;
  at::Device device_;
  std::vector<std::pair<std::string, std::string>> names_;  // key and value weight of each layer
  int held_ = -1;
  at::Tensor rows_;
};

/// Where a group's outputs lie in its layer's [keys; values], int64 [n].
at::Tensor columnsOf(const Group& group, const ModelShape& shape);

}  // namespace kvista
