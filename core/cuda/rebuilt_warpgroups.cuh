// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/latent_attention.h"
#include "core/cuda/rebuilt_columns.cuh"
#include "core/cuda/tensor_core.cuh"
#include "core/cuda/warpgroup.cuh"

/// Attention over rebuilt keys by products of warpgroups: a block has a segment and four query heads, of one or two
/// groups. A warpgroup goes through tiles of 64 tokens, which the copy engine brings, and waits for no other one, so
/// that one multiplies while another is at its softmax.
namespace kvista::rebuilt_warpgroups {

using namespace tensor_core;
using namespace rebuilt_columns;

constexpr int kHeads = 4;
constexpr int kTile = 64;
constexpr int kSlots = 3;  // of a warpgroup: tiles of keys and of values in turns, of which two are on their way
constexpr int kLowTiles = 4;
constexpr int kColumns = 2 * kDirectPairs + 8 * kLowTiles;  // of a head
constexpr int kPanel = kTile * kPanelRowBytes;
constexpr int kMaximumPanels = 16;  // of a tile
constexpr int kValueTiles = kMaximumPanels / 4;
// A panel of 8 rows, of which the heads are four, for each step.
constexpr int kProbabilityBytes = kTile / 16 * 8 * kPanelRowBytes;

/// Of a block. Heads of one group have so many columns that a multiprocessor has memory for one block.
__host__ __device__ constexpr int warpgroupsOf(int groups) { return groups == 1 ? 2 : 1; }
__host__ __device__ constexpr int panelsOf(int rank) { return (rank + 15) / 16; }

/// Offsets in bytes of a block's shared memory. panels: of all groups.
struct SharedLayout {
  int warpgroups, slotBytes, early, scratch, columns, columnsOfPanel, probabilities, query, bytes;

  __host__ __device__ SharedLayout(int keyPanels, int valuePanels, int groups, int width, int scratchBytes) {
    warpgroups = warpgroupsOf(groups);
    slotBytes = (keyPanels > valuePanels ? keyPanels : valuePanels) * kPanel;
    // The query's part lies where the last slots are, until columns are made of it; `early` tiles are copied before.
    early = kSlots - (scratchBytes + warpgroups * slotBytes - 1) / (warpgroups * slotBytes);
    early = early < 0 ? 0 : early;
    scratch = early * warpgroups * slotBytes;
    const int end = kSlots * warpgroups * slotBytes, scratchEnd = (scratch + scratchBytes + 255) / 256 * 256;
    columns = end > scratchEnd ? end : scratchEnd;
    columnsOfPanel = kHeads / groups * kColumns * kPanelRowBytes;
    probabilities = columns + keyPanels * columnsOfPanel;
    query = probabilities + warpgroups * kProbabilityBytes;
    bytes = query + kHeads * width * 4;
  }
  __host__ __device__ int slot(int warpgroup, int item) const {
    return (item % kSlots * warpgroups + warpgroup) * slotBytes;
  }
};

/// Scores of this warp's 16 tokens and four heads from what was multiplied, [heads][kColumns]; the lane's are of head
/// lane % 4 and tokens lane / 4 and lane / 4 + 8. words: the table's of those tokens and columns 2 * (lane % 4) and the
/// next of every 8.
template <int kGroups>
__device__ void scoreByTable(float (&scores)[2], const float (&sums)[kGroups][kHeads / kGroups * kColumns / 2],
                             const std::uint32_t (&words)[2][kColumns / 8]) {
  float found[kHeads][2] = {};
#pragma unroll
  for (int row = 0; row < 2; ++row)
#pragma unroll
    for (int tile = 0; tile < kColumns / 8; ++tile) {
      const float2 entries = unpackHalves(words[row][tile]);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        const int at = h % (kHeads / kGroups) * kColumns / 2 + tile * 4 + row * 2;
        found[h][row] += sums[h / (kHeads / kGroups)][at] * entries.x;
        found[h][row] += sums[h / (kHeads / kGroups)][at + 1] * entries.y;
      }
    }
  // Over the four lanes of a token, of which each keeps one head.
  const bool odd = threadIdx.x % 2 != 0, upper = threadIdx.x / 2 % 2 != 0;
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    float kept[2];
#pragma unroll
    for (int pair = 0; pair < 2; ++pair)
      kept[pair] = (odd ? found[2 * pair + 1][row] : found[2 * pair][row]) +
                   __shfl_xor_sync(0xffffffffU, odd ? found[2 * pair][row] : found[2 * pair + 1][row], 1);
    scores[row] = (upper ? kept[1] : kept[0]) + __shfl_xor_sync(0xffffffffU, upper ? kept[0] : kept[1], 2);
  }
}

