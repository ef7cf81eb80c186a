// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// GPTQ: columns of codes packed along the inputs, zero points packed along the outputs, a scale for each group of
// inputs.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/base/all_cores.h"
#include "core/io/json_file.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;
/// Outputs that are filled together: their rows' cache lines stay at hand while inputs are gone through.
constexpr std::uint64_t kTile = 64;
constexpr std::int64_t kLargestGroup = 1 << 20;

struct GptqWeight {
  TensorInfo codes, zeros, scales;    // [in bits / 32, out], [groups, out bits / 32], [groups, out]
  std::optional<TensorInfo> groupOf;  // [in]
  std::int64_t in = 0, out = 0, groupSize = 0;
  std::uint32_t bits = 4;
  std::uint32_t zeroShift = 1;  // files of the first version hold zero points less one
};

/// out[o][i] = (code - zero[group of i][o]) scale[group of i][o]: Frantar et al., GPTQ (2022), as AutoGPTQ writes it.
Result<void> readGptq(const TensorStore& store, const GptqWeight& weight, std::span<float> out) {
  const auto in = static_cast<std::uint64_t>(weight.in), outputs = static_cast<std::uint64_t>(weight.out);
  const std::int64_t groups = weight.scales.shape[0];
  KVISTA_ASSIGN(const std::vector<float> scales, floatsOf(store, weight.scales));
  KVISTA_ASSIGN(const std::vector<std::uint32_t> groupOf,
                groupOfEach(store, weight.groupOf ? &*weight.groupOf : nullptr, weight.in, weight.groupSize, groups));
  const auto codes = numbersOf<std::uint32_t>(store, weight.codes),
             packedZeros = numbersOf<std::uint32_t>(store, weight.zeros);
  std::vector<std::int32_t> zeros(scales.size());
  const std::uint64_t zeroWords = outputs * weight.bits / 32;
  for (std::uint64_t i = 0; i < zeros.size(); ++i) {
    const std::uint32_t stored =
        codeAt(packedZeros.data() + i / outputs * zeroWords, i % outputs * weight.bits, 1, weight.bits);
    zeros[i] = static_cast<std::int32_t>((stored + weight.zeroShift) & ((1U << weight.bits) - 1));
  }
  onAllCores(outputs, kWorthAThread / std::max<std::uint64_t>(in, 1) + 1, kTile,
             [&](std::uint64_t first, std::uint64_t last) {
               for (std::uint64_t tile = first; tile < last; tile += kTile)
                 for (std::uint64_t i = 0; i < in; ++i)
                   for (std::uint64_t o = tile; o < std::min(last, tile + kTile); ++o) {
                     const std::uint64_t place = groupOf[i] * outputs + o;
                     const auto code =
                         static_cast<std::int32_t>(codeAt(codes.data() + o, i * weight.bits, outputs, weight.bits));
                     out[o * in + i] = static_cast<float>(code - zeros[place]) * scales[place];
                   }
             });
  return {};
}

}  // namespace

Result<void> readGptqWeights(QuantisedTensors& tensors) {
  KVISTA_ASSIGN(const std::int64_t bits, tensors.integer("bits", 4, 2, 8));
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    return tensors.unsupported(fmt::format("has {} bits, where 2, 3, 4 or 8 are read", bits));
  KVISTA_ASSIGN(const std::int64_t groupSize, tensors.integer("group_size", -1, -1, kLargestGroup));
  if (groupSize == 0) return tensors.unsupported("has a group_size of 0");
  KVISTA_ASSIGN(const std::string newer, tensors.text("format", "gptq"));
  KVISTA_ASSIGN(const std::string format, tensors.text("checkpoint_format", newer));
  if (format != "gptq" && format != "gptq_v2")
    return tensors.unsupported(
        fmt::format("has the checkpoint_format {}, where gptq and gptq_v2 are read", quoteForMessage(format)));
  for (const std::string& module : tensors.namesBefore(".qweight")) {
    GptqWeight weight;
    weight.bits = static_cast<std::uint32_t>(bits);
    weight.zeroShift = format == "gptq" ? 1 : 0;
    KVISTA_ASSIGN(const TensorInfo* const codes, tensors.need(module + ".qweight", {DataType::i32}, {-1, -1}));
    weight.out = codes->shape[1];
    // What a file holds can be multiplied by 32 without overflow: a word has four bytes already.
    if (codes->shape[0] * 32 % bits != 0 || weight.out * bits % 32 != 0)
      return QuantisedTensors::corrupt(*codes, fmt::format("[{}, {}] holds no whole number of codes of {} bits",
                                                           codes->shape[0], codes->shape[1], bits));
    weight.in = codes->shape[0] * 32 / bits;
    weight.groupSize = groupSize == -1 ? std::max<std::int64_t>(weight.in, 1) : groupSize;
    const std::int64_t groups = groupsIn(weight.in, weight.groupSize);
    KVISTA_ASSIGN(const TensorInfo* const zeros,
                  tensors.need(module + ".qzeros", {DataType::i32}, {groups, weight.out * bits / 32}));
    KVISTA_ASSIGN(
        const TensorInfo* const scales,
        tensors.need(module + ".scales", {DataType::f16, DataType::bf16, DataType::f32}, {groups, weight.out}));
    if (tensors.find(module + ".g_idx") != nullptr) {
      KVISTA_ASSIGN(const TensorInfo* const groupOf, tensors.need(module + ".g_idx", {DataType::i32}, {weight.in}));
      weight.groupOf = *groupOf;
    }
    weight.codes = *codes;
    weight.zeros = *zeros;
    weight.scales = *scales;
    tensors.replace(module + ".weight", {weight.out, weight.in}, codes->file,
                    {codes->name, zeros->name, scales->name, module + ".g_idx"},
                    [store = tensors.keep(), weight](std::span<float> out) { return readGptq(*store, weight, out); });
  }
  return {};
}

}  // namespace kvista
