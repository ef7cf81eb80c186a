// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/gguf/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "core/io/float_conversion.h"
#include "core/io/gguf_rows.h"

namespace kvista {
namespace {

using Bytes = std::vector<std::byte>;

/// Where a tensor goes: the GGUF tensor, and which part of it this is.
struct Place {
  const GgufName* name = nullptr;
  std::string gguf;
  std::int64_t part = 0;  // of those that stand one after the other
};

/// What "{}" of `pattern` stands for in `name`: an index, or the number of q, k or v; nothing where they do not match.
std::optional<std::int64_t> matchName(std::string_view pattern, std::string_view name) {
  const std::size_t place = pattern.find("{}");
  if (place == std::string_view::npos) return pattern == name ? std::optional<std::int64_t>(0) : std::nullopt;
  const std::string_view before = pattern.substr(0, place), after = pattern.substr(place + 2);
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after))
    return std::nullopt;
  const std::string_view index = name.substr(before.size(), name.size() - before.size() - after.size());
  if (const std::size_t letter = std::string_view("qkv").find(index);
      index.size() == 1 && letter != std::string_view::npos)
    return static_cast<std::int64_t>(letter);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), number);
  return error == std::errc{} && end == index.data() + index.size() ? std::optional(number) : std::nullopt;
}

/// Of several names for one tensor the first, but latent attention's expansion goes apart, as llama.cpp's cache needs
/// it.
std::optional<Place> findName(std::span<const GgufName> names, std::string_view base, std::string_view suffix,
                              const std::string& prefix) {
  std::optional<Place> found;
  for (const GgufName& name : names) {
    if (suffix == ".bias" && !name.canHaveBias) continue;
    const auto part = matchName(name.huggingFace, base);
    if (part && (!found || name.change == GgufChange::apart))
      found = Place{&name, fmt::format("{}{}{}", prefix, name.gguf, suffix), *part};
  }
  return found;
}

std::optional<Place> placeOf(std::string_view name, const GgufArchitecture& architecture) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = name.substr(dot), whole = name.substr(0, dot);
  if (suffix != ".weight" && suffix != ".bias") return std::nullopt;
  if (!whole.starts_with(architecture.layerPrefix)) return findName(architecture.modelNames, whole, suffix, "");
  const std::string_view inner = whole.substr(architecture.layerPrefix.size());
  const std::size_t end = inner.find('.');
  if (end == std::string_view::npos) return std::nullopt;
  for (const auto& names : architecture.layerNames)
    if (auto found = findName(names, inner.substr(end + 1), suffix, fmt::format("blk.{}.", inner.substr(0, end))))
      return found;
  return std::nullopt;
}

std::size_t sizeOf(DataType type) { return type == DataType::f32 ? 4 : 2; }

/// Vectors and what is computed with in float32 whatever the matrices are.
bool isFloat32(const Place& place, const std::vector<std::int64_t>& shape) {
  const std::string_view name = place.name->gguf;
  return shape.size() < 2 || name.find("norm") != std::string_view::npos || name == "position_embd" ||
         name == "ffn_gate_inp";
}

/// The source's numbers as f32, or as they are.
Result<Bytes> numbersOf(const TensorToWrite& source, DataType type) {
  KVISTA_ASSIGN(const std::span<const std::byte> bytes, source.produce());
  if (source.type == type) return Bytes(bytes.begin(), bytes.end());
  std::size_t count = 1;
  for (const std::int64_t length : source.shape) count *= static_cast<std::size_t>(length);
  std::vector<float> numbers(count);
  KVISTA_CHECK(convertToFloat32(source.type, bytes, numbers));
  const auto converted = std::as_bytes(std::span(numbers));
  return Bytes(converted.begin(), converted.end());
}

Bytes withRows(const Bytes& bytes, std::size_t rows, const RowOrder& placeInFile) {
  Bytes out(bytes.size());
  const std::size_t length = bytes.size() / rows;
  for (std::size_t row = 0; row < rows; ++row)
    std::memcpy(out.data() + placeInFile(row) * length, bytes.data() + row * length, length);
  return out;
}

