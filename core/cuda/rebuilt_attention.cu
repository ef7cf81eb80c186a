// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/combine_segments.cuh"
#include "core/cuda/latent_attention.h"
#include "core/cuda/latent_attention_kernels.h"
#include "core/cuda/rebuilt_columns.cuh"
#include "core/cuda/rebuilt_scores.cuh"
#include "core/cuda/rebuilt_streamed.cuh"
#include "core/cuda/row_copier.cuh"
#include "core/cuda/tensor_core.cuh"

namespace kvista {
namespace {

using namespace tensor_core;
using namespace rebuilt_columns;

constexpr int kTokensPerWarp = 32;
constexpr std::int64_t kBusyBlocks = 16;  // Of a multiprocessor, so that all are busy to the end.
constexpr int kValueBlocks = 2;  // Blocks of 16 value directions that a warp sums at most.

constexpr int roundUp(int value, int step) { return (value + step - 1) / step * step; }

/// How the shared memory of a block of threads is laid out. Offsets in bytes. Values have one buffer, which is filled while
/// keys are scored; keys have one or two, of which the second one hides more of the memory's latency. Joint latents have two.
struct SharedLayout {
  int keyStride, valueStride;  // of a row, in numbers
  int query, columns, probabilities, corrections, maxima, keys, keyBytes, values, bytes;

