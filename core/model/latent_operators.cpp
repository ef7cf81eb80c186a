// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/latent_operators.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/log2.h>
#include <ATen/ops/logaddexp2.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <utility>

#include "core/model/latent_checks.h"
#include "core/model/rotation_table.h"

namespace kvista {
namespace {

std::array<std::atomic<const LatentAttentionKernels*>, 2> registered{};  // of CPUs (only tests give any), of GPUs

const LatentAttentionKernels* kernelsOf(at::Device device) {
  return device.is_cpu() ? registered[0].load() : device.is_cuda() ? registered[1].load() : nullptr;
}

HalfType halfType(at::ScalarType type) { return type == at::kBFloat16 ? HalfType::bfloat16 : HalfType::float16; }
int indexOf(at::Device device) { return device.is_cpu() ? 0 : device.index(); }

Result<LatentAttended> refused(const char* words) {
  return fail(ErrorCode::device, "A kernel of attention over latents could not be started.",
              "Compute on the CPU, or say what was run.", words);
}

constexpr std::int64_t kMultiprocessors = 100;  // About as many as GPUs of compute capability 9.0 have.
constexpr std::int64_t kBusyBlocks = 256;       // Blocks of threads that keep a GPU of some 130 multiprocessors busy.
constexpr std::int64_t kSharedMemory = 227 * 1024;  // Of a block of threads, from compute capability 9.0 on.

std::int64_t roundedUp(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }
std::int64_t segmentsOf(std::int64_t tokens, std::int64_t segment) { return (tokens + segment - 1) / segment; }

/// Memory of a block of threads of the kernels of rebuilt_segment.cuh, at most. words: of a token's packed latents.
std::int64_t rebuiltSharedBytes(std::int64_t queries, std::int64_t width, std::int64_t keyRank, std::int64_t valueRank,
                                std::int64_t functions, std::int64_t words) {
  const std::int64_t heads = queries % 4 == 0   ? 4
                             : queries % 2 == 0 ? 2
                                                : 1,
                     tokens = 32 * (heads == 4 ? 8 : 4) / heads;
  const std::int64_t keyStride = roundedUp(keyRank, 16) + 8, valueStride = roundedUp(valueRank, 16) + 8,
                     columns = 2 * kDirectPairs + functions;
  const std::int64_t queryPart = 2 * kDirectPairs * (2 * kDirectPairs + 8) + functions * (width - 2 * kDirectPairs + 8);
  return heads * (width * 4 + columns * keyStride * 2 + (tokens + 8) * 2) + tokens * (keyStride * 2 + words * 4) +
         std::max(tokens * std::max(keyStride, valueStride) * 2, heads * queryPart * 2) + 1024;
}

/// As kernels read it, lying at `offset` of a record: each part of a code is a direction of its own.
PackedLatent packedLatent(const RecordLayout& layout, std::int64_t offset) {
  PackedLatent packed{};
  std::ranges::copy(layout.counts, packed.counts);
  packed.rank = std::accumulate(layout.counts.begin(), layout.counts.end(), 0);
  packed.offset = offset;
  return packed;
}

/// Rows, or columns, of what rebuilds a latent, times their steps, where its unpacked numbers stand.
at::Tensor unpackedUp(const at::Tensor& whole, const RebuiltAttention::Codes& codes, const PackedLatent& latent,
                      std::int64_t dimension) {
  const PartsAsDirections parts = partsAsDirections(codes.layout, whole.device());
  const at::Tensor steps = codes.steps.index_select(0, parts.directions) * parts.factors;
  const at::Tensor own = whole.index_select(dimension, parts.directions).to(at::kFloat);
  const at::Tensor up = (own * (dimension == 0 ? steps.unsqueeze(1) : steps)).to(whole.scalar_type());
  std::vector<std::int64_t> places, sizes = up.sizes().vec();
  for (int run = 0; run < PackedLatent::kRuns; ++run)
    for (int i = 0; i < latent.counts[run]; ++i) places.push_back(latent.unpackedPlace(run, i));
  sizes[static_cast<std::size_t>(dimension)] = latent.unpackedRank();
  return at::zeros(sizes, up.options()).index_copy_(dimension, at::tensor(places, at::kLong).to(up.device()), up);
}

bool isForKernels(const RecordLayout& layout) {
  return layout.runAlignment == 4 && layout.alignment == 16 && !layout.trellis;
}

}  // namespace

void useLatentAttention(at::DeviceType device, const LatentAttentionKernels& kernels) {
  registered[device == at::kCPU ? 0 : 1] = &kernels;
}

bool hasLatentAttention(at::Device device) { return kernelsOf(device) != nullptr; }

at::Tensor LatentAttended::exponent() const {
  const at::Tensor largest = statistics.select(3, 0), top = largest.amax(2);
  return top + at::log2((at::exp2(largest - top.unsqueeze(2)) * statistics.select(3, 1)).sum(2));
}

LatentAttended joined(const LatentAttended& a, const LatentAttended& b) {
  const at::Tensor ofA = a.exponent(), ofB = b.exponent(), all = at::logaddexp2(ofA, ofB);
  const auto share = [&](const LatentAttended& one, const at::Tensor& exponent) {
    return one.output.to(at::kFloat) * at::exp2(exponent - all).unsqueeze(-1);
  };
  return {(share(a, ofA) + share(b, ofB)).to(a.output.scalar_type()), at::cat({a.statistics, b.statistics}, 2)};
}

LatentRotation::LatentRotation(std::vector<float> frequencies, at::Device device) {
  frequencies_ = bytesOnDevice(frequencies.data(), frequencies.size() * sizeof(float), device).view(at::kFloat);
  if (frequencies.size() != 32 && frequencies.size() != 64) {
    refusal_ = fmt::format("the kernels rotate heads of 64 or 128 numbers whole, not {} pairs", frequencies.size());
  } else if (!std::ranges::is_sorted(frequencies, std::greater<>())) {
    refusal_ = "the kernels want the pairs' frequencies to fall";
  }
  if (!refusal_.empty() || kernelsOf(device) == nullptr) return;
  for (const auto& [table, segment, functions] : {std::tuple{&shortSegments_, 256, 16}, {&longSegments_, 1024, 32}}) {
    const RotationTable made = makeRotationTable(frequencies, segment, functions);
    constexpr double kFloat16Step = 1.0 / 1024;  // What is below is lost in the table's own rounding.
    if (made.error > kFloat16Step / 2) {
      refusal_ =
          fmt::format("{} functions hold the rotation in {} tokens to {:.1e} only", functions, segment, made.error);
      return;
    }
    *table = {segment, functions, bytesOnDevice(made.table.data(), made.table.size() * 2, device),
              bytesOnDevice(made.lowCosine.data(), made.lowCosine.size() * 4, device),
              bytesOnDevice(made.lowSine.data(), made.lowSine.size() * 4, device)};
  }
}

Result<RebuiltAttention> RebuiltAttention::make(std::vector<Group> groups,
                                                std::shared_ptr<const LatentRotation> rotation, int queriesPerHead) {
  if (groups.empty() || queriesPerHead < 1)
    return fail(ErrorCode::invalidArgument,
                "Attention over latents needs at least one group of heads, and a query for each.");
  RebuiltAttention result;
  result.queriesPerHead_ = queriesPerHead;
  const std::int64_t width = rotation->width();
  if (!groups.front().keyUp.defined())
    return fail(ErrorCode::invalidArgument, "What rebuilds the keys of group 0 are missing.");
  const LatentTensors wanted{groups.front().keyUp.device(), groups.front().keyUp.scalar_type()};
  const std::int64_t columns = groups.front().keyUp.dim() == 2 ? groups.front().keyUp.size(1) : 0;
  if (columns < width || columns % width != 0)
    return fail(ErrorCode::invalidArgument,
                fmt::format("What rebuilds the keys of group 0 has {} columns, which are no whole heads of {}.",
                            columns, width));
  if (rotation->frequencies().device() != wanted.device)
    return fail(ErrorCode::invalidArgument, fmt::format("The rotation is on {}, not on {}.",
                                                        rotation->frequencies().device().str(), wanted.device.str()));
  result.headsPerGroup_ = columns / width;
  result.packed_ = groups.front().keys.has_value();
  bool aligned = true;
  std::vector<RebuiltGroup> described;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group& group = groups[g];
    KVISTA_CHECK(checkTensor(fmt::format("What rebuilds the keys of group {}", g), group.keyUp, {-1, columns}, wanted));
    KVISTA_CHECK(
        checkTensor(fmt::format("What lifts the values of group {}", g), group.valueUp, {columns, -1}, wanted));
    if (group.keyOffset < 0 || group.valueOffset < 0)
      return fail(ErrorCode::invalidArgument, fmt::format("Group {} begins before its record.", g));
    if (group.keys.has_value() != result.packed_ || group.values.has_value() != result.packed_)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("Group {} is packed and others are not, or the other way round.", g));
    at::Tensor keyUp = group.keyUp, valueUp = group.valueUp;
    std::int64_t keyElements = keyUp.size(0), valueElements = valueUp.size(1);
    RebuiltGroup& own = described.emplace_back();
    if (result.packed_) {
      for (const auto& [name, codes, rank] :
           {std::tuple{"keys", &*group.keys, keyUp.size(0)}, std::tuple{"values", &*group.values, valueUp.size(1)}}) {
        KVISTA_CHECK(checkTensor(fmt::format("The steps of the {} of group {}", name, g), codes->steps, {rank},
                                 {wanted.device, at::kFloat}));
        if (codes->layout.rank() != rank)
          return fail(ErrorCode::invalidArgument,
                      fmt::format("The {} of group {} are packed as {} directions and rebuilt from {}.", name, g,
                                  codes->layout.rank(), rank));
        if (codes->layout.numberBytes != wanted.bytes())
          return fail(ErrorCode::invalidArgument,
                      fmt::format("The {} of group {} have numbers of {} bytes for factors of {}.", name, g,
                                  codes->layout.numberBytes, wanted.bytes()));
        aligned = aligned && isForKernels(codes->layout);
      }
      own.keys = packedLatent(group.keys->layout, group.keyOffset);
      own.values = packedLatent(group.values->layout, group.valueOffset);
      keyElements = group.keys->layout.bytes();
      valueElements = group.values->layout.bytes();
      result.largestKeyWords_ = std::max(result.largestKeyWords_, own.keys.words());
      result.largestValueWords_ = std::max(result.largestValueWords_, own.values.words());
      keyUp = unpackedUp(keyUp, *group.keys, own.keys, 0);
      valueUp = unpackedUp(valueUp, *group.values, own.values, 1);
      result.kernelUps_.insert(result.kernelUps_.end(), {keyUp, valueUp});
      aligned = aligned && (group.keyOffset | group.valueOffset) % 16 == 0;
    } else {
      aligned = aligned && (keyUp.size(0) | valueUp.size(1) | group.keyOffset | group.valueOffset) % 8 == 0;
    }
    result.keyElements_ = std::max(result.keyElements_, group.keyOffset + keyElements);
    result.valueElements_ = std::max(result.valueElements_, group.valueOffset + valueElements);
    result.largestKeyRank_ = std::max(result.largestKeyRank_, keyUp.size(0));
    result.largestValueRank_ = std::max(result.largestValueRank_, valueUp.size(1));
    own.keyUp = keyUp.const_data_ptr();
    own.valueUp = valueUp.const_data_ptr();
    own.keyOffset = group.keyOffset;
    own.valueOffset = group.valueOffset;
    own.keyRank = static_cast<std::int32_t>(keyUp.size(0));
    own.valueRank = static_cast<std::int32_t>(valueUp.size(1));
    own.firstHead = static_cast<std::int32_t>(static_cast<std::int64_t>(g) * result.headsPerGroup_);
  }
  const std::int64_t queries = result.headsPerGroup_ * queriesPerHead, largestValueRank = queries % 4 == 0 ? 256 : 128;
  const auto fits = [&](int functions) {
    return rebuiltSharedBytes(queries, width, result.largestKeyRank_, result.largestValueRank_, functions,
                              result.largestKeyWords_ + result.largestValueWords_) <= kSharedMemory;
  };
  result.longFits_ = !result.packed_ && fits(32);
  const LatentAttentionKernels* const kernels = kernelsOf(wanted.device);
  const auto number = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  RebuiltAttentionRun sizes{};
  sizes.queriesPerHead = queriesPerHead;
  sizes.headsPerGroup = number(result.headsPerGroup_);
  sizes.groupCount = number(static_cast<std::int64_t>(groups.size()));
  sizes.queryHeads = sizes.groupCount * sizes.headsPerGroup * queriesPerHead;
  sizes.width = number(width);
  sizes.maximumKeyRank = number(result.largestKeyRank_);
  sizes.maximumValueRank = number(result.largestValueRank_);
  sizes.maximumKeyWords = result.largestKeyWords_;
  sizes.maximumValueWords = result.largestValueWords_;
  result.blocksByWarpgroups_ = kernels != nullptr ? kernels->blocksByWarpgroups(sizes, indexOf(wanted.device)) : 0;
  if (kernels == nullptr)
    result.refusal_ = "there are no kernels for this device";
  else if (!typeRefusal(wanted.type).empty())
    result.refusal_ = typeRefusal(wanted.type);
  else if (!rotation->refusal().empty())
    result.refusal_ = rotation->refusal();
  else if (!aligned)
    result.refusal_ = result.packed_ ? "the kernels want latents that begin at multiples of 16 bytes, and their runs "
                                       "at multiples of 4, and codes without a trellis"
                                     : "the kernels want ranks and offsets that are multiples of 8";
  else if (result.largestValueRank_ > largestValueRank)
    result.refusal_ =
        fmt::format("the kernels sum values of rank {} at most, not {}", largestValueRank, result.largestValueRank_);
  else if (!fits(16))
    result.refusal_ =
        fmt::format("latents of rank {} do not fit into the memory of a block of threads", result.largestKeyRank_);
  else
    result.described_ = bytesOnDevice(described.data(), described.size() * sizeof(RebuiltGroup), wanted.device);
  result.groups_ = std::move(groups);
  result.rotation_ = std::move(rotation);
  return result;
}

