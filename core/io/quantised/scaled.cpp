// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Bytes times scales: float8 of DeepSeek and Qwen (blocks), of fbgemm (rows) and of compressed-tensors; int8 of the
// last. Stacks of experts have those of each matrix.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/all_cores.h"
#include "core/io/float_conversion.h"
#include "core/io/json_file.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;
constexpr std::int64_t kLargestBlock = 1 << 20;

/// The numbers that the 256 codes of a type stand for.
std::array<float, 256> numbersOfCodes(DataType type) {
  std::array<float, 256> numbers{};
  for (std::uint32_t code = 0; code < 256; ++code) {
    if (type == DataType::i8) {
      numbers[code] = static_cast<float>(static_cast<std::int8_t>(code));
    } else if (type == DataType::f8e5m2) {  // The upper half of a half.
      numbers[code] = floatFromHalf(static_cast<std::uint16_t>(code << 8));
    } else {
      // E4M3: exponents are biased by 7, there is no infinity, and all ones are NaN. As a half with the bits in place
      // it is 2^8 too small.
      const float half = floatFromHalf(static_cast<std::uint16_t>((code & 0x80) << 8 | (code & 0x7f) << 7));
      numbers[code] = (code & 0x7f) == 0x7f ? std::bit_cast<float>(0x7fc00000U) : half * 256;
    }
  }
  return numbers;
}

/// How many rows and columns share a scale.
struct Block {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
};

/// From the scale's shape: one for all, one a matrix of a stack, a row or a column, or one for each of `block`.
Result<Block> blockOf(const TensorInfo& weight, const TensorInfo& scale, const Block& block) {
  const std::size_t axes = weight.shape.size();
  const std::int64_t rows = weight.shape[axes - 2], columns = weight.shape[axes - 1];
  const auto scalesAre = [&](std::initializer_list<std::int64_t> ofMatrix) {
    std::vector<std::int64_t> shape(weight.shape.begin(), weight.shape.end() - 2);
    shape.insert(shape.end(), ofMatrix);
    return scale.shape == shape;
  };
  if (scale.count() == 1 || scalesAre({}) || scalesAre({1}) || scalesAre({1, 1})) return Block{rows, columns};
  if (scalesAre({rows}) || scalesAre({rows, 1})) return Block{1, columns};
  if (scalesAre({groupsIn(rows, block.rows), groupsIn(columns, block.columns)})) return block;
  if (axes == 3 && scalesAre({1, columns})) return Block{rows, 1};
  return QuantisedTensors::corrupt(
      scale, fmt::format("has shape [{}], which is none for a weight [{}] in blocks of {} by {}",
                         fmt::join(scale.shape, ", "), fmt::join(weight.shape, ", "), block.rows, block.columns));
}

Result<Block> blockOfSettings(const QuantisedTensors& tensors, const nlohmann::json& sizes) {
  if (sizes.is_null()) return Block{128, 128};
  const auto isSize = [](const nlohmann::json& size) {
    return size.is_number_integer() && size >= 1 && size <= kLargestBlock;
  };
  if (!sizes.is_array() || sizes.size() != 2 || !isSize(sizes[0]) || !isSize(sizes[1]))
    return tensors.unsupported("has no two block lengths");
  return Block{sizes[0].get<std::int64_t>(), sizes[1].get<std::int64_t>()};
}

Result<std::vector<float>> scalesOf(const TensorStore& store, const TensorInfo& scale) {
  if (scale.type != DataType::u8) return floatsOf(store, scale);
  std::vector<float> scales;
  for (const std::uint8_t code : numbersOf<std::uint8_t>(store, scale)) scales.push_back(powerOfCode(code));
  return scales;
}

