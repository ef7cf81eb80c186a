// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/mapped_tensors.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "core/io/float_conversion.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

/// The numbers of one strided tensor in row-major order, a row of the last axis at a time.
Result<void> convertStrided(const TensorInfo& tensor, std::span<const std::byte> bytes,
                            const std::vector<std::int64_t>& strides, std::span<float> out) {
  KVISTA_ASSIGN(const std::uint64_t numberBytes, byteCount(tensor.type, 1));
  const std::size_t axes = tensor.shape.size();
  const auto rowLength = static_cast<std::size_t>(tensor.shape.back());
  const std::uint64_t step = static_cast<std::uint64_t>(strides.back()) * numberBytes;
  std::vector<std::int64_t> index(axes, 0);
  std::vector<std::byte> row(rowLength * numberBytes);
  for (std::size_t done = 0; done < out.size(); done += rowLength) {
    std::uint64_t at = 0;
    for (std::size_t axis = 0; axis + 1 < axes; ++axis)
      at += static_cast<std::uint64_t>(index[axis] * strides[axis]) * numberBytes;
    for (std::size_t i = 0; i < rowLength; ++i)
      std::memcpy(row.data() + i * numberBytes, bytes.data() + at + i * step, numberBytes);
    KVISTA_CHECK(convertToFloat32(tensor.type, row, out.subspan(done, rowLength)));
    for (std::size_t axis = axes - 1; axis-- > 0 && ++index[axis] == tensor.shape[axis];) index[axis] = 0;
  }
  return {};
}

}  // namespace

Result<void> MappedTensors::add(TensorInfo tensor, std::span<const std::byte> bytes,
                                std::vector<std::int64_t> strides) {
  const std::size_t before = tensors_.size();
  const auto at = tensors_.try_emplace(tensors_.end(), tensor.name);  // most files have them in order
  if (tensors_.size() == before)
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: tensor {} is in {} too.", tensor.file.string(), quoteForMessage(tensor.name),
                            at->second.file.string()),
                "The shards do not belong together: download them again.");
  at->second = std::move(tensor);
  places_.emplace(at->first, Place{bytes, std::move(strides)});
  return {};
}

std::span<const std::byte> MappedTensors::raw(const TensorInfo& tensor) const {
  const auto found = places_.find(tensor.name);
  return found == places_.end() || !found->second.strides.empty() ? std::span<const std::byte>{} : found->second.bytes;
}

Result<void> MappedTensors::readFloat32(const TensorInfo& tensor, std::span<float> out) const {
  KVISTA_ASSIGN(const TensorInfo* const stored, tensorToRead(*this, tensor, out));
  const Place& place = places_.find(stored->name)->second;
  auto converted = place.strides.empty() ? convertToFloat32(stored->type, place.bytes, out)
                                         : convertStrided(*stored, place.bytes, place.strides, out);
  if (!converted)
    converted.error().message = fmt::format("{}: tensor {}: {}", stored->file.string(), quoteForMessage(stored->name),
                                            converted.error().message);
  return converted;
}

}  // namespace kvista