Result<LatentAttended> RebuiltAttention::operator()(const at::Tensor& queries, const at::Tensor& keys,
                                                    const at::Tensor& values, double scale) const {
  const LatentTensors wanted{groups_.front().keyUp.device(), groups_.front().keyUp.scalar_type()};
  const std::int64_t queryHeads = static_cast<std::int64_t>(groups_.size()) * headsPerGroup_ * queriesPerHead_;
  KVISTA_CHECK(checkCall(queries, keys, values, queryHeads, rotation_->width(), keyElements_, valueElements_, wanted,
                         packed_ ? at::kByte : wanted.type));
  if (!refusal_.empty()) return byOperators(queries, keys, values, scale);
  const std::int64_t step = packed_ ? 16 : 8;
  for (const at::Tensor& x : {keys, values})
    if (x.stride(0) % step != 0 || x.stride(1) % step != 0 ||
        reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 != 0)
      return fail(ErrorCode::invalidArgument, "The kernels want records that begin at multiples of 16 bytes.");
  return runKernels(*kernelsOf(wanted.device), queries, keys, values, scale);
}

std::pair<const LatentRotation::Table*, std::int64_t> RebuiltAttention::segmentsFor(std::int64_t batch,
                                                                                    std::int64_t tokens) const {
  const LatentRotation::Table &longer = rotation_->longSegments_, &shorter = rotation_->shortSegments_;
  const std::int64_t heads = headsPerGroup_ * queriesPerHead_,
                     queryHeads = static_cast<std::int64_t>(groups_.size()) * heads;
  for (std::int64_t segment = longer.tokens; segment >= 256; segment /= 2)
    if (blocksByWarpgroups_ > 0 &&
        segmentsOf(tokens, segment) * batch * queryHeads / 4 >= blocksByWarpgroups_ * kMultiprocessors)
      return {&longer, segment};
  // Blocks of four heads want short segments' smaller table, and so do single heads where there are so many segments
  // that a block goes through several of them; others want long ones, where there are enough of them.
  const std::int64_t longBlocks = segmentsOf(tokens, longer.tokens) * batch * queryHeads / (heads % 2 == 0 ? 2 : 1);
  const bool wantsLong =
      heads % 4 != 0 && longBlocks >= 2 * kBusyBlocks && (heads % 2 == 0 || longBlocks < 8 * kBusyBlocks);
  const LatentRotation::Table& table = longFits_ && wantsLong ? longer : shorter;
  return {&table, table.tokens};
}

