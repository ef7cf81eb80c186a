// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_store.h"

namespace kvista {

/// Types of metadata values, as the file numbers them.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// An array as it lies in the file; checked to hold `count` elements, read only when it is asked for.
struct GgufArray {
  GgufType elementType = GgufType::u8;
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;
};

/// Integers are held as u64, or i64 when their type is signed. A 32-bit float is held as the shortest decimal number
/// that it stands for (1e-05 and not 9.99999974e-06), which is what the model's own config.json says.
using GgufValue = std::variant<bool, std::uint64_t, std::int64_t, double, std::string_view, GgufArray>;

struct GgufTensor {
  std::vector<std::int64_t> shape;  ///< Row-major, outermost first: the file's order reversed.
  DataType type = DataType::f32;
  std::span<const std::byte> bytes;
};

/// A mapped GGUF file whose structure has been checked: metadata by key, tensors by the file's own names.
class GgufFile {
 public:
  static Result<GgufFile> open(const std::filesystem::path& file);
  /// Of a file that is still to be written what stands before its tensors, or that and some of their numbers: tensors
  /// that lie behind it have no bytes. `path` is for messages.
  static Result<GgufFile> fromBeginning(std::string beginning, std::filesystem::path path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
  [[nodiscard]] const GgufTensor* tensor(std::string_view name) const;
  [[nodiscard]] const GgufValue* find(std::string_view key) const;

  // Values by key; nothing when the key is absent, an error (corruptFile) when the value is of another kind.
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view key) const;  ///< Not negative.
  [[nodiscard]] Result<std::optional<double>> real(std::string_view key) const;           ///< Finite.
  [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::string_view>> text(std::string_view key) const;  ///< UTF-8.
  /// Arrays of at most `maximumCount` elements; empty when the key is absent.
  [[nodiscard]] Result<std::vector<std::string_view>> texts(std::string_view key, std::size_t maximumCount) const;
  [[nodiscard]] Result<std::vector<double>> numbers(std::string_view key, std::size_t maximumCount) const;

  /// Errors about this file: "<path>: <sentence>".
  [[nodiscard]] tl::unexpected<Error> corrupt(std::string_view sentence) const;
  [[nodiscard]] tl::unexpected<Error> unsupported(std::string_view sentence, std::string hint = {}) const;

 private:
  friend class GgufParser;
  GgufFile(std::filesystem::path path, std::span<const std::byte> bytes) : path_(std::move(path)), bytes_(bytes) {}

  std::filesystem::path path_;
  std::shared_ptr<const void> holder_;  // of what the bytes are
  std::span<const std::byte> bytes_;
  std::map<std::string_view, GgufValue> metadata_;  // keys lie in the bytes
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

/// `text` for a message: unprintable bytes as '?', shortened to 80 bytes.
std::string printable(std::string_view text);

/// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool isUtf8(std::string_view text);

}  // namespace kvista