template <class Number, int kGroups, int kWidth>
__global__ void __launch_bounds__(warpgroupsOf(kGroups) * 128, 2 / warpgroupsOf(kGroups))
    warpgroupKernel(const RebuiltAttentionRun run, const __grid_constant__ PanelSource keySource,
                    const __grid_constant__ PanelSource valueSource, bool joint) {
#ifdef KVISTA_HAS_WARPGROUPS
  constexpr int kWarpgroups = warpgroupsOf(kGroups), kThreads = kWarpgroups * 128;
  using Part = QueryPart<kLowTiles, kWidth>;
  constexpr int kOfGroup = kHeads / kGroups;  // heads
  constexpr int kSumsOfGroup = kOfGroup * kColumns / 2;
  __shared__ float maxima[kWarpgroups][4][kHeads];
  __shared__ float scales[kWarpgroups][kHeads];
  __shared__ CopyBarrier barriers[kWarpgroups][kSlots];
  unsigned char* const memory = sharedMemory();
  letNextBegin();

  const int head = static_cast<int>(blockIdx.x) * kHeads;
  const std::int64_t batch = blockIdx.z;
  const int begin = static_cast<int>(blockIdx.y) * run.segment;
  const int count = min(run.segment, run.tokens - begin);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, quarter = lane % 4;
  const int warpgroup = uniform(warp / 4), row = warp % 4 * 16;  // the first of this warp's tokens in a tile
  const auto groupOf = [&](int h) { return run.groups + (head + h) / run.queriesPerHead / run.headsPerGroup; };
  int keyRanks[kGroups], valueRanks[kGroups], keyOffsets[kGroups], valueOffsets[kGroups], keyPanels = 0,
                                                                                          valuePanels = 0;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const RebuiltGroup* group = groupOf(g * kOfGroup);
    keyRanks[g] = group->keyRank;
    valueRanks[g] = group->valueRank;
    keyOffsets[g] = static_cast<int>(group->keyOffset);
    valueOffsets[g] = static_cast<int>(group->valueOffset);
    keyPanels += panelsOf(keyRanks[g]);
    valuePanels += panelsOf(valueRanks[g]);
  }
  const SharedLayout layout(keyPanels, joint ? keyPanels : valuePanels, kGroups, kWidth, kHeads * Part::kSize * 2);
  auto* query = reinterpret_cast<float*>(memory + layout.query);
  auto* scratch = reinterpret_cast<Number*>(memory + layout.scratch);
  const std::uint32_t slots = sharedAddress(memory), columns = sharedAddress(memory + layout.columns);
  unsigned char* const ownProbabilities = memory + layout.probabilities + warpgroup * kProbabilityBytes;

  const auto firstOf = [&](int tile) { return (tile * kWarpgroups + warpgroup) * kTile; };
  // Items are this warpgroup's tiles of keys and of values in turns; of joint latents, tiles. What fills up a group's
  // last panel belongs to others, and its columns are 0.
  const auto load = [&](int item) {
    const int tile = joint ? item : item / 2;
    const bool ofKeys = joint || item % 2 == 0;
    if (threadIdx.x % 128 != 0 || firstOf(tile) >= count) return;
    CopyBarrier& barrier = barriers[warpgroup][item % kSlots];
    std::uint32_t to = slots + layout.slot(warpgroup, item);
    expectCopies(barrier, (ofKeys ? keyPanels : valuePanels) * kPanel);
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const int offset = ofKeys ? keyOffsets[g] : valueOffsets[g],
                end = offset + (ofKeys ? keyRanks[g] : valueRanks[g]);
#pragma unroll 1
      for (int at = offset; at < end; at += 16, to += kPanel)
        copyPanel(to, ofKeys ? keySource : valueSource, at, begin + firstOf(tile), static_cast<int>(batch), barrier);
    }
  };
  const auto waitForItem = [&](int item) { waitForBarrier(barriers[warpgroup][item % kSlots], item / kSlots); };
  if (threadIdx.x % 128 == 0) {
    for (CopyBarrier& barrier : barriers[warpgroup]) makeBarrier(barrier);
    showToProducts();
  }
  __syncthreads();
  const int early = min(layout.early, 2);
  for (int item = 0; item < early; ++item) load(item);

  const auto makeQueries = [&] {
    placeQueries<Number, kHeads, kThreads, kLowTiles, kWidth>(run, batch, head, begin, query, scratch);
    __syncthreads();
    makeQueryPart<Number, kHeads, kThreads, kLowTiles, kWidth>(run.lowCosine, run.lowSine, query, scratch);
    __syncthreads();
  };
  {
    const int own = warp % kHeads;
    const RebuiltGroup* group = groupOf(own);
    int before = 0;  // panels
#pragma unroll
    for (int g = 0; g < kGroups; ++g) before += g < own / kOfGroup ? panelsOf(keyRanks[g]) : 0;
    unsigned char* const to = memory + layout.columns + before * layout.columnsOfPanel;
    const Number* up =
        static_cast<const Number*>(group->keyUp) + ((head + own) / run.queriesPerHead - group->firstHead) * kWidth;
    const auto place = [&](int column, int direction) {
      const int row = own % kOfGroup * kColumns + column;
      return reinterpret_cast<std::uint32_t*>(to + direction / 16 * layout.columnsOfPanel +
                                              panelPlace(row, direction / 8 % 2) + direction % 8 * 2);
    };
    makeColumns<Number, kHeads, kThreads / 32, kLowTiles, kWidth, true, true>(
        up, run.headsPerGroup * kWidth, group->keyRank, scratch, place, makeQueries);
  }
  showToProducts();
  __syncthreads();
  for (int item = early; item < 2; ++item) load(item);

  const auto* table = static_cast<const std::uint32_t*>(run.table) + (row + lane / 4) * 4 + quarter;
  float largest = -INFINITY, sum = 0;  // of head `quarter`, the sum of this lane's tokens
  float products[kGroups][kSumsOfGroup] = {};
  float sums[kValueTiles][4] = {};
  const int valueTiles = ((joint ? keyPanels : valuePanels) + 3) / 4;
  const auto keepSums = [&] {
#pragma unroll
    for (int at = 0; at < kValueTiles; ++at) keepInPlace(sums[at]);
  };
  for (int tile = 0; firstOf(tile) < count; ++tile) {
    std::uint32_t words[2][kColumns / 8];
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i)
#pragma unroll
      for (int k = 0; k < 2; ++k) words[k][i] = table[(i * run.tableTokens + firstOf(tile) + k * 8) * 4];
    const int item = joint ? tile : 2 * tile;
    waitForProducts();
    keepSums();
    waitForWarpgroup(warpgroup);  // nobody reads the last tile's values any more
    load(item + 2);
    waitForItem(item);

    const std::uint32_t keys = slots + layout.slot(warpgroup, item);
    Panels left(keys, 16), right(columns, 16);
    beginProducts();
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      keepInPlace(products[g]);
      const int panels = panelsOf(keyRanks[g]);