Result<LatentAttended> RebuiltAttention::runKernels(const LatentAttentionKernels& kernels, const at::Tensor& queries,
                                                    const at::Tensor& keys, const at::Tensor& values,
                                                    double scale) const {
  const std::int64_t batch = queries.size(0), queryHeads = queries.size(1), tokens = keys.size(1);
  const auto [table, segment] = segmentsFor(batch, tokens);
  const std::int64_t segments = segmentsOf(tokens, segment);
  const at::TensorOptions floats = queries.options().dtype(at::kFloat);
  at::Tensor partials = at::empty({batch, queryHeads, segments, largestValueRank_}, floats);
  at::Tensor statistics = at::empty({batch, queryHeads, segments, 2}, floats);
  at::Tensor result = at::empty_like(queries);
  const auto number = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  const RebuiltAttentionRun run{queries.const_data_ptr(),
                                keys.const_data_ptr(),
                                values.const_data_ptr(),
                                keys.stride(0),
                                keys.stride(1),
                                values.stride(0),
                                values.stride(1),
                                static_cast<const RebuiltGroup*>(described_.const_data_ptr()),
                                rotation_->frequencies_.const_data_ptr<float>(),
                                table->table.const_data_ptr(),
                                static_cast<const float*>(table->cosine.const_data_ptr()),
                                static_cast<const float*>(table->sine.const_data_ptr()),
                                partials.mutable_data_ptr<float>(),
                                statistics.mutable_data_ptr<float>(),
                                result.mutable_data_ptr(),
                                static_cast<float>(scale),
                                number(batch),
                                number(tokens),
                                number(queryHeads),
                                number(queriesPerHead_),
                                number(queries.size(2)),
                                number(static_cast<std::int64_t>(groups_.size())),
                                number(headsPerGroup_),
                                number(largestKeyRank_),
                                number(largestValueRank_),
                                number(segment),
                                table->lowFunctions,
                                table->tokens,
                                number(keyElements_),
                                number(valueElements_),
                                largestKeyWords_,
                                largestValueWords_};
  if (const char* words = kernels.rebuilt(run, halfType(queries.scalar_type()), indexOf(queries.device())))
    return refused(words);
  return LatentAttended{std::move(result), std::move(statistics)};
}

