// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/io/json_file.h"
#include "core/io/json_members.h"

namespace kvista {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using Tensor = SafetensorsHeader::Tensor;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaximumHeaderBytes = 100'000'000;  // as the official parser
constexpr std::size_t kMaximumDimensions = 64;              // as libtorch

constexpr std::array kTypes = {
    DataType::f64, DataType::f32, DataType::f16,     DataType::bf16,   DataType::i64,
    DataType::i32, DataType::i16, DataType::i8,      DataType::u64,    DataType::u32,
    DataType::u16, DataType::u8,  DataType::boolean, DataType::f8e4m3, DataType::f8e5m2,
};
// Types of the format that no supported model is stored in.
constexpr std::array<std::string_view, 7> kUnreadTypes = {"F4",          "F6_E2M3",     "F6_E3M2", "F8_E8M0",
                                                          "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"};

tl::unexpected<Error> corrupt(const fs::path& file, const std::string& what) {
  return fail(ErrorCode::corruptFile, fmt::format("{}: {}.", file.string(), what),
              "The file is damaged or incomplete: download or write it again.");
}

tl::unexpected<Error> corruptTensor(const TensorInfo& tensor, const std::string& what) {
  return corrupt(tensor.file, fmt::format("tensor {} {}", quoteForMessage(tensor.name), what));
}

/// A value that should have been a number, cut to a length that suits a message.
std::string shown(const json& value) {
  return value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 100);
}

Result<const json*> fieldOf(const json& entry, const char* key, json::value_t type, const TensorInfo& tensor) {
  const auto field = entry.find(key);
  if (field == entry.end()) return corruptTensor(tensor, fmt::format("has no field \"{}\"", key));
  if (field->type() != type) return corruptTensor(tensor, fmt::format("has {} as \"{}\"", kindOf(*field), key));
  return &*field;
}

Result<DataType> readType(const json& entry, const TensorInfo& tensor) {
  KVISTA_ASSIGN(const json* const field, fieldOf(entry, "dtype", json::value_t::string, tensor));
  const auto& word = field->get_ref<const std::string&>();
  for (const DataType type : kTypes)
    if (word == nameOf(type)) return type;
  if (std::ranges::find(kUnreadTypes, word) != kUnreadTypes.end())
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: tensor {} is of type {}, which is not supported.", tensor.file.string(),
                            quoteForMessage(tensor.name), word),
                "Use a checkpoint with weights in F32, F16 or BF16.");
  return corruptTensor(tensor, fmt::format("has the unknown dtype {}", quoteForMessage(word)));
}

Result<std::vector<std::int64_t>> readShape(const json& entry, const TensorInfo& tensor) {
  KVISTA_ASSIGN(const json* const field, fieldOf(entry, "shape", json::value_t::array, tensor));
  if (field->size() > kMaximumDimensions)
    return corruptTensor(tensor,
                         fmt::format("has {} dimensions; at most {} are read", field->size(), kMaximumDimensions));
  std::vector<std::int64_t> shape;
  shape.reserve(field->size());
  for (const json& length : *field) {
    if (!length.is_number_unsigned() || length.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
      return corruptTensor(
          tensor, fmt::format("has the length {} in dimension {}, which is not a whole number from 0 to 2^63-1",
                              shown(length), shape.size()));
    shape.push_back(length.get<std::int64_t>());
  }
  return shape;
}

Result<std::pair<std::uint64_t, std::uint64_t>> readOffsets(const json& entry, const TensorInfo& tensor) {
  KVISTA_ASSIGN(const json* const field, fieldOf(entry, "data_offsets", json::value_t::array, tensor));
  if (field->size() != 2) return corruptTensor(tensor, fmt::format("has {} data_offsets instead of 2", field->size()));
  for (const json& offset : *field)
    if (!offset.is_number_unsigned())
      return corruptTensor(
          tensor, fmt::format("has the data offset {}, which is not a whole number from 0 to 2^64-1", shown(offset)));
  return std::pair(field->at(0).get<std::uint64_t>(), field->at(1).get<std::uint64_t>());
}

/// The bytes that a shape asks for.
Result<std::uint64_t> bytesOf(const TensorInfo& tensor) {
  std::uint64_t bytes = *byteCount(tensor.type, 1);
  for (const std::int64_t length : tensor.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(length), &bytes))
      return corruptTensor(tensor, fmt::format("is {} of shape [{}], whose size does not fit into 64 bits",
                                               nameOf(tensor.type), fmt::join(tensor.shape, ", ")));
  return bytes;
}

