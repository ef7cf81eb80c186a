// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Structure of a GGUF file: header, metadata, tensor table, data section. Whatever is read here is in the file; what a
// value means is decided elsewhere.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "core/io/gguf_file.h"
#include "core/io/mapped_file.h"

namespace kvista {
namespace {

// Far above every real file, far below what would take much memory: a map's entry is larger than what it stands for.
constexpr std::uint64_t kMaximumKeys = 1 << 16;
constexpr std::uint64_t kMaximumTensors = 1 << 17;
constexpr std::uint64_t kMaximumKeyLength = 65535;  // as the specification says
constexpr std::uint64_t kMaximumNameLength = 127;
constexpr std::uint32_t kMaximumDimensions = 4;
constexpr int kMaximumArrayDepth = 4;
constexpr std::uint64_t kDefaultAlignment = 32;

struct TensorTypeName {
  std::uint32_t number;
  std::string_view name;
};

constexpr std::array<std::pair<std::uint32_t, DataType>, 11> kSupportedTypes = {{{0, DataType::f32},
                                                                                 {1, DataType::f16},
                                                                                 {2, DataType::q4_0},
                                                                                 {3, DataType::q4_1},
                                                                                 {6, DataType::q5_0},
                                                                                 {7, DataType::q5_1},
                                                                                 {8, DataType::q8_0},
                                                                                 {12, DataType::q4_k},
                                                                                 {13, DataType::q5_k},
                                                                                 {14, DataType::q6_k},
                                                                                 {30, DataType::bf16}}};

constexpr TensorTypeName kOtherTypes[] = {
    {4, "Q4_2"},     {5, "Q4_3"},        {9, "Q8_1"},        {10, "Q2_K"},       {11, "Q3_K"},     {15, "Q8_K"},
    {16, "IQ2_XXS"}, {17, "IQ2_XS"},     {18, "IQ3_XXS"},    {19, "IQ1_S"},      {20, "IQ4_NL"},   {21, "IQ3_S"},
    {22, "IQ2_S"},   {23, "IQ4_XS"},     {24, "I8"},         {25, "I16"},        {26, "I32"},      {27, "I64"},
    {28, "F64"},     {29, "IQ1_M"},      {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"}, {34, "TQ1_0"},
    {35, "TQ2_0"},   {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {39, "MXFP4"},    {40, "NVFP4"},
    {41, "Q1_0"},
};

/// Bytes of a value of fixed size; 0 for strings and arrays.
std::uint64_t sizeOf(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    case GgufType::string:
    case GgufType::array:
      return 0;
  }
  return 0;
}

double shortestDecimal(float value) {
  if (!std::isfinite(value)) return value;
  std::array<char, 64> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  double decimal = 0;
  std::from_chars(text.data(), written.ptr, decimal);
  return decimal;
}

}  // namespace

/// Reads one file from front to back. `context_` says what is being read, for messages.
class GgufParser {
 public:
  /// `isWhole`: no tensor lies beyond the end.
  GgufParser(GgufFile& file, bool isWhole) : file_(file), bytes_(file.bytes_), isWhole_(isWhole) {}

  Result<void> parse() {
    KVISTA_CHECK(readHeader());
    KVISTA_CHECK(readMetadata());
    KVISTA_ASSIGN(const auto places, readTensorTable());
    return placeTensors(places);
  }

 private:
  struct Place {
    std::uint64_t offset = 0;  // from the start of the data section
    std::uint64_t length = 0;
    std::string_view name;
  };

  [[nodiscard]] std::uint64_t left() const { return bytes_.size() - position_; }