Result<DirectAttention> DirectAttention::make(std::vector<Head> heads, int queriesPerHead) {
  if (heads.empty() || queriesPerHead < 1)
    return fail(ErrorCode::invalidArgument, "Attention over latents needs at least one head, and a query for each.");
  if (!heads.front().keys.up.defined() || heads.front().keys.up.dim() != 2)
    return fail(ErrorCode::invalidArgument, "What rebuilds the keys of head 0 is no matrix.");
  DirectAttention result;
  result.queriesPerHead_ = queriesPerHead;
  const LatentTensors wanted{heads.front().keys.up.device(), heads.front().keys.up.scalar_type()};
  const std::int64_t width = heads.front().keys.up.size(0);
  bool aligned = true;
  std::vector<DirectGroup> described;
  for (std::size_t h = 0; h < heads.size(); ++h) {
    DirectGroup group{};
    for (const auto& [name, latent, packed, bytes] :
         {std::tuple{"keys", &heads[h].keys, &group.keys, &result.keyBytes_},
          std::tuple{"values", &heads[h].values, &group.values, &result.valueBytes_}}) {
      const RecordLayout& layout = latent->layout;
      KVISTA_CHECK(checkTensor(fmt::format("What lifts the {} of head {}", name, h), latent->up, {width, layout.rank()},
                               wanted));
      KVISTA_CHECK(checkTensor(fmt::format("The steps of the {} of head {}", name, h), latent->steps, {layout.rank()},
                               {wanted.device, at::kFloat}));
      if (latent->offset < 0)
        return fail(ErrorCode::invalidArgument, fmt::format("The {} of head {} begin before their record.", name, h));
      if (layout.numberBytes != latent->up.element_size())
        return fail(ErrorCode::invalidArgument,
                    fmt::format("The {} of head {} have numbers of {} bytes for factors of {}.", name, h,
                                layout.numberBytes, latent->up.element_size()));
      *bytes = std::max(*bytes, latent->offset + layout.bytes());
      aligned = aligned && latent->offset % 16 == 0 && isForKernels(layout);
      *packed = packedLatent(layout, latent->offset);
      result.largestRank_ = std::max<std::int64_t>(result.largestRank_, packed->rank);
      const PartsAsDirections parts = partsAsDirections(layout, wanted.device);
      const at::Tensor up = latent->up.index_select(1, parts.directions),
                       steps = latent->steps.index_select(0, parts.directions) * parts.factors;
      packed->up = up.const_data_ptr();
      packed->steps = steps.const_data_ptr<float>();
      result.kernelFactors_.insert(result.kernelFactors_.end(), {up, steps});
    }
    result.largestKeyWords_ = std::max(result.largestKeyWords_, group.keys.words());
    result.largestValueWords_ = std::max(result.largestValueWords_, group.values.words());
    result.largestValueUnits_ = std::max(result.largestValueUnits_, group.values.units());
    described.push_back(group);
  }
  // Memory of a block of threads of the kernel of direct_attention.cu, at most.
  const std::int64_t keyWords = std::max(result.largestKeyWords_, 16),
                     valueWords = std::max(result.largestValueWords_, 16);
  const std::int64_t shared = 4 * 2 * 32 * (keyWords + valueWords + 8) * 4 +
                              (result.largestRank_ / 16 + keyWords / 4 + 8) * 320 +
                              4 * queriesPerHead * (std::int64_t{result.largestValueUnits_} * 128 + 160) + 4096;
  if (kernelsOf(wanted.device) == nullptr)
    result.refusal_ = "there are no kernels for this device";
  else if (!typeRefusal(wanted.type).empty())
    result.refusal_ = typeRefusal(wanted.type);
  else if (!aligned)
    result.refusal_ =
        "the kernels want latents that begin at multiples of 16 bytes, and their runs at multiples of 4, and codes "
        "without a trellis";
  else if (queriesPerHead > 8)
    result.refusal_ = fmt::format("the kernels take 8 queries a head at most, not {}", queriesPerHead);
  else if (result.largestRank_ > 512 || result.largestValueUnits_ > 24 || shared > kSharedMemory)
    result.refusal_ = fmt::format("latents of rank {} do not fit into a block of threads", result.largestRank_);
  else
    result.described_ = bytesOnDevice(described.data(), described.size() * sizeof(DirectGroup), wanted.device);
  result.heads_ = std::move(heads);
  return result;
}

