// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/plan/cost.h"

namespace kvista {

/// Attention of one layer while decoding, on caches of random numbers.
struct DecodeRequest {
  struct Case {
    std::int64_t batch = 1, context = 1;
  };
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< Kernels want kBFloat16 or kHalf.
  int heads = 32;                     ///< Of keys and values.
  int queriesPerHead = 1;
  int width = 128;
  double kept = 0.3;  ///< Of the numbers, for latents whose keys are rebuilt.
  std::vector<Case> cases;
};

/// One layout of latents at one batch and context.
struct DecodeRow {
  std::string name;  ///< "groups of 4", "coded-head, 4 bits"
  int headsPerGroup = 1;
  bool rebuildsKeys = false;                ///< Keys before RoPE.
  std::int64_t keyRank = 0, valueRank = 0;  ///< Of a group.
  std::int64_t bytes = 0;                   ///< That attention reads of the cache.
  double seconds = 0;
  bool byKernel = false;
  std::string reason;  ///< Why libtorch's operators ran; empty if a kernel did.
  double error = 0;    ///< Relative, against libtorch's operators on the first sequence's first tokens.
};
struct DecodeCase {
  std::int64_t batch = 1, context = 1;
  std::int64_t fullBytes = 0;
  double fullSeconds = 0;  ///< at::scaled_dot_product_attention on the uncompressed cache.
  std::vector<DecodeRow> rows;
};
struct DecodeLatency {
  std::string device;             ///< The GPU's or the processor's name.
  double copyBytesPerSecond = 0;  ///< Read and written.
  double matrixFlopsPerSecond = 0;
  std::vector<DecodeCase> cases;
};

/// The constants of the cost model (core/plan/cost.h) that come nearest to what was measured: reading and the fixed
/// cost of a call from attention to the full cache, least squares of the relative errors; arithmetic from the rebuilt
/// layout that reaches most of it. Errors (invalidArgument): fewer than two sizes, or no kernel that rebuilds keys.
Result<DeviceProfile> fittedProfile(const DecodeRequest& request, const DecodeLatency& latency);

/// Times everything in one run: medians, other data in the caches before each (DeviceTimer). Errors: invalidArgument,
/// what does not fit into memory, cancelled.
Result<DecodeLatency> measureDecode(const DecodeRequest& request, const Task& task);

}  // namespace kvista
