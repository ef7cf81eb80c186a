// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/tensor_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/io/float_conversion.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

struct DataTypeFacts {
  std::string_view name;
  std::uint32_t blockCount;  // numbers in a block
  std::uint32_t blockBytes;
  bool floating;
};

// In the order of the enumeration.
constexpr std::array kFacts = {
    DataTypeFacts{"F64", 1, 8, true},      DataTypeFacts{"F32", 1, 4, true},
    DataTypeFacts{"F16", 1, 2, true},      DataTypeFacts{"BF16", 1, 2, true},
    DataTypeFacts{"I64", 1, 8, false},     DataTypeFacts{"I32", 1, 4, false},
    DataTypeFacts{"I16", 1, 2, false},     DataTypeFacts{"I8", 1, 1, false},
    DataTypeFacts{"U64", 1, 8, false},     DataTypeFacts{"U32", 1, 4, false},
    DataTypeFacts{"U16", 1, 2, false},     DataTypeFacts{"U8", 1, 1, false},
    DataTypeFacts{"BOOL", 1, 1, false},    DataTypeFacts{"F8_E4M3", 1, 1, false},
    DataTypeFacts{"F8_E5M2", 1, 1, false}, DataTypeFacts{"Q4_0", 32, 18, true},
    DataTypeFacts{"Q4_1", 32, 20, true},   DataTypeFacts{"Q5_0", 32, 22, true},
    DataTypeFacts{"Q5_1", 32, 24, true},   DataTypeFacts{"Q8_0", 32, 34, true},
    DataTypeFacts{"Q4_K", 256, 144, true}, DataTypeFacts{"Q5_K", 256, 176, true},
    DataTypeFacts{"Q6_K", 256, 210, true}, DataTypeFacts{"packed", 1, 4, true},  // As they are read.
};
static_assert(kFacts.size() == static_cast<std::size_t>(DataType::packed) + 1);

const DataTypeFacts& factsOf(DataType type) { return kFacts[static_cast<std::size_t>(type)]; }

}  // namespace

std::string_view nameOf(DataType type) { return factsOf(type).name; }

bool isFloating(DataType type) { return factsOf(type).floating; }

Result<std::uint64_t> byteCount(DataType type, std::uint64_t count) {
  const DataTypeFacts& facts = factsOf(type);
  if (count % facts.blockCount != 0)
    return fail(ErrorCode::corruptFile, fmt::format("{} numbers are not a multiple of {}, the block length of type {}.",
                                                    count, facts.blockCount, facts.name));
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(count / facts.blockCount, std::uint64_t{facts.blockBytes}, &bytes))
    return fail(
        ErrorCode::corruptFile,
        fmt::format("The size in bytes of {} numbers of type {} does not fit into 64 bits.", count, facts.name));
  return bytes;
}

std::uint64_t TensorInfo::count() const {
  std::uint64_t product = 1;
  for (const std::int64_t length : shape) product *= static_cast<std::uint64_t>(length);
  return product;
}

Result<void> TensorStore::readFloat32Part(const TensorInfo& tensor, std::uint64_t first, std::span<float> out) const {
  const std::uint64_t count = tensor.count();
  if (first == 0 && out.size() == count) return readFloat32(tensor, out);
  if (first > count || out.size() > count - first)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{}: tensor {} holds {} numbers, but {} from number {} on are asked for.",
                            tensor.file.string(), quoteForMessage(tensor.name), count, out.size(), first));
  if (const std::span<const std::byte> bytes = raw(tensor); !bytes.empty()) {
    const std::size_t size = bytes.size() / count;
    return convertToFloat32(tensor.type, bytes.subspan(first * size, out.size() * size), out);
  }
  std::vector<float> all(count);
  KVISTA_CHECK(readFloat32(tensor, all));
  std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  return {};
}

Result<const TensorInfo*> tensorToRead(const TensorStore& store, const TensorInfo& tensor, std::span<const float> out) {
  const auto known = store.tensors().find(tensor.name);
  if (known == store.tensors().end())
    return fail(ErrorCode::invalidArgument,
                fmt::format("The checkpoint has no tensor {}.", quoteForMessage(tensor.name)));
  const TensorInfo& stored = known->second;
  if (out.size() != stored.count())
    return fail(ErrorCode::invalidArgument,
                fmt::format("{}: tensor {} holds {} numbers, but {} are asked for.", stored.file.string(),
                            quoteForMessage(stored.name), stored.count(), out.size()));
  return &stored;
}

}  // namespace kvista