  Result<std::span<const std::byte>> take(std::uint64_t count) {
    if (count > left())
      return file_.corrupt(fmt::format("the file ends within {}: {} bytes are needed at offset {}, {} are left.",
                                       context_, count, position_, left()));
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <class T>
  Result<T> number() {
    KVISTA_ASSIGN(const auto taken, take(sizeof(T)));
    T value;
    std::memcpy(&value, taken.data(), sizeof value);
    return value;
  }

  Result<std::string_view> string() {
    KVISTA_ASSIGN(const auto length, number<std::uint64_t>());
    if (length > left())
      return file_.corrupt(fmt::format("a string in {} is said to be {} bytes long, but the file has {} bytes left.",
                                       context_, length, left()));
    KVISTA_ASSIGN(const auto taken, take(length));
    return std::string_view(reinterpret_cast<const char*>(taken.data()), taken.size());
  }

  Result<GgufType> type() {
    KVISTA_ASSIGN(const auto code, number<std::uint32_t>());
    if (code > static_cast<std::uint32_t>(GgufType::f64))
      return file_.corrupt(fmt::format("{} has value type {}, which GGUF does not define.", context_, code));
    return static_cast<GgufType>(code);
  }

  /// Refuses a count of things of at least `minimumBytes` each that the rest of the file cannot hold.
  Result<void> checkCount(std::uint64_t count, std::uint64_t minimumBytes, std::string_view things) const {
    if (count <= left() / minimumBytes) return {};
    return file_.corrupt(
        fmt::format("{} says {} {}, but the file has {} bytes left.", context_, count, things, left()));
  }

  Result<void> readHeader() {
    context_ = "the header";
    KVISTA_ASSIGN(const auto magic, take(4));
    if (std::memcmp(magic.data(), "GGUF", 4) != 0)
      return file_.corrupt("it does not start with the letters GGUF, so it is not a GGUF file.");
    KVISTA_ASSIGN(const auto version, number<std::uint32_t>());
    // Version 3 is the first that a big-endian machine may have written; the order of bytes is not said otherwise.
    if ((version & 0xffff) == 0 && version != 0)
      return file_.unsupported("it is a big-endian GGUF file; only little-endian ones are supported.",
                               "Convert the model again without --bigendian.");
    if (version != 2 && version != 3)
      return file_.unsupported(fmt::format("it is GGUF version {}; versions 2 and 3 are supported.", version),
                               "Convert the model again with a current llama.cpp.");
    KVISTA_ASSIGN(tensorCount_, number<std::uint64_t>());
    KVISTA_ASSIGN(keyCount_, number<std::uint64_t>());
    KVISTA_CHECK(checkCount(keyCount_, 8 + 1 + 4 + 1, "metadata keys"));
    KVISTA_CHECK(checkCount(tensorCount_, 8 + 1 + 4 + 8 + 4 + 8, "tensors"));
    if (keyCount_ > kMaximumKeys)
      return file_.unsupported(
          fmt::format("it has {} metadata keys; at most {} are supported.", keyCount_, kMaximumKeys));
    if (tensorCount_ > kMaximumTensors)
      return file_.unsupported(
          fmt::format("it has {} tensors; at most {} are supported.", tensorCount_, kMaximumTensors));
    if (tensorCount_ == 0) return file_.corrupt("it holds no tensors, only metadata.");
    return {};
  }

  Result<void> readMetadata() {
    for (std::uint64_t i = 0; i < keyCount_; ++i) {
      context_ = fmt::format("metadata key {} of {}", i + 1, keyCount_);
      KVISTA_ASSIGN(const auto key, string());
      if (key.empty() || key.size() > kMaximumKeyLength)
        return file_.corrupt(
            fmt::format("{} is {} bytes long; 1 to {} are allowed.", context_, key.size(), kMaximumKeyLength));
      context_ = fmt::format("metadata key '{}'", printable(key));
      KVISTA_ASSIGN(const auto valueType, type());
      KVISTA_ASSIGN(auto value, readValue(valueType));
      if (!file_.metadata_.emplace(key, std::move(value)).second)
        return file_.corrupt(fmt::format("{} occurs twice.", context_));
    }
    return {};
  }

  template <class T>
  Result<GgufValue> integerValue() {
    using Held = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    KVISTA_ASSIGN(const T value, number<T>());
    return GgufValue(static_cast<Held>(value));
  }

  Result<GgufValue> readValue(GgufType valueType) {
    switch (valueType) {
      case GgufType::u8:
        return integerValue<std::uint8_t>();
      case GgufType::i8:
        return integerValue<std::int8_t>();
      case GgufType::u16:
        return integerValue<std::uint16_t>();
      case GgufType::i16:
        return integerValue<std::int16_t>();
      case GgufType::u32:
        return integerValue<std::uint32_t>();
      case GgufType::i32:
        return integerValue<std::int32_t>();
      case GgufType::u64:
        return integerValue<std::uint64_t>();
      case GgufType::i64:
        return integerValue<std::int64_t>();
      case GgufType::f32: {
        KVISTA_ASSIGN(const float value, number<float>());
        return GgufValue(shortestDecimal(value));
      }
      case GgufType::f64: {
        KVISTA_ASSIGN(const double value, number<double>());
        return GgufValue(value);
      }
      case GgufType::boolean: {
        KVISTA_ASSIGN(const auto value, number<std::uint8_t>());
        if (value > 1) return file_.corrupt(fmt::format("{} is a boolean with value {}.", context_, value));
        return GgufValue(value == 1);
      }
      case GgufType::string: {
        KVISTA_ASSIGN(const auto value, string());
        return GgufValue(value);
      }
      case GgufType::array: {
        KVISTA_ASSIGN(auto value, readArray(1));
        return GgufValue(value);
      }
    }
    return file_.corrupt(fmt::format("{} has a value of no type.", context_));
  }

  Result<GgufArray> readArray(int depth) {
    if (depth > kMaximumArrayDepth)
      return file_.corrupt(fmt::format("{} nests arrays more than {} deep.", context_, kMaximumArrayDepth));
    GgufArray array;
    KVISTA_ASSIGN(array.elementType, type());
    KVISTA_ASSIGN(array.count, number<std::uint64_t>());
    const std::uint64_t start = position_;
    if (const std::uint64_t size = sizeOf(array.elementType); size != 0) {
      KVISTA_CHECK(checkCount(array.count, size, "array elements"));
      position_ += array.count * size;
    } else if (array.elementType == GgufType::string) {
      KVISTA_CHECK(checkCount(array.count, 8, "strings"));
      for (std::uint64_t i = 0; i < array.count; ++i) KVISTA_CHECK(string());
    } else {
      KVISTA_CHECK(checkCount(array.count, 4 + 8, "arrays"));
      for (std::uint64_t i = 0; i < array.count; ++i) KVISTA_CHECK(readArray(depth + 1));
    }
    array.bytes = bytes_.subspan(start, position_ - start);
    return array;
  }

  Result<std::vector<Place>> readTensorTable() {
    std::vector<Place> places;
    places.reserve(tensorCount_);
    for (std::uint64_t i = 0; i < tensorCount_; ++i) {
      context_ = fmt::format("entry {} of {} of the tensor table", i + 1, tensorCount_);
      KVISTA_ASSIGN(const auto name, string());
      if (name.empty() || name.size() > kMaximumNameLength || !isUtf8(name))
        return file_.corrupt(fmt::format("the tensor name '{}' in {} is not 1 to {} bytes of UTF-8.", printable(name),
                                         context_, kMaximumNameLength));
      context_ = fmt::format("tensor '{}'", printable(name));
      GgufTensor tensor;
      KVISTA_ASSIGN(tensor.shape, readShape());
      KVISTA_ASSIGN(tensor.type, readTensorType());
      KVISTA_ASSIGN(const auto length, lengthOf(tensor));
      KVISTA_ASSIGN(const auto offset, number<std::uint64_t>());
      const auto [entry, isNew] = file_.tensors_.emplace(name, std::move(tensor));
      if (!isNew) return file_.corrupt(fmt::format("{} occurs twice in the tensor table.", context_));
      places.push_back({offset, length, entry->first});
    }
    return places;
  }

  Result<std::vector<std::int64_t>> readShape() {
    KVISTA_ASSIGN(const auto dimensions, number<std::uint32_t>());
    if (dimensions == 0 || dimensions > kMaximumDimensions)
      return file_.corrupt(
          fmt::format("{} has {} dimensions; 1 to {} are allowed.", context_, dimensions, kMaximumDimensions));
    std::vector<std::int64_t> shape(dimensions);
    std::int64_t product = 1;
    for (std::uint32_t i = dimensions; i-- > 0;) {
      KVISTA_ASSIGN(const auto extent, number<std::uint64_t>());
      if (extent == 0) return file_.corrupt(fmt::format("{} has a dimension of 0.", context_));
      if (__builtin_mul_overflow(product, extent, &product))
        return file_.corrupt(fmt::format("the dimensions of {} multiply to more than 2^63.", context_));
      shape[i] = static_cast<std::int64_t>(extent);
    }
    return shape;
  }

  Result<DataType> readTensorType() {
    KVISTA_ASSIGN(const auto typeNumber, number<std::uint32_t>());
    const auto found = std::find_if(kSupportedTypes.begin(), kSupportedTypes.end(),
                                    [&](const auto& entry) { return entry.first == typeNumber; });
    if (found != kSupportedTypes.end()) return found->second;
    std::string supported;
    for (const auto& entry : kSupportedTypes)
      supported += fmt::format("{}{}", supported.empty() ? "" : ", ", nameOf(entry.second));
    const auto other = std::find_if(std::begin(kOtherTypes), std::end(kOtherTypes),
                                    [&](const TensorTypeName& entry) { return entry.number == typeNumber; });
    return file_.unsupported(fmt::format("{} is stored as {}, which is not supported; supported: {}.", context_,
                                         other == std::end(kOtherTypes) ? fmt::format("type number {}", typeNumber)
                                                                        : std::string(other->name),
                                         supported),
                             "Convert the model to one of these types, for example with llama-quantize.");
  }

  Result<std::uint64_t> lengthOf(const GgufTensor& tensor) {
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i + 1 < tensor.shape.size(); ++i) rows *= static_cast<std::uint64_t>(tensor.shape[i]);
    auto row = byteCount(tensor.type, static_cast<std::uint64_t>(tensor.shape.back()));
    std::uint64_t length = 0;
    if (!row)
      return file_.corrupt(
          fmt::format("{} cannot be stored as {}: {}", context_, nameOf(tensor.type), row.error().message));
    if (__builtin_mul_overflow(rows, *row, &length))
      return file_.corrupt(fmt::format("{} has more bytes than 64 bits can count.", context_));
    return length;
  }

