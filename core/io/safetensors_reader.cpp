// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/safetensors_reader.h"

#include <utility>

#include "core/io/mapped_tensors.h"
#include "core/io/safetensors_header.h"

namespace kvista {

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
  auto store = std::make_shared<MappedTensors>();
  for (const std::filesystem::path& path : files) {
    KVISTA_ASSIGN(auto mapped, MappedFile::open(path));
    const auto file = std::make_shared<const MappedFile>(std::move(mapped));
    KVISTA_ASSIGN(SafetensorsHeader header, readSafetensorsHeader(file->bytes(), path));
    store->keep(file);
    const auto data = file->bytes().subspan(static_cast<std::size_t>(header.dataBegin));
    for (auto& [info, begin, end] : header.tensors)
      KVISTA_CHECK(store->add(std::move(info),
                              data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))));
  }
  return store;
}

}  // namespace kvista
