// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The kernels of attention over latents as operators of torch; built by build_kernels.py, used by kernels_kvista.py.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "core/cuda/latent_attention.h"

namespace {

using at::Tensor;
using at::TensorList;
using kvista::HalfType;
using kvista::PackedLatent;

void check(const Tensor& x, const char* name, at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  TORCH_CHECK(x.device() == device && x.is_cuda(), name, " is on ", x.device(), ", not on the GPU ", device);
  TORCH_CHECK(x.scalar_type() == type, name, " is ", x.scalar_type(), ", not ", type);
  TORCH_CHECK(x.sizes() == shape, name, " has shape ", x.sizes(), ", not ", shape);
  TORCH_CHECK(x.is_contiguous(), name, " is not contiguous");
}

HalfType halfType(const Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf, "queries are ", x.scalar_type(),
              ", not bfloat16 or float16");
  return x.scalar_type() == at::kBFloat16 ? HalfType::bfloat16 : HalfType::float16;
}

/// [batch, tokens, record], records that begin at multiples of 16 bytes and hold `reach` elements at least.
void checkRecords(const Tensor& x, const char* name, const Tensor& queries, at::ScalarType type, std::int64_t reach) {
  const std::int64_t step = 16 / static_cast<std::int64_t>(x.element_size());
  TORCH_CHECK(x.device() == queries.device() && x.scalar_type() == type, name, " is ", x.scalar_type(), " on ",
              x.device());
  TORCH_CHECK(x.dim() == 3 && x.size(0) == queries.size(0) && x.size(1) > 0 && x.size(1) <= INT32_MAX, name,
              " has shape ", x.sizes());
  TORCH_CHECK(x.size(2) >= reach && x.stride(2) == 1, name, " has records of ", x.size(2),
              " elements; groups reach to ", reach);
  TORCH_CHECK(x.stride(0) % step == 0 && x.stride(1) % step == 0 &&
                  reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0,
              name, " has records that begin at no multiple of 16 bytes");
}

/// Plain structs as bytes on a GPU; the first row is what the attention checks against.
template <class T>
Tensor described(const std::vector<T>& groups, at::Device device) {
  const auto bytes = static_cast<std::int64_t>(groups.size() * sizeof(T));
  return at::from_blob(const_cast<T*>(groups.data()), {bytes}, at::kByte).to(device, at::kByte, false, true);
}

std::int32_t number(std::int64_t value) {
  TORCH_CHECK(value >= 0 && value <= INT32_MAX, value, " is out of range");
  return static_cast<std::int32_t>(value);
}

/// A latent of these counts [16, 8, 4, 2, 1 bit] that begins at `offset` of a record.
PackedLatent counted(std::int64_t offset, at::IntArrayRef counts) {
  PackedLatent latent{};
  for (int run = 0; run < PackedLatent::kRuns; ++run) {
    latent.counts[run] = number(counts[static_cast<std::size_t>(run)]);
    latent.rank += latent.counts[run];
  }
  TORCH_CHECK(offset >= 0 && offset % 16 == 0, "a latent begins at byte ", offset, ", which is no multiple of 16");
  latent.offset = offset;
  return latent;
}

PackedLatent packed(const Tensor& up, const Tensor& steps, std::int64_t offset, at::IntArrayRef counts) {
  PackedLatent latent = counted(offset, counts);
  check(up, "up", {up.size(0), latent.rank}, up.scalar_type(), up.device());
  check(steps, "steps", {latent.rank}, at::kFloat, up.device());
  latent.up = up.const_data_ptr();
  latent.steps = steps.const_data_ptr<float>();
  return latent;
}

