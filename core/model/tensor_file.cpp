// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/tensor_file.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstring>

#include "core/io/safetensors_reader.h"
#include "core/io/safetensors_writer.h"

namespace kvista {
namespace {

constexpr std::array<std::pair<at::ScalarType, DataType>, 7> kTypes = {{{at::kDouble, DataType::f64},
                                                                        {at::kFloat, DataType::f32},
                                                                        {at::kBFloat16, DataType::bf16},
                                                                        {at::kHalf, DataType::f16},
                                                                        {at::kInt, DataType::i32},
                                                                        {at::kLong, DataType::i64},
                                                                        {at::kByte, DataType::u8}}};

Result<DataType> fileTypeOf(at::ScalarType type) {
  for (const auto& [scalar, data] : kTypes)
    if (scalar == type) return data;
  return fail(ErrorCode::internal, fmt::format("Tensors of type {} are not written to files.", c10::toString(type)));
}

}  // namespace

Result<void> writeTensorFile(const std::filesystem::path& file, const NamedTensors& tensors,
                             const std::map<std::string, std::string>& texts, const Task& task) {
  std::vector<TensorToWrite> list;
  for (const auto& [name, text] : texts)
    list.push_back(
        {name, {static_cast<std::int64_t>(text.size())}, DataType::u8, [&text]() -> Result<std::span<const std::byte>> {
           return std::as_bytes(std::span(text));
         }});
  for (const auto& [name, tensor] : tensors) {
    KVISTA_ASSIGN(const DataType type, fileTypeOf(tensor.scalar_type()));
    const at::Tensor stored = tensor.cpu().contiguous();
    list.push_back({name, stored.sizes().vec(), type, [stored]() -> Result<std::span<const std::byte>> {
                      return std::span(static_cast<const std::byte*>(stored.const_data_ptr()), stored.nbytes());
                    }});
  }
  return writeSafetensors(file, std::move(list), {}, task);
}

Result<TensorFile> TensorFile::open(const std::filesystem::path& file) {
  KVISTA_ASSIGN(auto opened, openSafetensors({file}));
  return TensorFile(file, std::move(opened), "");
}

TensorFile TensorFile::within(const std::filesystem::path& path, std::shared_ptr<const TensorStore> store,
                              std::string prefix) {
  return {path, std::move(store), std::move(prefix)};
}

std::string TensorFile::text(const std::string& name) const {
  const auto found = store_->tensors().find(prefix_ + name);
  if (found == store_->tensors().end() || found->second.type != DataType::u8) return {};
  const std::span<const std::byte> bytes = store_->raw(found->second);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<at::Tensor> TensorFile::read(const std::string& name, at::ScalarType type,
                                    const std::vector<std::int64_t>& shape) const {
  KVISTA_ASSIGN(const DataType expected, fileTypeOf(type));
  const auto found = store_->tensors().find(prefix_ + name);
  if (found == store_->tensors().end())
    return fail(ErrorCode::corruptFile, fmt::format("{} lacks the tensor {}{}.", path_.string(), prefix_, name),
                "The file is damaged or of another version; make it again.");
  const TensorInfo& info = found->second;
  bool same = info.type == expected && info.shape.size() == shape.size();
  for (std::size_t i = 0; same && i < shape.size(); ++i) same = shape[i] < 0 || shape[i] == info.shape[i];
  if (!same)
    return fail(
        ErrorCode::corruptFile,
        fmt::format("The tensor {}{} of {} is {} [{}] where {} [{}] was expected.", prefix_, name, path_.string(),
                    nameOf(info.type), fmt::join(info.shape, ", "), nameOf(expected), fmt::join(shape, ", ")),
        "The file is damaged or of another version; make it again.");
  at::Tensor tensor = at::empty(info.shape, type);
  const std::span<const std::byte> bytes = store_->raw(info);
  if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace kvista
