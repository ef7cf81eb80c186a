// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// compressed-tensors: bytes times scales, or symmetric integers packed along the inputs.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/all_cores.h"
#include "core/io/json_file.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;

/// What all of config_groups say about weights under `key`; null where none says anything.
Result<nlohmann::json> weightSetting(const QuantisedTensors& tensors, const char* key) {
  nlohmann::json value;
  const auto groups = tensors.settings().find("config_groups");
  if (groups == tensors.settings().end() || !groups->is_object()) return value;
  for (const nlohmann::json& group : *groups) {
    const auto weights = group.is_object() ? group.find("weights") : group.end();
    if (!group.is_object() || weights == group.end() || !weights->is_object() || !weights->contains(key)) continue;
    const nlohmann::json& found = (*weights)[key];
    if (!value.is_null() && !found.is_null() && value != found)
      return tensors.unsupported(fmt::format("has groups with different {}", key));
    if (value.is_null()) value = found;
  }
  return value;
}

struct PackedWeight {
  TensorInfo codes, scales;           // [out, words], [out, groups]
  std::optional<TensorInfo> groupOf;  // [in]
  std::int64_t out = 0, in = 0, groups = 0;
  std::uint32_t bits = 4;
};

/// out[o][i] = (code - 2^(bits - 1)) scale[o][group of i].
Result<void> readPacked(const TensorStore& store, const PackedWeight& weight, std::span<float> out) {
  KVISTA_ASSIGN(const std::vector<float> scales, floatsOf(store, weight.scales));
  KVISTA_ASSIGN(
      const std::vector<std::uint32_t> groupOf,
      groupOfEach(store, weight.groupOf ? &*weight.groupOf : nullptr, weight.in,
                  std::max<std::int64_t>(weight.in / std::max<std::int64_t>(weight.groups, 1), 1), weight.groups));
  const auto codes = numbersOf<std::uint32_t>(store, weight.codes);
  const auto rows = static_cast<std::uint64_t>(weight.out), in = static_cast<std::uint64_t>(weight.in),
             groups = static_cast<std::uint64_t>(weight.groups);
  const auto words = static_cast<std::uint64_t>(weight.codes.shape[1]);
  const auto half = static_cast<std::int32_t>(1U << (weight.bits - 1));
  onAllCores(rows, kWorthAThread / std::max<std::uint64_t>(in, 1) + 1, 1, [&](std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t row = first; row < last; ++row)
      for (std::uint64_t i = 0; i < in; ++i) {
        const auto code =
            static_cast<std::int32_t>(codeAt(codes.data() + row * words, i * weight.bits, 1, weight.bits));
        out[row * in + i] = static_cast<float>(code - half) * scales[row * groups + groupOf[i]];
      }
  });
  return {};
}

/// Out and in, from the tensor beside the codes that says so.
Result<std::pair<std::int64_t, std::int64_t>> readShape(const QuantisedTensors& tensors, const std::string& name) {
  KVISTA_ASSIGN(const TensorInfo* const shape, tensors.need(name, {DataType::i64, DataType::i32}, {2}));
  std::vector<std::int64_t> lengths;
  if (shape->type == DataType::i64) {
    lengths = numbersOf<std::int64_t>(tensors.source(), *shape);
  } else {
    for (const std::int32_t length : numbersOf<std::int32_t>(tensors.source(), *shape)) lengths.push_back(length);
  }
  if (lengths[0] < 1 || lengths[1] < 1 || lengths[1] > std::int64_t{1} << 40)
    return QuantisedTensors::corrupt(*shape, "holds no two lengths");
  return std::pair(lengths[0], lengths[1]);
}

Result<void> readPackedWeights(QuantisedTensors& tensors) {
  KVISTA_ASSIGN(const nlohmann::json bits, weightSetting(tensors, "num_bits"));
  if (bits != 4 && bits != 8) return tensors.unsupported("packs weights of other than 4 or 8 bits");
  for (const std::string& name : tensors.namesBefore("_packed")) {
    PackedWeight weight;
    weight.bits = bits.get<std::uint32_t>();
    KVISTA_ASSIGN(const auto lengths, readShape(tensors, name + "_shape"));
    weight.out = lengths.first;
    weight.in = lengths.second;
    KVISTA_ASSIGN(const TensorInfo* const codes,
                  tensors.need(name + "_packed", {DataType::i32}, {weight.out, groupsIn(weight.in, 32 / weight.bits)}));
    KVISTA_ASSIGN(const TensorInfo* const scales,
                  tensors.need(name + "_scale", {DataType::f16, DataType::bf16, DataType::f32}, {weight.out, -1}));
    weight.groups = scales->shape[1];
    if (weight.groups < 1 || weight.in % weight.groups != 0)
      return QuantisedTensors::corrupt(
          *scales, fmt::format("has {} scales a row, which {} inputs cannot share evenly", weight.groups, weight.in));
    if (const TensorInfo* zero = tensors.find(name + "_zero_point"); zero != nullptr)
      return QuantisedTensors::corrupt(*zero, "says where zero lies, which is not read beside packed weights");
    if (tensors.find(name + "_g_idx") != nullptr) {
      KVISTA_ASSIGN(const TensorInfo* const groupOf, tensors.need(name + "_g_idx", {DataType::i32}, {weight.in}));
      weight.groupOf = *groupOf;
    }
    weight.codes = *codes;
    weight.scales = *scales;
    tensors.replace(name, {weight.out, weight.in}, codes->file,
                    {codes->name, scales->name, name + "_shape", name + "_g_idx"},
                    [store = tensors.keep(), weight](std::span<float> out) { return readPacked(*store, weight, out); });
  }
  return {};
}

}  // namespace

Result<void> readCompressedTensors(QuantisedTensors& tensors) {
  KVISTA_ASSIGN(const std::string format, tensors.text("format", "unnamed"));
  if (const auto sparsity = tensors.settings().find("sparsity_config");
      sparsity != tensors.settings().end() && sparsity->is_object() && !sparsity->empty())
    if (sparsity->value("format", nlohmann::json("dense")) != "dense")
      return tensors.unsupported("leaves zeros out of its weights, which is not read");
  if (format == "pack-quantized") return readPackedWeights(tensors);
  if (format != "float-quantized" && format != "int-quantized" && format != "naive-quantized")
    return tensors.unsupported(fmt::format(
        "has the format {}, where float-quantized, int-quantized, naive-quantized and pack-quantized are read",
        quoteForMessage(format)));
  KVISTA_ASSIGN(const nlohmann::json sizes, weightSetting(tensors, "block_structure"));
  return readScaled(tensors, sizes);
}

}  // namespace kvista