Result<LatentAttended> DirectAttention::operator()(const at::Tensor& queries, const at::Tensor& keys,
                                                   const at::Tensor& values, double scale) const {
  const at::Tensor& up = heads_.front().keys.up;
  const std::int64_t queryHeads = static_cast<std::int64_t>(heads_.size()) * queriesPerHead_;
  KVISTA_CHECK(checkCall(queries, keys, values, queryHeads, up.size(0), keyBytes_, valueBytes_,
                         {up.device(), up.scalar_type()}, at::kByte));
  if (!refusal_.empty()) return byOperators(queries, keys, values, scale);
  for (const at::Tensor& x : {keys, values})
    if (x.stride(0) % 16 != 0 || x.stride(1) % 16 != 0 ||
        reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 != 0)
      return fail(ErrorCode::invalidArgument, "The kernels want records that begin at multiples of 16 bytes.");
  return runKernels(*kernelsOf(up.device()), queries, keys, values, scale);
}

Result<LatentAttended> DirectAttention::runKernels(const LatentAttentionKernels& kernels, const at::Tensor& queries,
                                                   const at::Tensor& keys, const at::Tensor& values,
                                                   double scale) const {
  const std::int64_t batch = queries.size(0), queryHeads = queries.size(1), tokens = keys.size(1);
  std::int64_t segment = 16384;  // Long ones, as long as there are enough of them.
  while (segment > 128 && segmentsOf(tokens, segment) * batch * static_cast<std::int64_t>(heads_.size()) < kBusyBlocks)
    segment /= 2;
  const std::int64_t segments = segmentsOf(tokens, segment);
  const at::TensorOptions floats = queries.options().dtype(at::kFloat);
  at::Tensor weights = at::empty({batch, queryHeads, largestRank_}, queries.options()),
             units = at::empty({batch, queryHeads, 2}, floats);
  at::Tensor partials = at::empty({batch, queryHeads, segments, largestRank_}, floats);
  at::Tensor statistics = at::empty({batch, queryHeads, segments, 2}, floats);
  at::Tensor result = at::empty_like(queries);
  const auto number = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  const DirectAttentionRun run{queries.const_data_ptr(),
                               keys.const_data_ptr(),
                               values.const_data_ptr(),
                               keys.stride(0),
                               keys.stride(1),
                               values.stride(0),
                               values.stride(1),
                               static_cast<const DirectGroup*>(described_.const_data_ptr()),
                               weights.mutable_data_ptr(),
                               units.mutable_data_ptr<float>(),
                               partials.mutable_data_ptr<float>(),
                               statistics.mutable_data_ptr<float>(),
                               result.mutable_data_ptr(),
                               static_cast<float>(scale),
                               number(batch),
                               number(tokens),
                               number(queryHeads),
                               number(queriesPerHead_),
                               number(queries.size(2)),
                               number(largestRank_),
                               largestKeyWords_,
                               largestValueWords_,
                               largestValueUnits_,
                               number(segment)};
  if (const char* words = kernels.direct(run, halfType(queries.scalar_type()), indexOf(queries.device())))
    return refused(words);
  return LatentAttended{std::move(result), std::move(statistics)};
}

}  // namespace kvista