  /// scratch: bytes of the query's part, which lies where the first values come later.
  __host__ __device__ SharedLayout(int keyRank, int valueRank, bool joint, int keyStages, int heads, int warps, int width, int columnCount, int scratch) {
    const int tokens = kTokensPerWarp * warps / heads;
    keyStride = roundUp(keyRank, 16) + kPad;
    valueStride = joint ? keyStride : roundUp(valueRank, 16) + kPad;
    int end = 0;
    const auto take = [&end](int size) {
      const int begin = end;
      end += (size + 127) / 128 * 128;
      return begin;
    };
    query = take(heads * width * 4);
    columns = take(heads * columnCount * keyStride * 2);
    probabilities = take(heads * (tokens + kPad) * 2);
    corrections = take(heads * 4);
    maxima = take(warps * 4);
    keyBytes = tokens * keyStride * 2;
    keys = take((joint ? 1 : keyStages) * keyBytes);
    const int last = tokens * valueStride * 2;
    values = take(last > scratch ? last : scratch);
    bytes = end;
  }
};

/// One segment of one sequence for kHeads query heads of one group. A warp scores 32 tokens of a tile for one head; then
/// all warps share the sum over the values' latents by direction.
template <class Number, int kHeads, int kWarps, int kLowTiles, int kWidth>
__global__ void __launch_bounds__(kWarps * 32, 16 / kWarps) segmentKernel(const RebuiltAttentionRun run, bool joint, int keyStages) {
  using Part = QueryPart<kLowTiles, kWidth>;
  constexpr int kThreads = kWarps * 32;
  constexpr int kColumnTiles = 2 * kDirectPairs / 8 + kLowTiles;
  constexpr int kTileTokens = kTokensPerWarp * kWarps / kHeads;
  static_assert(kColumnTiles % 2 == 0);
  unsigned char* const memory = sharedMemory();

  const int parts = run.headsPerGroup * run.queriesPerHead / kHeads;
  const RebuiltGroup group = run.groups[blockIdx.x / parts];
  const int head = group.firstHead * run.queriesPerHead + static_cast<int>(blockIdx.x) % parts * kHeads;
  const std::int64_t batch = blockIdx.z;
  const int begin = static_cast<int>(blockIdx.y) * run.segment;
  const int count = min(run.segment, run.tokens - begin);
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const SharedLayout layout(group.keyRank, group.valueRank, joint, keyStages, kHeads, kWarps, kWidth, kColumnTiles * 8, kHeads * Part::kSize * 2);
  const int keyStride = layout.keyStride, valueStride = layout.valueStride;
  auto* query = reinterpret_cast<float*>(memory + layout.query);
  auto* columns = reinterpret_cast<Number*>(memory + layout.columns);
  auto* probabilities = reinterpret_cast<Number*>(memory + layout.probabilities);
  auto* corrections = reinterpret_cast<float*>(memory + layout.corrections);
  auto* maxima = reinterpret_cast<float*>(memory + layout.maxima);
  auto* scratch = reinterpret_cast<Number*>(memory + layout.values);
  const std::uint32_t keyAddress = sharedAddress(memory + layout.keys), valueAddress = sharedAddress(memory + layout.values);
  const auto keyBuffer = [&](int tile) {
    if (joint) return tile % 2 == 0 ? keyAddress : valueAddress;
    return keyAddress + (keyStages == 2 ? tile % 2 * layout.keyBytes : 0);
  };
  const auto valueBuffer = [&](int tile) { return joint ? keyBuffer(tile) : valueAddress; };

  const Number* keys = static_cast<const Number*>(run.keys) + batch * run.keyBatchStride + begin * run.keyTokenStride + group.keyOffset;
  const Number* values =
      static_cast<const Number*>(run.values) + batch * run.valueBatchStride + begin * run.valueTokenStride + group.valueOffset;
  RowCopier keyCopier(keys, run.keyTokenStride * 2, keyStride * 2, group.keyRank * 2, kTileTokens, threadIdx.x, kThreads);
  RowCopier valueCopier(values, run.valueTokenStride * 2, valueStride * 2, group.valueRank * 2, kTileTokens, threadIdx.x, kThreads);
  const auto loadKeys = [&](int tile) {
    const int first = tile * kTileTokens;
    if (first < count) keyCopier.copy(keyBuffer(tile), count - first, kTileTokens * 2 * run.keyTokenStride, keys);
    commitCopies();
  };
  const auto loadValues = [&](int tile) {
    const int first = tile * kTileTokens;
    if (!joint) valueCopier.copy(valueAddress, count - first, kTileTokens * 2 * run.valueTokenStride, values);
    commitCopies();
  };
  // Directions that fill a row up to a multiple of 16 are 0.
  const auto clearPads = [&](unsigned char* rows, int stride, int rank) {
    if (rank % 16 != 0)
      for (int row = threadIdx.x; row < kTileTokens; row += kThreads) *reinterpret_cast<uint4*>(rows + (row * stride + rank) * 2) = uint4{};
  };
  loadKeys(0);
  clearPads(memory + layout.keys, keyStride, group.keyRank);
  if (keyStages == 2 && !joint) clearPads(memory + layout.keys + layout.keyBytes, keyStride, group.keyRank);

  // The queries, rotated back to where the segment begins, in the unit of exponents of 2.
  const float unit = run.scale * 1.4426950408889634f;
  for (int i = threadIdx.x; i < kHeads * Part::kPairs; i += kThreads) {
    const int h = i / Part::kPairs, j = i % Part::kPairs;
    const Number* from = static_cast<const Number*>(run.queries) + (batch * run.queryHeads + head + h) * kWidth;
    const RotatedPair pair(toFloat(from[j]) * unit, toFloat(from[j + Part::kPairs]) * unit, run.frequencies[j]);
    pair.rotateBack(begin, query[h * kWidth + j], query[h * kWidth + Part::kPairs + j]);
  }
  for (int i = threadIdx.x; i < kHeads * Part::kDirectSize / 8; i += kThreads) {
    const int h = i / (Part::kDirectSize / 8);
    reinterpret_cast<uint4*>(scratch + h * Part::kSize)[i % (Part::kDirectSize / 8)] = uint4{};
  }
  __syncthreads();
  makeQueryPart<Number, kHeads, kThreads, kLowTiles, kWidth>(run.lowCosine, run.lowSine, query, scratch);
  __syncthreads();
  const int headOffset = ((head + warp % kHeads) / run.queriesPerHead - group.firstHead) * kWidth;
  makeColumns<Number, kHeads, kWarps, kLowTiles, kWidth>(static_cast<const Number*>(group.keyUp) + headOffset, run.headsPerGroup * kWidth,
                                                         group.keyRank, columns, keyStride, scratch);
  __syncthreads();
  clearPads(memory + layout.values, valueStride, joint ? group.keyRank : group.valueRank);

  const int mine = warp % kHeads;               // this warp's head
  const int row = warp / kHeads * kTokensPerWarp;  // and the first of its tokens in a tile
  const std::uint32_t columnRows = sharedAddress(columns + (mine * kColumnTiles * 8 + lane / 16 * 8 + lane % 8) * keyStride + lane / 8 % 2 * 8);
  const int steps = (keyStride - kPad) / 16;
  const int valueBlocks = (valueStride - kPad) / 16;
  float largest = -INFINITY, sum = 0;
  float sums[kValueBlocks][2][4] = {};
  const auto* table = static_cast<const std::uint32_t*>(run.table);

  const int tiles = (count + kTileTokens - 1) / kTileTokens;
  for (int tile = 0; tile < tiles; ++tile) {
    waitForCopies<0>();
    __syncthreads();  // the keys are there, and nobody reads the values before them any more
    loadValues(tile);
    if (keyStages == 2) loadKeys(tile + 1);

    const std::uint32_t z = keyBuffer(tile) + ((row + lane % 16) * keyStride + lane / 16 * 8) * 2;
    float exponent = scoreTokens<Number, kColumnTiles>(z, keyStride, columnRows, steps, table + (tile * kTileTokens + row) * 4, run.segment);
    const int token = row + lane % 4 * 8 + lane / 4;
    if (tile * kTileTokens + token >= count) exponent = -INFINITY;
    float peak = exponent;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) peak = fmaxf(peak, __shfl_xor_sync(0xffffffffU, peak, distance));
    if (lane == 0) maxima[warp] = peak;
    __syncthreads();
    if (keyStages == 1) loadKeys(tile + 1);
    peak = largest;
#pragma unroll
    for (int other = 0; other < kWarps / kHeads; ++other) peak = fmaxf(peak, maxima[other * kHeads + mine]);
    const float correction = powerOfTwo(largest - peak);
    const float probability = powerOfTwo(exponent - peak);
    largest = peak;
    const Number rounded = fromFloat<Number>(probability);
    sum = sum * correction + toFloat(rounded);
    probabilities[mine * (kTileTokens + kPad) + token] = rounded;
    if (warp < kHeads && lane == 0) corrections[warp] = correction;
    waitForCopies<1>();  // the values are there, the next keys may be under way
    __syncthreads();

    // Values: probabilities [heads in 16 rows, tokens] times latents [tokens, directions].
    const float change = lane / 4 < kHeads ? corrections[lane / 4] : 0.0f;
    const Number* p = probabilities + (lane / 4) * (kTileTokens + kPad) + 2 * (lane % 4);
    const std::uint32_t v = valueBuffer(tile) + (lane % 16 * valueStride + lane / 16 * 8) * 2;
#pragma unroll
    for (int block = 0; block < kValueBlocks; ++block) {
      const int at = warp + block * kWarps;
      if (at >= valueBlocks) break;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sums[block][half][0] *= change;
        sums[block][half][1] *= change;
      }
#pragma unroll 4
      for (int k = 0; k < kTileTokens; k += 16) {
        std::uint32_t a[4] = {};
        if (lane / 4 < kHeads) {
          a[0] = *reinterpret_cast<const std::uint32_t*>(p + k);
          a[2] = *reinterpret_cast<const std::uint32_t*>(p + k + 8);
        }
        std::uint32_t b[4];
        loadMatricesTransposed(b, v + (k * valueStride + at * 16) * 2);
        multiplyAdd<Number>(sums[block][0], a, b[0], b[1]);
        multiplyAdd<Number>(sums[block][1], a, b[2], b[3]);
      }
    }
  }

