// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <type_traits>

#include "core/io/atomic_file.h"
#include "core/io/gguf_file.h"
#include "core/io/json_file.h"
#include "core/io/tensor_data_writer.h"

namespace kvista {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32;  // the format's own, so that it need not be said
constexpr std::size_t kLongestName = 63;  // llama.cpp's, with the zero behind it

/// Little-endian bytes, one thing after the other.
class Bytes {
 public:
  template <class T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void type(GgufType type) { number(static_cast<std::uint32_t>(type)); }
  void string(std::string_view value) {
    number<std::uint64_t>(value.size());
    text_ += value;
  }
  void pad(std::uint64_t alignment) { text_.resize((text_.size() + alignment - 1) / alignment * alignment, '\0'); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

template <class T>
constexpr GgufType typeOf() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::boolean;
  if constexpr (std::is_same_v<T, std::uint32_t>) return GgufType::u32;
  if constexpr (std::is_same_v<T, std::int32_t>) return GgufType::i32;
  if constexpr (std::is_same_v<T, float>) return GgufType::f32;
  if constexpr (std::is_same_v<T, std::string>) return GgufType::string;
}

struct ValueWriter {
  Bytes& out;

  template <class T>
  void operator()(const T& value) const {
    out.type(typeOf<T>());
    content(value);
  }
  template <class T>
  void operator()(const std::vector<T>& values) const {
    out.type(GgufType::array);
    out.type(typeOf<T>());
    out.number<std::uint64_t>(values.size());
    for (const T& value : values) content(value);
  }

 private:
  void content(const std::string& value) const { out.string(value); }
  void content(bool value) const { out.number(static_cast<std::uint8_t>(value)); }
  template <class T>
  void content(T value) const {
    out.number(value);
  }
};

Result<std::uint32_t> typeNumber(DataType type) {
  switch (type) {
    case DataType::f32:
      return 0;
    case DataType::f16:
      return 1;
    case DataType::bf16:
      return 30;
    default:
      return fail(ErrorCode::invalidArgument, fmt::format("GGUF files are not written with {}.", nameOf(type)),
                  "Choose one of: float32, bfloat16, float16.");
  }
}

}  // namespace

Result<std::string> ggufBeginning(const GgufMetadata& metadata, const std::vector<TensorToWrite>& tensors) {
  Bytes out;
  for (const char letter : {'G', 'G', 'U', 'F'}) out.number(letter);
  out.number(kVersion);
  out.number<std::uint64_t>(tensors.size());
  out.number<std::uint64_t>(metadata.entries().size());
  for (const auto& [key, value] : metadata.entries()) {
    out.string(key);
    std::visit(ValueWriter{out}, value);
  }
  std::uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.name.size() > kLongestName || tensor.shape.empty() || tensor.shape.size() > 4)
      return fail(
          ErrorCode::invalidArgument,
          fmt::format("Tensor {} with {} dimensions cannot stand in a GGUF file: names have at most {} bytes, tensors "
                      "1 to 4 dimensions.",
                      quoteForMessage(tensor.name), tensor.shape.size(), kLongestName));
    out.string(tensor.name);
    out.number(static_cast<std::uint32_t>(tensor.shape.size()));
    std::uint64_t count = 1;
    for (auto length = tensor.shape.rbegin(); length != tensor.shape.rend(); ++length) {
      out.number(static_cast<std::uint64_t>(*length));
      count *= static_cast<std::uint64_t>(*length);
    }
    KVISTA_ASSIGN(const std::uint32_t type, typeNumber(tensor.type));
    out.number(type);
    out.number(offset);
    KVISTA_ASSIGN(const std::uint64_t bytes, byteCount(tensor.type, count));
    offset += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  out.pad(kAlignment);
  return out.take();
}

Result<void> writeGguf(const std::filesystem::path& file, const GgufMetadata& metadata,
                       std::vector<TensorToWrite> tensors, const Task& task) {
  KVISTA_ASSIGN(const std::string beginning, ggufBeginning(metadata, tensors));
  KVISTA_ASSIGN(std::vector<SizedTensor> sized, sizeTensors(std::move(tensors), DataType::bf16, "GGUF files"));
  const std::uint64_t total = totalBytes(sized);
  KVISTA_CHECK(
      checkFreeSpace(file.has_parent_path() ? file.parent_path() : ".", total + beginning.size(), file.string()));
  WriteProgress progress(task, total);
  KVISTA_ASSIGN(AtomicFile out, AtomicFile::create(file));
  KVISTA_CHECK(out.append(std::as_bytes(std::span(beginning))));
  KVISTA_CHECK(progress.advance(0));
  KVISTA_CHECK(writeTensorData(out, std::move(sized), kAlignment, progress));
  return out.commit();
}

}  // namespace kvista
