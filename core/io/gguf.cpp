// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf.h"

#include "core/io/gguf_convert.h"
#include "core/io/gguf_file.h"

namespace kvista {

Result<GgufModel> openGguf(const std::filesystem::path& file) {
  KVISTA_ASSIGN(auto opened, GgufFile::open(file));
  const auto shared = std::make_shared<const GgufFile>(std::move(opened));
  GgufModel model;
  KVISTA_ASSIGN(model.config, ggufConfig(*shared));
  KVISTA_ASSIGN(model.tensors, ggufTensors(shared, model.config));
  return model;
}

Result<GgufTokenizer> readGgufTokenizer(const std::filesystem::path& file) {
  KVISTA_ASSIGN(const auto opened, GgufFile::open(file));
  return ggufTokenizer(opened);
}

}  // namespace kvista
