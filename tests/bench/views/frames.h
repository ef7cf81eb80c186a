// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>
#include <vector>

namespace kvista::bench {

/// Runs `frame(i)` once an iteration and reports, beside the mean, the frame that 99 of 100 are not slower than and the
/// slowest one, in milliseconds: by the clock, which other programs disturb, and of the processors' time. A frame is
/// what changes and the painting of it.
template <class Frame>
void measureFrames(benchmark::State& state, Frame frame) {
  std::vector<double> wall, processor;
  int i = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto before = std::chrono::steady_clock::now();
    const std::clock_t processorBefore = std::clock();
    frame(i++);
    processor.push_back(1000.0 * static_cast<double>(std::clock() - processorBefore) / CLOCKS_PER_SEC);
    wall.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
  }
  const auto report = [&state](std::vector<double>& milliseconds, const std::string& name) {
    if (milliseconds.empty()) return;
    std::sort(milliseconds.begin(), milliseconds.end());
    state.counters[name + "_p50_ms"] = milliseconds[milliseconds.size() / 2];
    state.counters[name + "_p99_ms"] = milliseconds[std::min(milliseconds.size() - 1, milliseconds.size() * 99 / 100)];
    state.counters[name + "_max_ms"] = milliseconds.back();
  };
  report(wall, "wall");
  report(processor, "cpu");
}

}  // namespace kvista::bench
