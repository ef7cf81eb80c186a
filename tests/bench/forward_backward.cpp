// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// One forward and backward pass over 4 windows of 1024 tokens. KVISTA_BENCH_MODEL names the checkpoint;
// forward_backward.py times PyTorch on the same tokens.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "core/io/checkpoint.h"
#include "core/model/decoder.h"

namespace {

void forwardBackward(benchmark::State& state) {
  const char* path = std::getenv("KVISTA_BENCH_MODEL");
  if (path == nullptr) return state.SkipWithError("KVISTA_BENCH_MODEL is not set");
  const auto checkpoint = kvista::openCheckpoint(path);
  if (!checkpoint) return state.SkipWithError(checkpoint.error().message.c_str());
  kvista::ComputeOptions options;
  options.activationBudgetBytes = state.range(0) << 20;
  const auto decoder = kvista::Decoder::load(*checkpoint, options, {});
  if (!decoder) return state.SkipWithError(decoder.error().message.c_str());

  constexpr std::int64_t kWindows = 4;
  constexpr std::int64_t kTokens = 1024;
  const at::Tensor places = at::arange(kWindows * kTokens);
  const at::Tensor ids =
      (places * 7919 + places.div(13, "floor")).remainder((*decoder)->shape().vocabulary).view({kWindows, kTokens});
  // The first pass also sets up the libraries and the memory, here as in PyTorch.
  if (const auto first = (*decoder)->forwardBackward(ids, {}, {}); !first)
    return state.SkipWithError(first.error().message.c_str());
  for (auto unused : state) {
    const auto loss = (*decoder)->forwardBackward(ids, {}, {});
    if (!loss) return state.SkipWithError(loss.error().message.c_str());
    state.counters["loss"] = *loss;
  }
}
// Megabytes that may be kept instead of computed twice: everything, nothing.
BENCHMARK(forwardBackward)
    ->ArgName("budgetMiB")
    ->Arg(1024)
    ->Arg(0)
    ->Unit(benchmark::kSecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

}  // namespace