  // What this segment adds, for combineKernel.
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, distance);
  __syncthreads();
  if (lane == 0) maxima[warp] = sum;
  __syncthreads();
  const auto place = [&](int h) { return ((batch * run.queryHeads + head + h) * gridDim.y + blockIdx.y); };
  if (warp < kHeads && lane == 0) {
    float total = 0;
    for (int other = 0; other < kWarps / kHeads; ++other) total += maxima[other * kHeads + warp];
    run.statistics[place(warp) * 2] = largest;
    run.statistics[place(warp) * 2 + 1] = total;
  }
  if (lane / 4 < kHeads)
#pragma unroll
    for (int block = 0; block < kValueBlocks; ++block)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int direction = (warp + block * kWarps) * 16 + half * 8 + 2 * (lane % 4);
        if (direction < group.valueRank)
          *reinterpret_cast<float2*>(run.partials + place(lane / 4) * run.maximumValueRank + direction) =
              float2{sums[block][half][0], sums[block][half][1]};
      }
}

template <class Number, int kHeads, int kWarps, int kLowTiles, int kWidth>
const char* launch(const RebuiltAttentionRun& run) {
  const bool joint = run.keys == run.values;
  const int keyStages = joint ? 2 : 1;
  const SharedLayout layout(run.maximumKeyRank, run.maximumValueRank, joint, keyStages, kHeads, kWarps, kWidth, 2 * kDirectPairs + 8 * kLowTiles,
                            kHeads * QueryPart<kLowTiles, kWidth>::kSize * 2);
  if (roundUp(run.maximumValueRank, 16) > 16 * kValueBlocks * kWarps) return "the latents are too wide for this kernel";
  const auto kernel = segmentKernel<Number, kHeads, kWarps, kLowTiles, kWidth>;
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, layout.bytes);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  const int segments = (run.tokens + run.segment - 1) / run.segment;
  // Heads are neighbours in memory, so their blocks run side by side.
  const dim3 grid(run.groupCount * run.headsPerGroup * run.queriesPerHead / kHeads, segments, run.batch);
  error = launchKernel(kernel, grid, dim3(kWarps * 32), layout.bytes, run, joint, keyStages);
  if (error == cudaSuccess)
    error = launchKernel(combineKernel<Number, RebuiltAttentionRun>, dim3(run.queryHeads, run.batch), dim3(kCombineThreads), 0, run, segments, 1, run.maximumValueRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

rebuilt_streamed::SharedLayout streamedLayout(const RebuiltAttentionRun& run) {
  using rebuilt_streamed::kLowTiles;
  return rebuilt_streamed::SharedLayout(run.maximumKeyRank, run.maximumValueRank, run.keys == run.values, run.width,
                                        run.width == 128 ? QueryPart<kLowTiles, 128>::kSize : QueryPart<kLowTiles, 64>::kSize);
}

/// How many segments a block streams: as many as leave enough blocks; 1 where the shapes do not fit or streaming does not pay.
cudaError_t streamedSegments(const RebuiltAttentionRun& run, int device, int& each) {
  using namespace rebuilt_streamed;
  each = 1;
  if (run.segment != kSegment || run.lowFunctions != 8 * kLowTiles || run.maximumValueRank > kMaximumValueRank) return cudaSuccess;
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
  error = launchKernel(kernel, dim3(run.queryHeads, (segments + each - 1) / each, run.batch), dim3(kThreads), layout.bytes, run, joint, each, segments);
  if (error == cudaSuccess)
    error = launchKernel(combineKernel<Number, RebuiltAttentionRun>, dim3(run.queryHeads, run.batch), dim3(kCombineThreads), 0, run, segments, each,
                         run.maximumValueRank);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <class Number, int kWidth>
const char* launchStreamed(const RebuiltAttentionRun& run, int each) {
  if (run.maximumValueRank <= 48) return launchStreamed<Number, kWidth, 3>(run, each);
  return run.maximumValueRank <= 80 ? launchStreamed<Number, kWidth, 5>(run, each) : launchStreamed<Number, kWidth, 8>(run, each);
}

template <class Number, int kHeads, int kWarps>
const char* launch(const RebuiltAttentionRun& run) {
  if (run.width == 128)
    return run.lowFunctions == 16 ? launch<Number, kHeads, kWarps, 2, 128>(run) : launch<Number, kHeads, kWarps, 4, 128>(run);
  return run.lowFunctions == 16 ? launch<Number, kHeads, kWarps, 2, 64>(run) : launch<Number, kHeads, kWarps, 4, 64>(run);
}

template <class Number>
const char* launch(const RebuiltAttentionRun& run, int device) {
  const int heads = run.headsPerGroup * run.queriesPerHead;
  if (heads % 4 == 0) return launch<Number, 4, 8>(run);
  if (heads % 2 == 0) return launch<Number, 2, 4>(run);
  int each = 1;
  if (const cudaError_t error = streamedSegments(run, device, each); error != cudaSuccess) return cudaGetErrorString(error);
  if (each == 1) return launch<Number, 1, 4>(run);
  return run.width == 128 ? launchStreamed<Number, 128>(run, each) : launchStreamed<Number, 64>(run, each);
}

}  // namespace

const char* rebuiltAttention(const RebuiltAttentionRun& run, HalfType type, int device) {
  if (run.segment % 256 != 0 || (run.lowFunctions != 16 && run.lowFunctions != 32) || (run.width != 64 && run.width != 128))
    return "the shapes do not fit this kernel";
  const cudaError_t error = cudaSetDevice(device);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return type == HalfType::bfloat16 ? launch<__nv_bfloat16>(run, device) : launch<__half>(run, device);
}

}  // namespace kvista
