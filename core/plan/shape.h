// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace kvista {

/// The sizes of a decoder that the cache depends on. Numbers only: no file, no tensor.
struct ModelShape {
  std::string family;  ///< "llama", "qwen2", ...
  int layers = 0;
  int queryHeads = 0;
  int kvHeads = 0;
  int headDim = 0;       ///< Width of one key head.
  int valueHeadDim = 0;  ///< Width of one value head; equals headDim in most families.
  int hiddenSize = 0;
  int vocabulary = 0;
  std::int64_t parameters = 0;

  bool operator==(const ModelShape&) const = default;

  [[nodiscard]] int keyWidth() const { return kvHeads * headDim; }         ///< Numbers a token and layer stores for K.
  [[nodiscard]] int valueWidth() const { return kvHeads * valueHeadDim; }  ///< The same for V.
  [[nodiscard]] int cacheWidth() const { return keyWidth() + valueWidth(); }
  /// Bytes a token costs over all layers in the uncompressed 16-bit cache.
  [[nodiscard]] std::int64_t cacheBytesPerToken() const { return std::int64_t{2} * layers * cacheWidth(); }
};

}  // namespace kvista
