// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// bitsandbytes: nf4 and fp4 in blocks whose scales may be quantised themselves, and int8 by rows.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/all_cores.h"
#include "core/io/json_file.h"
#include "core/io/quantised/quantised_tensors.h"

namespace kvista {
namespace {

constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;
constexpr std::int64_t kLargestBlock = 1 << 20;
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 48;
constexpr std::string_view kStateMark = ".quant_state.bitsandbytes__";

struct FourBitWeight {
  TensorInfo codes, absmax, map;
  std::optional<TensorInfo> nestedAbsmax, nestedMap;  // absmax has codes of its own
  float nestedOffset = 0;
  std::uint64_t count = 0, blockSize = 0, nestedBlockSize = 0;
};

/// The largest size in each block: as it stands there, or a code of a map times the largest of its own block, plus the
/// mean.
Result<std::vector<float>> readAbsmax(const TensorStore& store, const FourBitWeight& weight) {
  if (!weight.nestedAbsmax) return floatsOf(store, weight.absmax);
  KVISTA_ASSIGN(const std::vector<float> nested, floatsOf(store, *weight.nestedAbsmax));
  KVISTA_ASSIGN(const std::vector<float> map, floatsOf(store, *weight.nestedMap));
  const auto codes = numbersOf<std::uint8_t>(store, weight.absmax);
  std::vector<float> absmax(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i)
    absmax[i] = map[codes[i]] * nested[i / weight.nestedBlockSize] + weight.nestedOffset;
  return absmax;
}

/// Two codes a byte, the upper first: Dettmers et al., QLoRA (2023).
Result<void> readFourBit(const TensorStore& store, const FourBitWeight& weight, std::span<float> out) {
  KVISTA_ASSIGN(const std::vector<float> absmax, readAbsmax(store, weight));
  KVISTA_ASSIGN(const std::vector<float> map, floatsOf(store, weight.map));
  const auto* codes = reinterpret_cast<const unsigned char*>(store.raw(weight.codes).data());
  onAllCores(weight.count, kWorthAThread, weight.blockSize, [&](std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t i = first; i < last; ++i) {
      const unsigned code = i % 2 == 0 ? codes[i / 2] >> 4U : codes[i / 2] & 15U;
      out[i] = map[code] * absmax[i / weight.blockSize];
    }
  });
  return {};
}

/// Fields of the JSON text that lies in a tensor beside each weight.
class QuantState {
 public:
  static Result<QuantState> read(const TensorStore& store, const TensorInfo& tensor) {
    const auto bytes = store.raw(tensor);
    KVISTA_ASSIGN(nlohmann::json json,
                  parseJson({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                            fmt::format("{}: tensor {}", tensor.file.string(), quoteForMessage(tensor.name))));
    if (!json.is_object()) return QuantisedTensors::corrupt(tensor, "holds no JSON object");
    return QuantState(std::move(json), tensor);
  }
  [[nodiscard]] Result<std::int64_t> blockSize(const char* key) const {
    const auto field = json_.find(key);
    if (field == json_.end() || !field->is_number_integer() || *field < 1 || *field > kLargestBlock)
      return QuantisedTensors::corrupt(tensor_,
                                       fmt::format("has no whole number from 1 to {} as {}", kLargestBlock, key));
    return field->get<std::int64_t>();
  }
  [[nodiscard]] Result<float> offset() const {
    const auto field = json_.find("nested_offset");
    if (field == json_.end() || !field->is_number())
      return QuantisedTensors::corrupt(tensor_, "has no number as nested_offset");
    return field->get<float>();
  }
  [[nodiscard]] Result<std::vector<std::int64_t>> shape() const {
    const auto field = json_.find("shape");
    std::vector<std::int64_t> shape;
    std::int64_t count = 1;
    for (const nlohmann::json& length : field != json_.end() && field->is_array() ? *field : nlohmann::json::array()) {
      const bool fits = shape.size() < 2 && length.is_number_integer() && length >= 1 && length <= kMostNumbers &&
                        !__builtin_mul_overflow(count, length.get<std::int64_t>(), &count) && count <= kMostNumbers;
      if (!fits) return QuantisedTensors::corrupt(tensor_, "has no shape of two lengths");
      shape.push_back(length.get<std::int64_t>());
    }
    if (shape.size() != 2) return QuantisedTensors::corrupt(tensor_, "has no shape of two lengths");
    return shape;
  }

 private:
  QuantState(nlohmann::json json, TensorInfo tensor) : json_(std::move(json)), tensor_(std::move(tensor)) {}
  nlohmann::json json_;
  TensorInfo tensor_;
};

/// `name` is the weight's, `stateName` that of the JSON beside it.
Result<void> replaceFourBit(QuantisedTensors& tensors, const std::string& name, const std::string& stateName) {
  KVISTA_ASSIGN(const TensorInfo* const stateTensor, tensors.need(stateName, {DataType::u8}, {-1}));
  KVISTA_ASSIGN(const QuantState state, QuantState::read(tensors.source(), *stateTensor));
  KVISTA_ASSIGN(const std::vector<std::int64_t> shape, state.shape());
  KVISTA_ASSIGN(const std::int64_t blockSize, state.blockSize("blocksize"));
  const std::int64_t count = shape[0] * shape[1], blocks = groupsIn(count, blockSize);
  // The bytes may be called by any type: what weights are stored as to be sharded.
  KVISTA_ASSIGN(const TensorInfo* const codes,
                tensors.need(name, {DataType::u8, DataType::bf16, DataType::f16, DataType::f32}, {-1, 1}));
  if (tensors.source().raw(*codes).size() != static_cast<std::size_t>(groupsIn(count, 2)))
    return QuantisedTensors::corrupt(*codes, fmt::format("has {} bytes, where {} numbers of 4 bits are said to be",
                                                         tensors.source().raw(*codes).size(), count));
  KVISTA_ASSIGN(const TensorInfo* const map, tensors.need(name + ".quant_map", {DataType::f32}, {16}));
  FourBitWeight weight{*codes,
                       {},
                       *map,
                       std::nullopt,
                       std::nullopt,
                       0,
                       static_cast<std::uint64_t>(count),
                       static_cast<std::uint64_t>(blockSize),
                       0};
  if (tensors.find(name + ".nested_absmax") != nullptr) {
    KVISTA_ASSIGN(const std::int64_t nestedBlockSize, state.blockSize("nested_blocksize"));
    KVISTA_ASSIGN(weight.nestedOffset, state.offset());
    KVISTA_ASSIGN(const TensorInfo* const nested,
                  tensors.need(name + ".nested_absmax", {DataType::f32}, {groupsIn(blocks, nestedBlockSize)}));
    KVISTA_ASSIGN(const TensorInfo* const nestedMap, tensors.need(name + ".nested_quant_map", {DataType::f32}, {256}));
    weight.nestedAbsmax = *nested;
    weight.nestedMap = *nestedMap;
    weight.nestedBlockSize = static_cast<std::uint64_t>(nestedBlockSize);
  }
  KVISTA_ASSIGN(const TensorInfo* const absmax,
                tensors.need(name + ".absmax", {weight.nestedAbsmax ? DataType::u8 : DataType::f32}, {blocks}));
  weight.absmax = *absmax;
  tensors.replace(name, shape, codes->file,
                  {absmax->name, map->name, name + ".nested_absmax", name + ".nested_quant_map", stateName},
                  [store = tensors.keep(), weight](std::span<float> out) { return readFourBit(*store, weight, out); });
  return {};
}

/// Codes of 127ths of each row's largest size: Dettmers et al., LLM.int8() (2022).
Result<void> replaceInt8(QuantisedTensors& tensors, const std::string& module) {
  KVISTA_ASSIGN(const TensorInfo* const codes, tensors.need(module + ".weight", {DataType::i8}, {-1, -1}));
  KVISTA_ASSIGN(const TensorInfo* const largest, tensors.need(module + ".SCB", {DataType::f32}, {codes->shape[0]}));
  if (const TensorInfo* format = tensors.find(module + ".weight_format"); format != nullptr) {
    const auto bytes = tensors.source().raw(*format);
    if (bytes.size() != 1 || bytes[0] != std::byte{0})
      return QuantisedTensors::corrupt(*format, "says that the weight does not lie row by row, which is not read");
  }
  tensors.replace(codes->name, codes->shape, codes->file, {largest->name, module + ".weight_format"},
                  [store = tensors.keep(), codes = *codes, largest = *largest](std::span<float> out) -> Result<void> {
                    KVISTA_ASSIGN(const std::vector<float> sizes, floatsOf(*store, largest));
                    const auto* numbers = reinterpret_cast<const signed char*>(store->raw(codes).data());
                    const auto columns = static_cast<std::size_t>(codes.shape[1]);
                    for (std::size_t i = 0; i < out.size(); ++i)
                      out[i] = static_cast<float>(numbers[i]) * (sizes[i / columns] / 127.0F);
                    return {};
                  });
  return {};
}

}  // namespace

Result<void> readBitsAndBytesWeights(QuantisedTensors& tensors) {
  for (const char* type : {"nf4", "fp4"})
    for (const std::string& name : tensors.namesBefore(std::string(kStateMark) + type))
      KVISTA_CHECK(replaceFourBit(tensors, name, name + std::string(kStateMark) + type));
  for (const std::string& module : tensors.namesBefore(".SCB")) KVISTA_CHECK(replaceInt8(tensors, module));
  return {};
}

}  // namespace kvista