Result<void> multiply(const TensorStore& store, const TensorInfo& weight, const TensorInfo& scale, const Block& block,
                      std::uint64_t matrix, std::span<float> out) {
  const std::array<float, 256> numbers = numbersOfCodes(weight.type);
  KVISTA_ASSIGN(const std::vector<float> all, scalesOf(store, scale));
  const auto* codes = reinterpret_cast<const unsigned char*>(store.raw(weight).data()) + matrix * out.size();
  const std::size_t axes = weight.shape.size();
  const auto rows = static_cast<std::uint64_t>(weight.shape[axes - 2]),
             columns = static_cast<std::uint64_t>(weight.shape[axes - 1]);
  const auto blockRows = static_cast<std::uint64_t>(block.rows),
             blockColumns = static_cast<std::uint64_t>(block.columns);
  const std::uint64_t scalesOfRow = (columns + blockColumns - 1) / blockColumns;
  const std::uint64_t scalesOfMatrix = scalesOfRow * ((rows + blockRows - 1) / blockRows);
  const float* scales = all.data() + (all.size() == 1 ? 0 : matrix * scalesOfMatrix);
  onAllCores(rows, kWorthAThread / columns + 1, 1, [&](std::uint64_t firstRow, std::uint64_t endRow) {
    for (std::uint64_t row = firstRow; row < endRow; ++row)
      for (std::uint64_t begin = 0; begin < columns; begin += blockColumns) {
        const float factor = scales[row / blockRows * scalesOfRow + begin / blockColumns];
        const std::uint64_t end = std::min(columns, begin + blockColumns);
        for (std::uint64_t i = row * columns + begin; i < row * columns + end; ++i) out[i] = numbers[codes[i]] * factor;
      }
  });
  return {};
}

constexpr std::initializer_list<DataType> kScaleTypes = {DataType::f32, DataType::bf16, DataType::f16, DataType::u8};

}  // namespace

Result<void> readScaled(QuantisedTensors& tensors, const nlohmann::json& sizes) {
  KVISTA_ASSIGN(const Block usual, blockOfSettings(tensors, sizes));
  for (const auto& [name, weight] : tensors.source().tensors()) {
    if (weight.type != DataType::f8e4m3 && weight.type != DataType::f8e5m2 && weight.type != DataType::i8) continue;
    const TensorInfo* scale = tensors.find(name + "_scale_inv");
    if (scale == nullptr) scale = tensors.find(name + "_scale");
    if (scale == nullptr)
      return QuantisedTensors::corrupt(weight,
                                       fmt::format("is made of {}, but has no scale beside it", nameOf(weight.type)));
    if (weight.shape.size() != 2 && weight.shape.size() != 3)
      return QuantisedTensors::corrupt(
          weight, fmt::format("of {} has shape [{}] instead of two lengths, or three of a stack", nameOf(weight.type),
                              fmt::join(weight.shape, ", ")));
    if (weight.count() == 0) return QuantisedTensors::corrupt(weight, "is empty");
    if (tensors.source().raw(weight).empty())
      return QuantisedTensors::corrupt(weight, "does not lie in row-major order");
    if (std::ranges::find(kScaleTypes, scale->type) == kScaleTypes.end())
      return QuantisedTensors::corrupt(
          *scale, fmt::format("is made of {} instead of F32, BF16, F16 or U8", nameOf(scale->type)));
    if (const TensorInfo* zero = tensors.find(name + "_zero_point"); zero != nullptr)
      return QuantisedTensors::corrupt(*zero, "says where zero lies, which is not read beside bytes");
    KVISTA_ASSIGN(const Block block, blockOf(weight, *scale, usual));
    tensors.replaceStack(
        name, weight.shape, weight.file, {scale->name},
        [store = tensors.keep(), weight = weight, scale = *scale, block](std::uint64_t matrix, std::span<float> out) {
          return multiply(*store, weight, scale, block, matrix, out);
        });
  }
  // Scales of what flows through the layers have no part in the weights.
  for (const char* suffix :
       {".activation_scale", ".input_scale", ".input_scale_ub", ".output_scale", ".k_scale", ".v_scale"})
    for (const std::string& name : tensors.namesBefore(suffix)) tensors.hide(name + suffix);
  return {};
}

Result<void> readScaledWeights(QuantisedTensors& tensors) {
  const auto& settings = tensors.settings();
  return readScaled(tensors, settings.contains("weight_block_size") ? settings["weight_block_size"] : nlohmann::json());
}

}  // namespace kvista
