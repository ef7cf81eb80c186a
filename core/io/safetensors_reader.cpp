// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/safetensors_reader.h"

#include <fmt/format.h>

#include <utility>

#include "core/io/float_conversion.h"
#include "core/io/json_file.h"
#include "core/io/safetensors_header.h"

namespace kvista {
namespace {

class SafetensorsStore final : public TensorStore {
 public:
  Result<void> add(std::shared_ptr<const SafetensorsFile> file) {
    for (const auto& [name, tensor] : file->tensors()) {
      const auto [place, isNew] = tensors_.try_emplace(name, tensor);
      if (!isNew)
        return fail(ErrorCode::corruptFile,
                    fmt::format("{}: tensor {} is in {} too.", tensor.file.string(), quoteForMessage(name),
                                place->second.file.string()),
                    "The shards do not belong together: download them again.");
      fileOf_.emplace(name, file.get());
    }
    files_.push_back(std::move(file));
    return {};
  }

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return tensors_; }

  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override {
    const auto found = fileOf_.find(tensor.name);
    return found == fileOf_.end() ? std::span<const std::byte>{} : found->second->bytes(tensor);
  }

  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto known = tensors_.find(tensor.name);
    if (known == tensors_.end())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The checkpoint has no tensor {}.", quoteForMessage(tensor.name)));
    const TensorInfo& stored = known->second;
    if (out.size() != stored.count())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{}: tensor {} holds {} numbers, but {} are asked for.", stored.file.string(),
                              quoteForMessage(stored.name), stored.count(), out.size()));
    auto converted = convertToFloat32(stored.type, raw(stored), out);
    if (!converted)
      converted.error().message = fmt::format("{}: tensor {}: {}", stored.file.string(), quoteForMessage(stored.name),
                                              converted.error().message);
    return converted;
  }

 private:
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, const SafetensorsFile*, std::less<>> fileOf_;
};

}  // namespace

Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::open(const std::filesystem::path& file) {
  KVISTA_ASSIGN(MappedFile mapped, MappedFile::open(file));
  KVISTA_ASSIGN(SafetensorsHeader header, readSafetensorsHeader(mapped.bytes(), file));
  const auto data = mapped.bytes().subspan(static_cast<std::size_t>(header.dataBegin));
  const std::shared_ptr<SafetensorsFile> opened(new SafetensorsFile(std::move(mapped)));
  opened->metadata_ = std::move(header.metadata);
  for (SafetensorsHeader::Tensor& tensor : header.tensors) {
    const std::string name = tensor.info.name;
    opened->bytes_.emplace(name, data.subspan(static_cast<std::size_t>(tensor.begin),
                                              static_cast<std::size_t>(tensor.end - tensor.begin)));
    opened->tensors_.emplace(name, std::move(tensor.info));
  }
  return opened;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  const auto found = bytes_.find(tensor.name);
  return found == bytes_.end() ? std::span<const std::byte>{} : found->second;
}

Result<std::shared_ptr<const TensorStore>> openSafetensors(const std::vector<std::filesystem::path>& files) {
  auto store = std::make_shared<SafetensorsStore>();
  for (const std::filesystem::path& path : files) {
    KVISTA_ASSIGN(auto file, SafetensorsFile::open(path));
    KVISTA_CHECK(store->add(std::move(file)));
  }
  return store;
}

}  // namespace kvista
