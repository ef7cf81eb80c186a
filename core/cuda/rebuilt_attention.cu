// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/latent_attention_kernels.h"
#include "core/cuda/rebuilt_segment.cuh"
#include "core/cuda/rebuilt_streamed.cuh"
#include "core/cuda/tensor_core.cuh"

namespace kvista {
namespace {

using namespace rebuilt_segment;

constexpr std::int64_t kBusyBlocks = 16;  // Of a multiprocessor, so that all are busy to the end.

rebuilt_streamed::SharedLayout streamedLayout(const RebuiltAttentionRun& run) {
  using rebuilt_streamed::kLowTiles;
  return rebuilt_streamed::SharedLayout(
      run.maximumKeyRank, run.maximumValueRank, run.keys == run.values, run.width,
      run.width == 128 ? QueryPart<kLowTiles, 128>::kSize : QueryPart<kLowTiles, 64>::kSize);
}

/// How many segments a block streams: as many as leave enough blocks; 1 where the shapes do not fit or streaming does
/// not pay.
cudaError_t streamedSegments(const RebuiltAttentionRun& run, int device, int& each) {
  using namespace rebuilt_streamed;
  each = 1;
  if (run.segment != kSegment || run.tableTokens != kSegment || run.lowFunctions != 8 * kLowTiles ||
      run.maximumValueRank > kMaximumValueRank)
    return cudaSuccess;
  int memory = 0, multiprocessors = 0;
  cudaError_t error = cudaDeviceGetAttribute(&memory, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (streamedLayout(run).bytes > memory) return error;
  const std::int64_t blocks = std::int64_t{(run.tokens + kSegment - 1) / kSegment} * run.queryHeads * run.batch;
  while (each < 16 && blocks / (each * 2) >= kBusyBlocks * multiprocessors) each *= 2;
  return error;
}

template <class Number, int kWidth, int kValueTiles>
const char* launchStreamed(const RebuiltAttentionRun& run, int each) {
  using rebuilt_streamed::kSegment, rebuilt_streamed::kThreads;
  const bool joint = run.keys == run.values;
  const rebuilt_streamed::SharedLayout layout = streamedLayout(run);
  const auto kernel = rebuilt_streamed::streamKernel<Number, kWidth, kValueTiles>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, layout.bytes);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const int segments = (run.tokens + kSegment - 1) / kSegment;
  error = launchKernel(kernel, dim3(run.queryHeads, (segments + each - 1) / each, run.batch), dim3(kThreads),
                       layout.bytes, run, joint, each, segments);
  if (error == cudaSuccess) error = launchCombine<Number>(run, segments, each, run.maximumValueRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <class Number, int kWidth>
const char* launchStreamed(const RebuiltAttentionRun& run, int each) {
  if (run.maximumValueRank <= 48) return launchStreamed<Number, kWidth, 3>(run, each);
  return run.maximumValueRank <= 80 ? launchStreamed<Number, kWidth, 5>(run, each)
                                    : launchStreamed<Number, kWidth, 8>(run, each);
}

template <class Number, int kHeads, int kWarps>
const char* launch(const RebuiltAttentionRun& run) {
  if (run.width == 128)
    return run.lowFunctions == 16 ? launchSegments<Number, kHeads, kWarps, 2, 128, false>(run)
                                  : launchSegments<Number, kHeads, kWarps, 4, 128, false>(run);
  return run.lowFunctions == 16 ? launchSegments<Number, kHeads, kWarps, 2, 64, false>(run)
                                : launchSegments<Number, kHeads, kWarps, 4, 64, false>(run);
}

template <class Number>
const char* launch(const RebuiltAttentionRun& run, int device) {
  const int heads = run.headsPerGroup * run.queriesPerHead;
  if (heads % 4 == 0) return launch<Number, 4, 8>(run);
  if (heads % 2 == 0) return launch<Number, 2, 4>(run);
  int each = 1;
  if (const cudaError_t error = streamedSegments(run, device, each); error != cudaSuccess)
    return cudaGetErrorString(error);
  if (each == 1) return launch<Number, 1, 4>(run);
  return run.width == 128 ? launchStreamed<Number, 128>(run, each) : launchStreamed<Number, 64>(run, each);
}

}  // namespace

const char* rebuiltAttention(const RebuiltAttentionRun& run, HalfType type, int device) {
  if (run.segment % 256 != 0 || run.segment > run.tableTokens || (run.lowFunctions != 16 && run.lowFunctions != 32) ||
      (run.width != 64 && run.width != 128))
    return "the shapes do not fit this kernel";
  const cudaError_t error = cudaSetDevice(device);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  if (run.maximumKeyWords > 0) return rebuiltPackedAttention(run, type);
  if (run.lowFunctions == 32 && blocksByWarpgroups(run, device) > 0) return rebuiltAttentionByWarpgroups(run, type);
  return type == HalfType::bfloat16 ? launch<__nv_bfloat16>(run, device) : launch<__half>(run, device);
}

}  // namespace kvista
