// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// How a tensor's numbers lie in its file. The block types are GGUF's; `packed` ones are made of several tensors of the
/// file, such as codes and scales, and can only be read as float32.
enum class DataType : std::uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean,
  f8e4m3,
  f8e5m2,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q4_k,
  q5_k,
  q6_k,
  packed,
};
/// The type's name in its own format: "BF16" as safetensors writes it, "Q4_K" as GGUF does.
std::string_view nameOf(DataType type);
/// Bytes of `count` numbers, or an error when count is not a multiple of the block or the product overflows.
Result<std::uint64_t> byteCount(DataType type, std::uint64_t count);
bool isFloating(DataType type);  ///< f64, f32, f16, bf16, packed and the GGUF types: what a weight may be made of.

struct TensorInfo {
  std::string name;                 ///< As Hugging Face names it, whatever the file calls it.
  std::vector<std::int64_t> shape;  ///< Row-major, outermost first ([out, in] for a linear layer).
  DataType type = DataType::f32;
  std::filesystem::path file;                 ///< The file that holds it, for messages.
  [[nodiscard]] std::uint64_t count() const;  ///< Product of the shape; a store has checked that it fits.
};

/// The tensors of one checkpoint: safetensors shards or a GGUF file, mapped, nothing read before it is asked for.
class TensorStore {
 public:
  virtual ~TensorStore() = default;
  [[nodiscard]] virtual const std::map<std::string, TensorInfo, std::less<>>& tensors() const = 0;
  /// The bytes as they lie in the file (zero copy; valid while the store lives), not necessarily aligned. Empty for a
  /// tensor that is quantised or must be permuted; `readFloat32` reads those.
  [[nodiscard]] virtual std::span<const std::byte> raw(const TensorInfo& tensor) const = 0;
  /// Numbers as float32 in row-major order, dequantised and un-permuted where needed. `out` has `tensor.count()`
  /// places. Errors: unsupportedModel for integers; invalidArgument for another number of places or a tensor of another
  /// store.
  virtual Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const = 0;
  /// Of the numbers that readFloat32 gives, `out.size()` from number `first` on, such as one matrix of a stack. Stores
  /// that cannot read them alone read all. Errors: as above; invalidArgument where the tensor has fewer.
  virtual Result<void> readFloat32Part(const TensorInfo& tensor, std::uint64_t first, std::span<float> out) const;
};

/// What `store` itself says about the tensor that is asked for, for its readFloat32. Errors: invalidArgument as there.
Result<const TensorInfo*> tensorToRead(const TensorStore& store, const TensorInfo& tensor, std::span<const float> out);

}  // namespace kvista