/// key_ups [rank, heads * width], value_ups [heads * width, rank] of each group; they must outlive what is answered.
/// Counts of packed latents, whose steps the ups hold; none for numbers.
Tensor describeRebuilt(TensorList keyUps, TensorList valueUps, at::IntArrayRef keyOffsets, at::IntArrayRef valueOffsets,
                       std::int64_t heads, at::IntArrayRef keyCounts, at::IntArrayRef valueCounts) {
  const std::size_t count = keyUps.size();
  TORCH_CHECK(count > 0 && valueUps.size() == count && keyOffsets.size() == count && valueOffsets.size() == count,
              "groups without all of their parts");
  TORCH_CHECK((keyCounts.empty() || keyCounts.size() == 5 * count) && valueCounts.size() == keyCounts.size(),
              "groups without all of their counts");
  std::vector<kvista::RebuiltGroup> groups;
  for (std::size_t g = 0; g < count; ++g) {
    const Tensor &key = keyUps[g], &value = valueUps[g];
    check(key, "key_up", {key.size(0), keyUps[0].size(1)}, keyUps[0].scalar_type(), keyUps[0].device());
    check(value, "value_up", {keyUps[0].size(1), value.size(1)}, keyUps[0].scalar_type(), keyUps[0].device());
    TORCH_CHECK((key.size(0) | value.size(1) | keyOffsets[g] | valueOffsets[g]) % 8 == 0,
                "ranks and offsets are no multiples of 8");
    groups.push_back({key.const_data_ptr(),
                      value.const_data_ptr(),
                      keyOffsets[g],
                      valueOffsets[g],
                      number(key.size(0)),
                      number(value.size(1)),
                      number(static_cast<std::int64_t>(g) * heads),
                      {},
                      {}});
    if (keyCounts.empty()) continue;
    groups.back().keys = counted(keyOffsets[g], keyCounts.slice(5 * g, 5));
    groups.back().values = counted(valueOffsets[g], valueCounts.slice(5 * g, 5));
    TORCH_CHECK(groups.back().keys.rank <= key.size(0) && groups.back().values.rank <= value.size(1),
                "more codes than directions");
  }
  return described(groups, keyUps[0].device());
}

/// sizes: queries a head of keys, heads a group, groups, largest ranks of keys and of values, elements that records of
/// keys and of values have at least, tokens and functions of low frequency of the table, largest words of packed keys
/// and values (0: records are numbers), tokens of a segment.
std::tuple<Tensor, Tensor> rebuiltAttention(const Tensor& queries, const Tensor& keys, const Tensor& values,
                                            const Tensor& groups, const Tensor& frequencies, const Tensor& table,
                                            const Tensor& cosine, const Tensor& sine, at::IntArrayRef sizes,
                                            double scale) {
  TORCH_CHECK(queries.dim() == 3 && sizes.size() == 12, "queries have shape ", queries.sizes());
  const std::int64_t batch = queries.size(0), heads = queries.size(1), width = queries.size(2), tableTokens = sizes[7],
                     functions = sizes[8], segment = sizes[11];
  const at::ScalarType elements = sizes[9] > 0 ? at::kByte : queries.scalar_type();
  const HalfType type = halfType(queries);
  check(queries, "queries", {batch, sizes[0] * sizes[1] * sizes[2], width}, queries.scalar_type(), queries.device());
  checkRecords(keys, "keys", queries, elements, sizes[5]);
  checkRecords(values, "values", queries, elements, sizes[6]);
  TORCH_CHECK(keys.size(1) == values.size(1), "there are ", keys.size(1), " keys and ", values.size(1), " values");
  check(groups, "groups", {sizes[2] * static_cast<std::int64_t>(sizeof(kvista::RebuiltGroup))}, at::kByte,
        queries.device());
  check(frequencies, "frequencies", {width / 2}, at::kFloat, queries.device());
  const std::int64_t low = width / 2 - kvista::kDirectPairs;
  check(table, "table", {(2 * kvista::kDirectPairs + functions) / 8, tableTokens, 8}, at::kHalf, queries.device());
  check(cosine, "cosine", {low, functions}, at::kFloat, queries.device());
  check(sine, "sine", {low, functions}, at::kFloat, queries.device());
  const c10::cuda::CUDAGuard guard(queries.device());
  TORCH_CHECK(at::cuda::getCurrentCUDAStream() == at::cuda::getDefaultCUDAStream(),
              "these kernels run on the default stream only");
  const std::int64_t segments = (keys.size(1) + segment - 1) / segment;
  Tensor partials = at::empty({batch, heads, segments, sizes[4]}, queries.options().dtype(at::kFloat));
  Tensor statistics = at::empty({batch, heads, segments, 2}, queries.options().dtype(at::kFloat)),
         result = at::empty_like(queries);
  const kvista::RebuiltAttentionRun run{queries.const_data_ptr(),
                                        keys.const_data_ptr(),
                                        values.const_data_ptr(),
                                        keys.stride(0),
                                        keys.stride(1),
                                        values.stride(0),
                                        values.stride(1),
                                        static_cast<const kvista::RebuiltGroup*>(groups.const_data_ptr()),
                                        frequencies.const_data_ptr<float>(),
                                        table.const_data_ptr(),
                                        cosine.const_data_ptr<float>(),
                                        sine.const_data_ptr<float>(),
                                        partials.mutable_data_ptr<float>(),
                                        statistics.mutable_data_ptr<float>(),
                                        result.mutable_data_ptr(),
                                        static_cast<float>(scale),
                                        number(batch),
                                        number(keys.size(1)),
                                        number(heads),
                                        number(sizes[0]),
                                        number(width),
                                        number(sizes[2]),
                                        number(sizes[1]),
                                        number(sizes[3]),
                                        number(sizes[4]),
                                        number(segment),
                                        number(functions),
                                        number(tableTokens),
                                        number(sizes[5]),
                                        number(sizes[6]),
                                        number(sizes[9]),
                                        number(sizes[10])};
  const char* refusal = kvistaLatentAttentionKernels()->rebuilt(run, type, queries.get_device());
  TORCH_CHECK(refusal == nullptr, "attention over latents: ", refusal ? refusal : "");
  return {result, statistics};
}

