// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/tensor_data_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <future>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "core/io/json_file.h"

namespace kvista {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{4} << 20;  // between two looks at the stop token

Result<std::uint64_t> sizeOf(const TensorToWrite& tensor, DataType last, std::string_view format) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("Tensor {} cannot be written: {}.", quoteForMessage(tensor.name), what));
  };
  if (tensor.name.empty() || tensor.name == "__metadata__") return refuse("a tensor must not have this name");
  if (tensor.type > last) return refuse(fmt::format("{} know no type {}", format, nameOf(tensor.type)));
  std::uint64_t count = 1;
  for (const std::int64_t length : tensor.shape)
    if (length < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(length), &count))
      return refuse(fmt::format("the shape [{}] makes no sense", fmt::join(tensor.shape, ", ")));
  return byteCount(tensor.type, count);
}

using Produced = Result<std::span<const std::byte>>;

Result<void> writeData(AtomicFile& out, const SizedTensor& sized, const Produced& produced, WriteProgress& progress) {
  KVISTA_ASSIGN(std::span<const std::byte> bytes, produced);
  if (bytes.size() != sized.bytes)
    return fail(ErrorCode::internal, fmt::format("Tensor {} has {} bytes instead of {}.",
                                                 quoteForMessage(sized.tensor.name), bytes.size(), sized.bytes));
  while (!bytes.empty()) {
    const auto chunk = bytes.first(std::min(bytes.size(), kChunkBytes));
    KVISTA_CHECK(out.append(chunk));
    KVISTA_CHECK(progress.advance(chunk.size()));
    bytes = bytes.subspan(chunk.size());
  }
  return {};
}

}  // namespace

std::uint64_t totalBytes(const std::vector<SizedTensor>& tensors) {
  std::uint64_t total = 0;
  for (const SizedTensor& sized : tensors) total += sized.bytes;
  return total;
}

Result<std::vector<SizedTensor>> sizeTensors(std::vector<TensorToWrite> tensors, DataType last,
                                             std::string_view format) {
  std::vector<SizedTensor> sized;
  std::set<std::string_view> names;
  std::uint64_t total = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::invalidArgument, fmt::format("Two tensors are named {}.", quoteForMessage(tensor.name)));
    KVISTA_ASSIGN(const std::uint64_t bytes, sizeOf(tensor, last, format));
    if (__builtin_add_overflow(total, bytes, &total))
      return fail(ErrorCode::invalidArgument, "The tensors' size in bytes does not fit into 64 bits.");
    sized.push_back({{}, bytes});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) sized[i].tensor = std::move(tensors[i]);
  return sized;
}

Result<void> writeTensorData(AtomicFile& out, std::vector<SizedTensor> tensors, std::uint64_t alignment,
                             WriteProgress& progress) {
  const auto make = [&](std::size_t i) {
    return std::async(std::launch::async, [&produce = tensors[i].tensor.produce] { return produce(); });
  };
  const std::vector<std::byte> zeros(alignment);
  std::future<Produced> next;
  if (!tensors.empty()) next = make(0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Produced produced = next.get();
    if (i + 1 < tensors.size()) next = make(i + 1);
    KVISTA_CHECK(writeData(out, tensors[i], produced, progress));
    KVISTA_CHECK(out.append(std::span(zeros).first((alignment - tensors[i].bytes % alignment) % alignment)));
    tensors[i].tensor.produce = nullptr;
  }
  return {};
}

}  // namespace kvista
