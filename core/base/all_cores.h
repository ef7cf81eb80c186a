// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace kvista {

/// Calls `part(begin, end)` for shares of [0, count), begun at multiples of `block`, from as many threads as there are
/// cores and as find `worthAThread` each; answers when all are done. `part` throws nothing.
template <class Part>
void onAllCores(std::uint64_t count, std::uint64_t worthAThread, std::uint64_t block, const Part& part) {
  const std::uint64_t most = std::max(1U, std::thread::hardware_concurrency());
  const std::uint64_t threads = std::clamp<std::uint64_t>(count / worthAThread, 1, most);
  const std::uint64_t share = (count / threads + block - 1) / block * block;
  if (count <= share) return part(0, count);
  std::vector<std::jthread> workers;
  std::uint64_t begin = share;
  try {
    for (; begin < count; begin += share) workers.emplace_back(part, begin, std::min(count, begin + share));
  } catch (const std::system_error&) {  // No more threads are to be had: the rest is done here.
    part(begin, count);
  }
  part(0, share);
}

}  // namespace kvista
