// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/latent_checks.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <string>

namespace kvista {
namespace {

std::string shapeText(at::IntArrayRef shape) {
  std::string text;
  for (const std::int64_t size : shape)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", size < 0 ? std::string("any") : std::to_string(size));
  return "[" + text + "]";
}

Result<void> wrong(std::string message) { return fail(ErrorCode::invalidArgument, std::move(message)); }

Result<void> checkKind(std::string_view name, const at::Tensor& x, at::IntArrayRef shape, at::Device device,
                       at::ScalarType type) {
  if (!x.defined()) return wrong(fmt::format("{} are missing.", name));
  bool fits = x.dim() == static_cast<std::int64_t>(shape.size());
  for (std::size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] < 0 ? x.size(static_cast<std::int64_t>(i)) > 0 : x.size(static_cast<std::int64_t>(i)) == shape[i];
  if (!fits) return wrong(fmt::format("{} have shape {}, not {}.", name, shapeText(x.sizes()), shapeText(shape)));
  if (x.scalar_type() != type)
    return wrong(fmt::format("{} are {}, not {}.", name, c10::toString(x.scalar_type()), c10::toString(type)));
  if (x.device() != device) return wrong(fmt::format("{} are on {}, not on {}.", name, x.device().str(), device.str()));
  return {};
}

Result<void> checkRecords(std::string_view name, const at::Tensor& x, std::int64_t batch, std::int64_t record,
                          at::Device device, at::ScalarType type) {
  KVISTA_CHECK(checkKind(name, x, {batch, -1, -1}, device, type));
  if (x.size(2) < record)
    return wrong(fmt::format("{} have records of {} numbers; the groups reach to {}.", name, x.size(2), record));
  if (x.stride(2) != 1)
    return wrong(
        fmt::format("{} have {} numbers between those of a record that should be neighbours.", name, x.stride(2)));
  if (x.size(1) > std::numeric_limits<std::int32_t>::max() || batch > 65535)
    return wrong(fmt::format("{} are {} sequences of {} tokens; at most 65535 of 2147483647 can be attended to.", name,
                             batch, x.size(1)));
  return {};
}

}  // namespace

Result<void> checkTensor(std::string_view name, const at::Tensor& x, at::IntArrayRef shape,
                         const LatentTensors& wanted) {
  KVISTA_CHECK(checkKind(name, x, shape, wanted.device, wanted.type));
  if (!x.is_contiguous()) return wrong(fmt::format("{} are not contiguous.", name));
  return {};
}

Result<void> checkCall(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                       std::int64_t queryHeads, std::int64_t width, std::int64_t keyRecord, std::int64_t valueRecord,
                       const LatentTensors& wanted, at::ScalarType records) {
  KVISTA_CHECK(checkTensor("The queries", queries, {-1, queryHeads, width}, wanted));
  KVISTA_CHECK(checkRecords("The keys", keys, queries.size(0), keyRecord, wanted.device, records));
  KVISTA_CHECK(checkRecords("The values", values, queries.size(0), valueRecord, wanted.device, records));
  if (keys.size(1) != values.size(1))
    return wrong(fmt::format("There are keys of {} tokens and values of {}.", keys.size(1), values.size(1)));
  return {};
}

at::Tensor bytesOnDevice(const void* data, std::size_t bytes, at::Device device) {
  return at::from_blob(const_cast<void*>(data), {static_cast<std::int64_t>(bytes)}, at::kByte)
      .to(device, at::kByte, false, true);
}

std::string_view typeRefusal(at::ScalarType type) {
  return type == at::kBFloat16 || type == at::kHalf ? "" : "the kernels compute with 16-bit numbers";
}

}  // namespace kvista