Result<Tensor> readTensor(const std::string& name, const json& entry, const fs::path& file) {
  Tensor tensor{.info = {.name = name, .shape = {}, .file = file}};
  TensorInfo& info = tensor.info;
  if (!entry.is_object())
    return corruptTensor(info, fmt::format("is described by {} instead of an object", kindOf(entry)));
  KVISTA_ASSIGN(info.type, readType(entry, info));
  KVISTA_ASSIGN(info.shape, readShape(entry, info));
  KVISTA_ASSIGN(std::tie(tensor.begin, tensor.end), readOffsets(entry, info));
  if (tensor.end < tensor.begin)
    return corruptTensor(info, fmt::format("ends at byte {}, before it begins at byte {}", tensor.end, tensor.begin));
  KVISTA_ASSIGN(const std::uint64_t bytes, bytesOf(info));
  if (bytes != tensor.end - tensor.begin)
    return corruptTensor(
        info,
        fmt::format("is {} of shape [{}] and needs {} bytes, but its data_offsets {} to {} hold {}", nameOf(info.type),
                    fmt::join(info.shape, ", "), bytes, tensor.begin, tensor.end, tensor.end - tensor.begin));
  return tensor;
}

/// Sorted tensors must follow each other from the first data byte to the last.
Result<void> checkCoverage(const std::vector<Tensor>& tensors, std::uint64_t dataBytes, const fs::path& file) {
  std::uint64_t covered = 0;
  const Tensor* previous = nullptr;
  for (const Tensor& tensor : tensors) {
    if (tensor.begin < covered)
      return corruptTensor(tensor.info, fmt::format("begins at data byte {} and overlaps tensor {}, which ends at {}",
                                                    tensor.begin, quoteForMessage(previous->info.name), covered));
    if (tensor.begin > covered)
      return corruptTensor(tensor.info,
                           fmt::format("begins at data byte {}, leaving {} bytes before it that belong to no tensor",
                                       tensor.begin, tensor.begin - covered));
    covered = tensor.end;
    previous = &tensor;
  }
  if (covered > dataBytes)
    return corrupt(file, fmt::format("the file is cut off: its tensors need {} data bytes, but only {} are there",
                                     covered, dataBytes));
  if (covered < dataBytes)
    return corrupt(file, fmt::format("{} bytes after the last tensor belong to no tensor", dataBytes - covered));
  return {};
}

Result<std::map<std::string, std::string>> readMetadata(const json& metadata, const fs::path& file) {
  std::map<std::string, std::string> read;
  if (metadata.is_null()) return read;
  if (!metadata.is_object())
    return corrupt(file, fmt::format("the header's \"__metadata__\" is {} instead of an object", kindOf(metadata)));
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string())
      return corrupt(file, fmt::format("the header's \"__metadata__\" holds {} instead of a string as {}",
                                       kindOf(value), quoteForMessage(key)));
    read.emplace(key, value.get_ref<const std::string&>());
  }
  return read;
}

/// The JSON text at the start of the file, after its 8-byte length.
Result<std::string_view> headerText(std::span<const std::byte> bytes, const fs::path& file) {
  if (bytes.empty()) return corrupt(file, "the file is empty");
  if (bytes.size() < kLengthBytes)
    return corrupt(file, fmt::format("the file has only {} bytes, fewer than the {} of the header's length",
                                     bytes.size(), kLengthBytes));
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaximumHeaderBytes)
    return corrupt(file,
                   fmt::format("the header's length is {} bytes; at most {} are allowed", length, kMaximumHeaderBytes));
  if (length > bytes.size() - kLengthBytes)
    return corrupt(file, fmt::format("the header's length is {} bytes, but only {} bytes follow", length,
                                     bytes.size() - kLengthBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  const std::size_t first = text.find_first_not_of(' ');
  if (first == text.npos) return corrupt(file, fmt::format("the header of {} bytes holds no JSON", length));
  if (text[first] != '{')
    return corrupt(
        file, fmt::format("the header does not begin with '{{' but with {}", quoteForMessage(text.substr(first, 1))));
  return text;
}

}  // namespace

Result<SafetensorsHeader> readSafetensorsHeader(std::span<const std::byte> bytes, const fs::path& file) {
  KVISTA_ASSIGN(const std::string_view text, headerText(bytes, file));
  SafetensorsHeader header;
  header.dataBegin = kLengthBytes + text.size();
  KVISTA_CHECK(parseJsonMembers(text, fmt::format("The header of {}", file.string()),
                                [&](const std::string& name, const json& entry) -> Result<void> {
                                  if (name == "__metadata__") {
                                    KVISTA_ASSIGN(header.metadata, readMetadata(entry, file));
                                  } else {
                                    KVISTA_ASSIGN(Tensor tensor, readTensor(name, entry, file));
                                    header.tensors.push_back(std::move(tensor));
                                  }
                                  return {};
                                }));
  std::ranges::sort(header.tensors, {}, [](const Tensor& tensor) { return std::pair(tensor.begin, tensor.end); });
  KVISTA_CHECK(checkCoverage(header.tensors, bytes.size() - header.dataBegin, file));
  return header;
}

}  // namespace kvista
