// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/gguf.h"
#include "core/io/gguf_file.h"
#include "tests/unit/io/temporary_folder.h"

namespace kvista::test {

/// Little-endian bytes of numbers and GGUF strings, one after another.
class ByteString {
 public:
  template <class T>
  ByteString& number(T value) {
    const auto* bytes = reinterpret_cast<const char*>(&value);
    bytes_.append(bytes, sizeof value);
    return *this;
  }
  ByteString& text(std::string_view value) {
    number<std::uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  ByteString& raw(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Writes a GGUF file piece by piece; what the file says of itself can be made to lie.
class GgufBuilder {
 public:
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::uint64_t> claimedTensors, claimedKeys;
  std::uint64_t alignment = 32;  ///< Of what is written; the key general.alignment is written by whoever wants it.

  GgufBuilder& value(std::string_view key, GgufType type, std::string_view bytes) {
    metadata_.text(key).number(static_cast<std::uint32_t>(type)).raw(bytes);
    ++keys_;
    return *this;
  }
  GgufBuilder& integer(std::string_view key, std::uint32_t number) {
    return value(key, GgufType::u32, ByteString().number(number).bytes());
  }
  GgufBuilder& real(std::string_view key, float number) {
    return value(key, GgufType::f32, ByteString().number(number).bytes());
  }
  GgufBuilder& boolean(std::string_view key, bool flag) {
    return value(key, GgufType::boolean, ByteString().number(static_cast<std::uint8_t>(flag)).bytes());
  }
  GgufBuilder& text(std::string_view key, std::string_view content) {
    return value(key, GgufType::string, ByteString().text(content).bytes());
  }
  GgufBuilder& texts(std::string_view key, const std::vector<std::string>& contents) {
    ByteString array;
    array.number(static_cast<std::uint32_t>(GgufType::string)).number<std::uint64_t>(contents.size());
    for (const std::string& content : contents) array.text(content);
    return value(key, GgufType::array, array.bytes());
  }
  template <class T>
  GgufBuilder& numbers(std::string_view key, GgufType type, const std::vector<T>& contents) {
    ByteString array;
    array.number(static_cast<std::uint32_t>(type)).number<std::uint64_t>(contents.size());
    for (const T content : contents) array.number(content);
    return value(key, GgufType::array, array.bytes());
  }

  /// `extents` in the file's order (innermost first); `type` is GGUF's number.
  GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                      std::string_view bytes, std::optional<std::uint64_t> claimedOffset = std::nullopt) {
    while (data_.size() % alignment != 0) data_ += '\0';
    table_.text(name).number(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) table_.number(extent);
    table_.number(type).number<std::uint64_t>(claimedOffset.value_or(data_.size()));
    data_ += bytes;
    ++tensors_;
    return *this;
  }
  GgufBuilder& floats(std::string_view name, const std::vector<std::uint64_t>& extents,
                      const std::vector<float>& values) {
    return tensor(name, extents, 0,
                  std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  }

  [[nodiscard]] std::string bytes() const {
    ByteString out;
    out.raw(magic).number(version).number(claimedTensors.value_or(tensors_)).number(claimedKeys.value_or(keys_));
    out.raw(metadata_.bytes()).raw(table_.bytes());
    const std::size_t end = out.bytes().size();
    return out.bytes() + std::string((alignment - end % alignment) % alignment, '\0') + data_;
  }

 private:
  ByteString metadata_, table_;
  std::string data_;
  std::uint64_t keys_ = 0, tensors_ = 0;
};

/// A GGUF file that goes with the test.
class TemporaryGguf {
 public:
  explicit TemporaryGguf(const std::string& bytes) { writeText(path_, bytes); }
  explicit TemporaryGguf(const GgufBuilder& builder) : TemporaryGguf(builder.bytes()) {}
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "model.gguf";
};

/// The model that a file of these pieces holds.
inline GgufModel open(const GgufBuilder& builder) {
  const TemporaryGguf file(builder);
  auto model = openGguf(file.path());
  EXPECT_TRUE(model) << model.error().message;
  return model ? *std::move(model) : GgufModel{};
}

/// One layer, hidden size 4, two query heads of four dimensions, one KV head, all tensors zero but for q and k, whose
/// numbers count up row by row.
inline GgufBuilder tinyModel(std::string_view architecture = "llama") {
  const std::string prefix = std::string(architecture) + ".";
  GgufBuilder out;
  out.text("general.architecture", architecture)
      .integer(prefix + "block_count", 1)
      .integer(prefix + "context_length", 128)
      .integer(prefix + "embedding_length", 4)
      .integer(prefix + "feed_forward_length", 2)
      .integer(prefix + "attention.head_count", 2)
      .integer(prefix + "attention.head_count_kv", 1)
      .integer(prefix + "attention.key_length", 4)
      .integer(prefix + "attention.value_length", 4)
      .real(prefix + "attention.layer_norm_rms_epsilon", 1e-5f)
      .real(prefix + "rope.freq_base", 500000.0f);
  const auto counting = [](std::size_t count) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
    return values;
  };
  const auto zeros = [](std::size_t count) { return std::vector<float>(count); };
  out.floats("token_embd.weight", {4, 3}, counting(12))
      .floats("output_norm.weight", {4}, zeros(4))
      .floats("blk.0.attn_norm.weight", {4}, zeros(4))
      .floats("blk.0.ffn_norm.weight", {4}, zeros(4))
      .floats("blk.0.attn_q.weight", {4, 8}, counting(32))
      .floats("blk.0.attn_k.weight", {4, 4}, counting(16))
      .floats("blk.0.attn_v.weight", {4, 4}, counting(16))
      .floats("blk.0.attn_output.weight", {8, 4}, zeros(32))
      .floats("blk.0.ffn_gate.weight", {4, 2}, zeros(8))
      .floats("blk.0.ffn_up.weight", {4, 2}, zeros(8))
      .floats("blk.0.ffn_down.weight", {2, 4}, zeros(8));
  return out;
}

}  // namespace kvista::test