  Result<std::uint64_t> alignment() const {
    KVISTA_ASSIGN(const auto value, file_.integer("general.alignment"));
    if (!value) return kDefaultAlignment;
    const auto unit = static_cast<std::uint64_t>(*value);
    if (!std::has_single_bit(unit))
      return file_.corrupt(fmt::format("metadata key 'general.alignment' is {}, but must be a power of two.", unit));
    return unit;
  }

  /// Gives every tensor its bytes; none may reach past the end or into another.
  Result<void> placeTensors(std::vector<Place> places) {
    KVISTA_ASSIGN(const auto unit, alignment());
    const std::uint64_t padding = (unit - position_ % unit) % unit;
    if (padding > left())
      return file_.corrupt(
          fmt::format("the file ends at byte {}, before the tensor data (alignment {}).", bytes_.size(), unit));
    const auto data = bytes_.subspan(position_ + padding);
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.offset < b.offset; });
    std::uint64_t end = 0;
    std::string_view before;
    for (const Place& place : places) {
      if (place.offset % unit != 0)
        return file_.corrupt(
            fmt::format("tensor '{}' begins at offset {}, which is not a multiple of the alignment {}.", place.name,
                        place.offset, unit));
      const bool isThere = place.offset <= data.size() && place.length <= data.size() - place.offset;
      if (!isThere && isWhole_)
        return file_.corrupt(
            fmt::format("tensor '{}' ({} bytes at offset {}) reaches past the end of the tensor data ({} bytes).",
                        place.name, place.length, place.offset, data.size()));
      if (place.offset < end)
        return file_.corrupt(
            fmt::format("tensors '{}' and '{}' overlap: the first ends at offset {}, the second begins at {}.", before,
                        place.name, end, place.offset));
      end = place.offset + place.length;
      before = place.name;
      if (isThere) file_.tensors_.find(place.name)->second.bytes = data.subspan(place.offset, place.length);
    }
    return {};
  }

  GgufFile& file_;
  std::span<const std::byte> bytes_;
  bool isWhole_;
  std::uint64_t position_ = 0;
  std::string context_;
  std::uint64_t tensorCount_ = 0;
  std::uint64_t keyCount_ = 0;
};

Result<GgufFile> GgufFile::open(const std::filesystem::path& file) {
  KVISTA_ASSIGN(auto opened, MappedFile::open(file));
  const auto mapping = std::make_shared<const MappedFile>(std::move(opened));
  GgufFile result(mapping->path(), mapping->bytes());
  result.holder_ = mapping;
  KVISTA_CHECK(GgufParser(result, /*isWhole=*/true).parse());
  return result;
}

Result<GgufFile> GgufFile::fromBeginning(std::string beginning, std::filesystem::path path) {
  const auto held = std::make_shared<const std::string>(std::move(beginning));
  GgufFile result(std::move(path), std::as_bytes(std::span(*held)));
  result.holder_ = held;
  KVISTA_CHECK(GgufParser(result, /*isWhole=*/false).parse());
  return result;
}

}  // namespace kvista
