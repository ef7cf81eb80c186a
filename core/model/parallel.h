// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

namespace kvista {

/// Calls body(begin, end) on libtorch's threads for parts of [0, count), each of at least `grain` but for the last.
/// What it throws is thrown here. at::parallel_for is a template that is parallel only where OpenMP is compiled in,
/// which is inside libtorch.
void parallelFor(std::int64_t count, std::int64_t grain,
                 const std::function<void(std::int64_t begin, std::int64_t end)>& body);

}  // namespace kvista