/// sizes: as for rebuiltAttention, up to the largest ranks.
std::int64_t blocksByWarpgroups(at::IntArrayRef sizes, std::int64_t width, std::int64_t device) {
  TORCH_CHECK(sizes.size() == 5, "there are ", sizes.size(), " sizes");
  kvista::RebuiltAttentionRun run{};
  run.queriesPerHead = number(sizes[0]);
  run.headsPerGroup = number(sizes[1]);
  run.groupCount = number(sizes[2]);
  run.queryHeads = number(sizes[0] * sizes[1] * sizes[2]);
  run.width = number(width);
  run.maximumKeyRank = number(sizes[3]);
  run.maximumValueRank = number(sizes[4]);
  return kvistaLatentAttentionKernels()->blocksByWarpgroups(run, static_cast<int>(device));
}

/// One entry a head, counts [16, 8, 4, 2, 1 bit] of each head; answers the heads and [largest rank, words of keys,
/// words of values, units of values].
std::tuple<Tensor, std::vector<std::int64_t>> describeDirect(TensorList keyUps, TensorList valueUps,
                                                             TensorList keySteps, TensorList valueSteps,
                                                             at::IntArrayRef keyOffsets, at::IntArrayRef valueOffsets,
                                                             at::IntArrayRef keyCounts, at::IntArrayRef valueCounts) {
  const std::size_t heads = keyUps.size();
  TORCH_CHECK(heads > 0 && valueUps.size() == heads && keySteps.size() == heads && valueSteps.size() == heads &&
                  keyOffsets.size() == heads && valueOffsets.size() == heads && keyCounts.size() == 5 * heads &&
                  valueCounts.size() == 5 * heads,
              "heads without all of their parts");
  std::vector<kvista::DirectGroup> groups;
  std::vector<std::int64_t> largest(4);
  for (std::size_t h = 0; h < heads; ++h) {
    groups.push_back({packed(keyUps[h], keySteps[h], keyOffsets[h], keyCounts.slice(5 * h, 5)),
                      packed(valueUps[h], valueSteps[h], valueOffsets[h], valueCounts.slice(5 * h, 5))});
    const auto& [keys, values] = groups.back();
    const std::int64_t own[] = {std::max(keys.rank, values.rank), keys.words(), values.words(), values.units()};
    for (std::size_t i = 0; i < 4; ++i) largest[i] = std::max(largest[i], own[i]);
  }
  return {described(groups, keyUps[0].device()), largest};
}