/// Of `count` matrices [rows, columns] one after the other.
Bytes transposed(std::span<const std::byte> bytes, std::size_t count, std::size_t rows, std::size_t columns,
                 std::size_t size) {
  Bytes out(bytes.size());
  for (std::size_t matrix = 0; matrix < count; ++matrix)
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t column = 0; column < columns; ++column)
        std::memcpy(out.data() + (matrix * rows * columns + column * rows + row) * size,
                    bytes.data() + (matrix * rows * columns + row * columns + column) * size, size);
  return out;
}

void addOne(Bytes& bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    float number = 0;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    number += 1;
    std::memcpy(bytes.data() + at, &number, sizeof number);
  }
}

/// A tensor whose bytes are made when it is written.
TensorToWrite made(std::string name, std::vector<std::int64_t> shape, DataType type, bool isCarriedOver,
                   std::function<Result<Bytes>()> make) {
  const auto held = std::make_shared<Bytes>();
  return {std::move(name), std::move(shape), type,
          [held, make = std::move(make)]() -> Result<std::span<const std::byte>> {
            KVISTA_ASSIGN(*held, make());
            return std::span<const std::byte>(*held);
          },
          isCarriedOver};
}

/// Of latent attention's expansion, whose rows are each head's keys, then its values, one of the two: [heads, rows,
/// latent].
Result<Bytes> headsPart(const TensorToWrite& source, std::size_t heads, std::size_t first, std::size_t rows) {
  KVISTA_ASSIGN(const Bytes all, numbersOf(source, source.type));
  const std::size_t row = all.size() / static_cast<std::size_t>(source.shape.front());
  const std::size_t stride = static_cast<std::size_t>(source.shape.front()) / heads;
  Bytes out(heads * rows * row);
  for (std::size_t head = 0; head < heads; ++head)
    std::memcpy(out.data() + head * rows * row, all.data() + (head * stride + first) * row, rows * row);
  return out;
}

/// One GGUF tensor in the making.
struct Gathered {
  Place place;
  std::map<std::int64_t, TensorToWrite> parts;
};

class TensorMaker {
 public:
  explicit TensorMaker(const DecoderDescription& description)
      : shape_(description.shape), latent_(description.layers.front().attention.latent) {}

  Result<void> make(const Gathered& gathered, std::vector<TensorToWrite>& out) const {
    const Place& place = gathered.place;
    const TensorToWrite& source = gathered.parts.begin()->second;
    if (place.name->change == GgufChange::apart) return makeApart(place, source, out);
    std::vector<std::int64_t> shape = source.shape;
    DataType type = isFloat32(place, shape) ? DataType::f32 : source.type;
    bool isCarriedOver = true;
    std::vector<TensorToWrite> parts;
    for (const auto& [index, part] : gathered.parts) {
      if (part.type != type || (type != DataType::f16 && type != DataType::bf16)) type = DataType::f32;
      isCarriedOver = isCarriedOver && part.isCarriedOver;
      parts.push_back(part);
    }
    if (place.name->huggingFace.find("{}") != std::string_view::npos) {
      KVISTA_CHECK(checkParts(gathered));
      if (place.name->change == GgufChange::divided)
        for (std::size_t i = 1; i < parts.size(); ++i) shape.front() += parts[i].shape.front();
      else
        shape.insert(shape.begin(), static_cast<std::int64_t>(parts.size()));
    }
    if (place.name->change == GgufChange::transposed && shape.size() == 2) std::swap(shape[0], shape[1]);
    const bool isAsItIs = parts.size() == 1 && source.type == type && isUnchanged(place.name->change, source.shape);
    if (isAsItIs) {
      out.push_back(source);
      out.back().name = place.gguf;
      out.back().shape = std::move(shape);
      return {};
    }
    out.push_back(made(place.gguf, std::move(shape), type, isCarriedOver,
                       [parts, type, change = place.name->change, maker = *this]() -> Result<Bytes> {
                         Bytes all;
                         for (const TensorToWrite& part : parts) {
                           KVISTA_ASSIGN(Bytes numbers, numbersOf(part, type));
                           all.insert(all.end(), numbers.begin(), numbers.end());
                         }
                         return maker.changed(std::move(all), change, parts.front().shape, sizeOf(type));
                       }));
    return {};
  }

