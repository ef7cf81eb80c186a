// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/io/tensor_store.h"

namespace kvista {

/// Some rows of a tensor under a name of their own, as families need them that store several projections as one matrix:
/// `blocks` times `block` rows, beginning at row `first`, `stride` rows from one block to the next. Those of a stack of
/// matrices count through all of them; a view shows some of one.
struct TensorView {
  std::string of = {};  ///< Name of the stored tensor: a matrix, a vector or a stack of matrices.
  /// The tensor is stored as [in, out], or [matrices, in, out]; rows are those of its transpose.
  bool isTransposed = false;
  bool isVector = false;  ///< Rows are single numbers, all of the tensor's, one after the other.
  std::int64_t first = 0, block = 0, stride = 0, blocks = 1;
  /// Of the stored tensor, where it has more rows than views show, or is a stack.
  std::vector<std::int64_t> shape = {};
  /// Instead of all these: names of stored vectors, the rows of the matrix that the view is.
  std::vector<std::string> vectors = {};

  bool operator==(const TensorView&) const = default;
};

/// `store` and besides its tensors the views. Errors: corruptFile where a view's tensor is missing, is no matrix or
/// vector, or has too few rows; invalidArgument where a view has the name of a tensor.
Result<std::shared_ptr<const TensorStore>> withViews(std::shared_ptr<const TensorStore> store,
                                                     const std::map<std::string, TensorView>& views);

}  // namespace kvista