/// sizes: queries a head of keys, heads of keys, then as describeDirect answers, bytes that records of keys and of
/// values have at least, tokens of a segment.
std::tuple<Tensor, Tensor> directAttention(const Tensor& queries, const Tensor& keys, const Tensor& values,
                                           const Tensor& groups, at::IntArrayRef sizes, double scale) {
  TORCH_CHECK(queries.dim() == 3 && sizes.size() == 9, "queries have shape ", queries.sizes());
  const std::int64_t batch = queries.size(0), heads = queries.size(1), width = queries.size(2), rank = sizes[2],
                     segment = sizes[8];
  const HalfType type = halfType(queries);
  check(queries, "queries", {batch, sizes[0] * sizes[1], width}, queries.scalar_type(), queries.device());
  checkRecords(keys, "keys", queries, at::kByte, sizes[6]);
  checkRecords(values, "values", queries, at::kByte, sizes[7]);
  TORCH_CHECK(keys.size(1) == values.size(1), "there are ", keys.size(1), " keys and ", values.size(1), " values");
  check(groups, "groups", {sizes[1] * static_cast<std::int64_t>(sizeof(kvista::DirectGroup))}, at::kByte,
        queries.device());
  const c10::cuda::CUDAGuard guard(queries.device());
  TORCH_CHECK(at::cuda::getCurrentCUDAStream() == at::cuda::getDefaultCUDAStream(),
              "these kernels run on the default stream only");
  const std::int64_t segments = (keys.size(1) + segment - 1) / segment;
  const auto floats = queries.options().dtype(at::kFloat);
  Tensor weights = at::empty({batch, heads, rank}, queries.options()), units = at::empty({batch, heads, 2}, floats);
  Tensor partials = at::empty({batch, heads, segments, rank}, floats),
         statistics = at::empty({batch, heads, segments, 2}, floats);
  Tensor result = at::empty_like(queries);
  const kvista::DirectAttentionRun run{queries.const_data_ptr(),
                                       keys.const_data_ptr(),
                                       values.const_data_ptr(),
                                       keys.stride(0),
                                       keys.stride(1),
                                       values.stride(0),
                                       values.stride(1),
                                       static_cast<const kvista::DirectGroup*>(groups.const_data_ptr()),
                                       weights.mutable_data_ptr(),
                                       units.mutable_data_ptr<float>(),
                                       partials.mutable_data_ptr<float>(),
                                       statistics.mutable_data_ptr<float>(),
                                       result.mutable_data_ptr(),
                                       static_cast<float>(scale),
                                       number(batch),
                                       number(keys.size(1)),
                                       number(heads),
                                       number(sizes[0]),
                                       number(width),
                                       number(rank),
                                       number(sizes[3]),
                                       number(sizes[4]),
                                       number(sizes[5]),
                                       number(segment)};
  const char* refusal = kvistaLatentAttentionKernels()->direct(run, type, queries.get_device());
  TORCH_CHECK(refusal == nullptr, "attention over latents: ", refusal ? refusal : "");
  return {result, statistics};
}

}  // namespace

TORCH_LIBRARY(kvista, library) {
  library.def(
      "describe_rebuilt(Tensor[] key_ups, Tensor[] value_ups, int[] key_offsets, int[] value_offsets, int heads, int[] "
      "key_counts, int[] value_counts) -> Tensor",
      &describeRebuilt);
  library.def(
      "rebuilt_attention(Tensor queries, Tensor keys, Tensor values, Tensor groups, Tensor frequencies, Tensor table, "
      "Tensor cosine, Tensor sine, int[] sizes, float scale) -> (Tensor, Tensor)",
      &rebuiltAttention);
  library.def("blocks_by_warpgroups(int[] sizes, int width, int device) -> int", &blocksByWarpgroups);
  library.def(
      "describe_direct(Tensor[] key_ups, Tensor[] value_ups, Tensor[] key_steps, Tensor[] value_steps, int[] "
      "key_offsets, int[] value_offsets, int[] key_counts, int[] value_counts) -> (Tensor, int[])",
      &describeDirect);
  library.def(
      "direct_attention(Tensor queries, Tensor keys, Tensor values, Tensor groups, int[] sizes, float scale) -> "
      "(Tensor, Tensor)",
      &directAttention);
}