#pragma unroll 1
      for (int panel = 0; panel < panels; ++panel, left.move(kPanel), right.move(layout.columnsOfPanel))
        multiplyPanels<Number, kOfGroup * kColumns>(products[g], left, right, panel > 0);
    }
    endProducts();
    waitForProducts();
#pragma unroll
    for (int g = 0; g < kGroups; ++g) keepInPlace(products[g]);

    float exponents[2];
    scoreByTable<kGroups>(exponents, products, words);
#pragma unroll
    for (int k = 0; k < 2; ++k)
      if (firstOf(tile) + row + lane / 4 + k * 8 >= count) exponents[k] = -INFINITY;
    float peak = fmaxf(exponents[0], exponents[1]);
#pragma unroll
    for (int distance = 4; distance < 32; distance *= 2)
      peak = fmaxf(peak, __shfl_xor_sync(0xffffffffU, peak, distance));
    if (lane < kHeads) maxima[warpgroup][warp % 4][lane] = peak;
    waitForWarpgroup(warpgroup);  // and nobody reads these keys any more
    if (!joint) load(item + 3);
    peak = largest;
#pragma unroll
    for (int other = 0; other < 4; ++other) peak = fmaxf(peak, maxima[warpgroup][other][quarter]);
    const float correction = powerOfTwo(largest - peak);
    largest = peak;
    sum *= correction;
    auto* probabilities = reinterpret_cast<Number*>(ownProbabilities + row / 16 * 8 * kPanelRowBytes);
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const Number rounded = fromFloat<Number>(powerOfTwo(exponents[k] - peak));
      sum += toFloat(rounded);
      probabilities[panelPlace(quarter, k) / 2 + lane / 4] = rounded;
    }
    float changes[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) changes[i] = __shfl_sync(0xffffffffU, correction, 2 * quarter % 4 + i);
