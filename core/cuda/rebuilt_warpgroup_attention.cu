// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/combine_segments.cuh"
#include "core/cuda/latent_attention_kernels.h"
#include "core/cuda/rebuilt_warpgroups.cuh"

namespace kvista {
namespace {

using namespace rebuilt_warpgroups;

template <class Number, int kGroups, int kWidth>
const char* launch(const RebuiltAttentionRun& run) {
  const auto kernel = warpgroupKernel<Number, kGroups, kWidth>;
  const int bytes = largestLayout(run).bytes;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const int segments = (run.tokens + run.segment - 1) / run.segment;
  constexpr bool kIsFloat16 = std::is_same_v<Number, __half>;
  PanelSource keys{}, values{};
  error = describeSource(keys, kIsFloat16, run.keys, run.keyElements, run.tokens, run.batch, run.keyTokenStride * 2,
                         run.keyBatchStride * 2, kTile);
  if (error == cudaSuccess)
    error = describeSource(values, kIsFloat16, run.values, run.valueElements, run.tokens, run.batch,
                           run.valueTokenStride * 2, run.valueBatchStride * 2, kTile);
  if (error != cudaSuccess) return "the copy engine cannot read these records";
  error =
      tensor_core::launchKernel(kernel, dim3(run.queryHeads / kHeads, segments, run.batch),
                                dim3(warpgroupsOf(kGroups) * 128), bytes, run, keys, values, run.keys == run.values);
  if (error == cudaSuccess) error = launchCombine<Number>(run, segments, 1, run.maximumValueRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <class Number, int kGroups>
const char* launch(const RebuiltAttentionRun& run) {
  return run.width == 128 ? launch<Number, kGroups, 128>(run) : launch<Number, kGroups, 64>(run);
}

template <class Number>
const char* launch(const RebuiltAttentionRun& run) {
  return groupsOfBlock(run) == 1 ? launch<Number, 1>(run) : launch<Number, 2>(run);
}

}  // namespace

int blocksByWarpgroups(const RebuiltAttentionRun& sizes, int device) {
  const int groups = groupsOfBlock(sizes);
  if (groups == 0 || sizes.maximumKeyWords > 0 || (sizes.width != 64 && sizes.width != 128) ||
      groups * panelsOf(sizes.maximumKeyRank) > kMaximumPanels ||
      groups * panelsOf(sizes.maximumValueRank) > kMaximumPanels)
    return 0;
  int memory = 0;
  cudaFuncAttributes attributes{};
  // Where the kernel was not compiled for 9.0a it is empty, and has no memory of its own.
  const bool fits = cudaSetDevice(device) == cudaSuccess &&
                    cudaDeviceGetAttribute(&memory, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess &&
                    cudaFuncGetAttributes(&attributes, warpgroupKernel<__half, 1, 128>) == cudaSuccess &&
                    attributes.sharedSizeBytes > 0 &&
                    largestLayout(sizes).bytes + static_cast<int>(attributes.sharedSizeBytes) <= memory;
  return fits ? 2 / warpgroupsOf(groups) : 0;
}

const char* rebuiltAttentionByWarpgroups(const RebuiltAttentionRun& run, HalfType type) {
  return type == HalfType::bfloat16 ? launch<__nv_bfloat16>(run) : launch<__half>(run);
}

}  // namespace kvista