 private:
  static bool isUnchanged(GgufChange change, const std::vector<std::int64_t>& shape) {
    return change == GgufChange::none || (change == GgufChange::transposed && shape.size() != 2);
  }

  [[nodiscard]] Bytes changed(Bytes bytes, GgufChange change, const std::vector<std::int64_t>& shape,
                              std::size_t size) const {
    const auto rows = static_cast<std::size_t>(shape.front());
    const auto heads = static_cast<std::size_t>(shape_.queryHeads), kvHeads = static_cast<std::size_t>(shape_.kvHeads);
    switch (change) {
      case GgufChange::queryHalves:
        return withRows(bytes, rows, halvesApart(rows / heads));
      case GgufChange::keyHalves:
        return withRows(bytes, rows, halvesApart(rows / kvHeads));
      case GgufChange::byProjection:
        return withRows(bytes, rows, groupsTogether(heads, kvHeads, static_cast<std::size_t>(shape_.headDim)));
      case GgufChange::transposed:
        return shape.size() == 2 ? transposed(bytes, 1, rows, static_cast<std::size_t>(shape[1]), size) : bytes;
      case GgufChange::plusOne:
        addOne(bytes);
        return bytes;
      case GgufChange::none:
      case GgufChange::divided:
      case GgufChange::apart:
        break;
    }
    return bytes;
  }

  static Result<void> checkParts(const Gathered& gathered) {
    const bool isDivided = gathered.place.name->change == GgufChange::divided;
    const auto count = static_cast<std::int64_t>(gathered.parts.size());
    if (gathered.parts.rbegin()->first == count - 1 && (!isDivided || count == 3)) return {};
    return fail(ErrorCode::internal,
                fmt::format("Tensor {} of a GGUF file would be made of {} parts, the last being number {}.",
                            gathered.place.gguf, count, gathered.parts.rbegin()->first));
  }

  Result<void> makeApart(const Place& place, const TensorToWrite& source, std::vector<TensorToWrite>& out) const {
    const auto heads = static_cast<std::size_t>(shape_.queryHeads);
    const auto keys = static_cast<std::size_t>(latent_->keyWidth),
               values = static_cast<std::size_t>(latent_->valueWidth);
    const std::int64_t width = source.shape[1];
    const bool isPlain = source.type == DataType::f32 || source.type == DataType::f16 || source.type == DataType::bf16;
    if (!isPlain)
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("Tensor {} is made of {}.", source.name, nameOf(source.type)));
    out.push_back(made(place.gguf, {shape_.queryHeads, width, latent_->keyWidth}, source.type, source.isCarriedOver,
                       [=]() -> Result<Bytes> {
                         KVISTA_ASSIGN(const Bytes part, headsPart(source, heads, 0, keys));
                         return transposed(part, heads, keys, static_cast<std::size_t>(width), sizeOf(source.type));
                       }));
    std::string name = place.gguf;
    name.replace(name.find("attn_k_b"), 8, "attn_v_b");
    out.push_back(made(std::move(name), {shape_.queryHeads, latent_->valueWidth, width}, source.type,
                       source.isCarriedOver, [=] { return headsPart(source, heads, keys, values); }));
    return {};
  }

  ModelShape shape_;
  std::optional<LatentAttentionDescription> latent_;
};

}  // namespace

Result<std::vector<TensorToWrite>> tensorsInGguf(const std::vector<TensorToWrite>& tensors,
                                                 const DecoderDescription& description,
                                                 const GgufArchitecture& architecture) {
  std::vector<Gathered> all;
  std::map<std::string, std::size_t> indices;
  for (const TensorToWrite& tensor : tensors) {
    auto place = placeOf(tensor.name, architecture);
    if (!place)
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("GGUF's architecture '{}' has no tensor for {}.", architecture.name, tensor.name));
    const auto [entry, isNew] = indices.emplace(place->gguf, all.size());
    if (isNew) all.push_back({*place, {}});
    all[entry->second].parts.emplace(place->part, tensor);
  }
  const TensorMaker maker(description);
  std::vector<TensorToWrite> out;
  for (const Gathered& gathered : all) KVISTA_CHECK(maker.make(gathered, out));
  return out;
}

}  // namespace kvista
