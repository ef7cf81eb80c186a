// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What the readers of quantised weights share.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/computed_tensors.h"

namespace kvista {

/// A quantised checkpoint while its readers put weights in place of codes.
class QuantisedTensors {
 public:
  /// `place` names the configuration in messages ("config.json of /models/x").
  QuantisedTensors(const nlohmann::json& settings, std::shared_ptr<const TensorStore> source, std::string place)
      : settings_(settings),
        source_(std::move(source)),
        result_(std::make_shared<ComputedTensors>(source_)),
        place_(std::move(place)) {}

  [[nodiscard]] const TensorStore& source() const { return *source_; }
  [[nodiscard]] int replaced() const { return replaced_; }
  [[nodiscard]] std::shared_ptr<const TensorStore> result() const { return result_; }

  // Fields of quantization_config. Absent or null: `otherwise`. Errors (unsupportedModel) name the field.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view key, std::int64_t otherwise, std::int64_t least,
                                             std::int64_t most) const;
  [[nodiscard]] Result<bool> boolean(std::string_view key, bool otherwise) const;
  /// In lower case.
  [[nodiscard]] Result<std::string> text(std::string_view key, std::string_view otherwise) const;
  [[nodiscard]] const nlohmann::json& settings() const { return settings_; }
  /// Error: "<place>: quantization_config <what>.".
  [[nodiscard]] tl::unexpected<Error> unsupported(const std::string& what) const;

  /// What stands before `suffix` in the names that end with it.
  [[nodiscard]] std::vector<std::string> namesBefore(std::string_view suffix) const;
  [[nodiscard]] const TensorInfo* find(const std::string& name) const;
  /// Error (corruptFile): there is none, its type is none of `types`, or its shape another; -1: any length.
  [[nodiscard]] Result<const TensorInfo*> need(const std::string& name, std::initializer_list<DataType> types,
                                               std::initializer_list<std::int64_t> shape) const;
  /// Error (corruptFile): "<file>: tensor <name> <what>.".
  [[nodiscard]] static tl::unexpected<Error> corrupt(const TensorInfo& tensor, const std::string& what);

  /// The weight `name` of `shape` is read by `read`; `parts` are out of sight, as far as they are there.
  void replace(const std::string& name, std::vector<std::int64_t> shape, const std::filesystem::path& file,
               std::initializer_list<std::string> parts, ComputedTensors::Read read);
  /// The same of a matrix, or a stack of them, each of which `read` can read alone.
  void replaceStack(const std::string& name, std::vector<std::int64_t> shape, const std::filesystem::path& file,
                    std::initializer_list<std::string> parts, ComputedTensors::ReadMatrix read);
  void hide(const std::string& name) { result_->hide(name); }

  /// For `read`: reads from the source, which the reader keeps alive.
  [[nodiscard]] std::shared_ptr<const TensorStore> keep() const { return source_; }

 private:
  const nlohmann::json& settings_;
  std::shared_ptr<const TensorStore> source_;
  std::shared_ptr<ComputedTensors> result_;
  std::string place_;
  int replaced_ = 0;
};

/// Float numbers of a tensor of f32, f16 or bf16.
Result<std::vector<float>> floatsOf(const TensorStore& store, const TensorInfo& tensor);

/// The power of two that a byte stands for, 2^(code - 127); 255 is not a number: E8M0 of OCP Microscaling Formats v1.0
/// (2023), section 5.4.1.
constexpr float powerOfCode(std::uint8_t code) {
  if (code == 0) return 0x1p-127F;
  return std::bit_cast<float>(code == 255 ? 0x7fc00000U : std::uint32_t{code} << 23U);
}

/// A tensor of fixed-size numbers as they lie in the file, at any alignment, which raw() must have.
template <class Number>
std::vector<Number> numbersOf(const TensorStore& store, const TensorInfo& tensor) {
  const std::span<const std::byte> bytes = store.raw(tensor);
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(Number));
  return numbers;
}

/// Which of `groups` scales each of `count` inputs has: `list` says so, or, where there is none, `groupSize` inputs in
/// a row share one. Error (corruptFile): the list names a group that is not there.
Result<std::vector<std::uint32_t>> groupOfEach(const TensorStore& store, const TensorInfo* list, std::int64_t count,
                                               std::int64_t groupSize, std::int64_t groups);

/// The code of `bits` bits that begins at bit `at` of words of 32 that lie `stride` words apart, lowest bits first.
inline std::uint32_t codeAt(const std::uint32_t* words, std::uint64_t at, std::uint64_t stride, std::uint32_t bits) {
  const std::uint32_t shift = at % 32;
  std::uint64_t window = words[at / 32 * stride];
  // Codes of 3 bits go over the edge.
  if (shift + bits > 32) window |= std::uint64_t{words[(at / 32 + 1) * stride]} << 32;
  return static_cast<std::uint32_t>(window >> shift) & ((1U << bits) - 1);
}

/// `numbers` in groups of `of`, the last one perhaps smaller.
constexpr std::int64_t groupsIn(std::int64_t numbers, std::int64_t of) {
  return numbers / of + (numbers % of != 0 ? 1 : 0);
}

/// readScaledWeights, for compressed-tensors too: `sizes` has the two lengths of blocks, or is null.
Result<void> readScaled(QuantisedTensors& tensors, const nlohmann::json& sizes);

// The readers, one a file. Each replaces what it finds.
Result<void> readScaledWeights(QuantisedTensors& tensors);        ///< float8 (or int8) times scales.
Result<void> readMxfp4Weights(QuantisedTensors& tensors);         ///< MXFP4, as GPT-OSS stores its experts.
Result<void> readGptqWeights(QuantisedTensors& tensors);          ///< GPTQ, 2, 3, 4 or 8 bits.
Result<void> readAwqWeights(QuantisedTensors& tensors);           ///< AWQ's "gemm" order, 4 bits.
Result<void> readBitsAndBytesWeights(QuantisedTensors& tensors);  ///< nf4, fp4 and int8.
Result<void> readCompressedTensors(QuantisedTensors& tensors);    ///< float8, int8, and integers packed into 32 bits.

}  // namespace kvista
