// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/parallel.h"

#include <ATen/TensorIterator.h>
#include <ATen/ops/empty.h>

namespace kvista {

void parallelFor(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body) {
  at::Tensor places = at::empty({count}, at::TensorOptions(at::kByte));  // an iterator's loop over them is parallel
  const auto* first = static_cast<const char*>(places.const_data_ptr());
  auto iterator = at::TensorIterator::nullary_op(places);
  const auto part = [&](char** data, const std::int64_t*, std::int64_t size, std::int64_t) {  // one axis: one row of it
    const std::int64_t begin = data[0] - first;
    body(begin, begin + size);
  };
  iterator.for_each(part, grain);
}

}  // namespace kvista