#pragma unroll
    for (int i = 0; i < kValueTiles * 4; ++i) sums[i / 4][i % 4] *= changes[i % 2];
    showToProducts();
    waitForWarpgroup(warpgroup);  // the probabilities are there
    if (!joint) waitForItem(item + 1);

    const Panels values(joint ? keys : slots + layout.slot(warpgroup, item + 1), kPanel);
    const Panels weights(sharedAddress(memory + layout.probabilities) + warpgroup * kProbabilityBytes, 16);
    keepSums();
    beginProducts();
#pragma unroll
    for (int at = 0; at < kValueTiles; ++at) {
      if (at >= valueTiles) break;
#pragma unroll
      for (int k = 0; k < kTile / 16; ++k)
        multiplyTransposed<Number>(sums[at], values.moved(at * 4 * kPanel + k * 16 * kPanelRowBytes),
                                   weights.moved(k * 8 * kPanelRowBytes));
    }
    endProducts();
  }
  waitForProducts();
  keepSums();

  // What the warpgroups found, in the larger one's unit.
#pragma unroll
  for (int distance = 4; distance < 32; distance *= 2) sum += __shfl_xor_sync(0xffffffffU, sum, distance);
  __syncthreads();
  if (lane < kHeads) {
    maxima[warpgroup][warp % 4][lane] = sum;
    if (warp % 4 == 0) scales[warpgroup][lane] = largest;
  }
  __syncthreads();
  const float top = fmaxf(scales[0][quarter], scales[kWarpgroups - 1][quarter]), factor = powerOfTwo(largest - top);
  auto* shared = reinterpret_cast<float*>(memory);  // [warpgroups][kHeads][kValueTiles * 64]
  constexpr int kDirections = kMaximumPanels * 16;
#pragma unroll
  for (int i = 0; i < kValueTiles * 4; ++i) {
    const float scaled = sums[i / 4][i % 4] * __shfl_sync(0xffffffffU, factor, 2 * quarter % 4 + i % 2);
    const int direction = i / 4 * 64 + row + i % 4 / 2 * 8 + lane / 4;
    if (quarter < 2 && i / 4 < valueTiles)
      shared[(warpgroup * kHeads + 2 * quarter + i % 2) * kDirections + direction] = scaled;
  }
  __syncthreads();
  const auto place = [&](int h) { return (batch * run.queryHeads + head + h) * gridDim.y + blockIdx.y; };
  if (threadIdx.x < kHeads) {
    float total = 0;
    for (int w = 0; w < kWarpgroups; ++w)
      for (int other = 0; other < 4; ++other) total += powerOfTwo(scales[w][lane] - top) * maxima[w][other][lane];
    run.statistics[place(lane) * 2] = top;
    run.statistics[place(lane) * 2 + 1] = total;
  }
  int before = 0;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    for (int i = threadIdx.x; i < kOfGroup * valueRanks[g]; i += kThreads) {
      const int h = g * kOfGroup + i / valueRanks[g], direction = i % valueRanks[g];
      const float* at = shared + h * kDirections + before * 16 + direction;
      run.partials[place(h) * run.maximumValueRank + direction] =
          kWarpgroups == 1 ? at[0] : at[0] + at[kHeads * kDirections];
    }
    before += panelsOf(valueRanks[g]);
  }
#endif
}

/// Groups of which a block has heads, 0 where four heads are none of this kernel's.
inline int groupsOfBlock(const RebuiltAttentionRun& run) {
  const int heads = run.headsPerGroup * run.queriesPerHead;
  if (heads % kHeads == 0) return 1;
  return heads == 2 && run.queryHeads % kHeads == 0 ? 2 : 0;  // one head a group is faster by itself
}

inline SharedLayout largestLayout(const RebuiltAttentionRun& run) {
  const int groups = groupsOfBlock(run),
            scratch =
                kHeads * 2 * (run.width == 128 ? QueryPart<kLowTiles, 128>::kSize : QueryPart<kLowTiles, 64>::kSize);
  return SharedLayout(groups * panelsOf(run.maximumKeyRank), groups * panelsOf(run.maximumValueRank), groups, run.width,
                      scratch);
}

}  // namespace kvista::rebuilt_warpgroups
