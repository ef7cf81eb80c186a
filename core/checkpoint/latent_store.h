// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/checkpoint/latent_layout.h"
#include "core/io/tensor_store.h"
#include "core/model/description.h"

namespace kvista {

/// The tensors of a `latent` export under the names of the original architecture. A key or value projection that was
/// multiplied into `down` factors is put together from them: the r rows of a group stand in the places of its first r
/// outputs, zeros in the others.
class LatentStore final : public TensorStore {
 public:
  LatentStore(std::shared_ptr<const TensorStore> files, const DecoderDescription& description,
              const LatentLayout& layout);

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return tensors_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override;
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override;

 private:
  /// Rows [begin, begin + count) of a projection are the first rows of `down`, from row `from` on.
  struct Piece {
    std::string down;
    std::int64_t begin = 0, count = 0, from = 0;
  };
  void addProjection(const LinearDescription& linear, std::vector<Piece> pieces);

  std::shared_ptr<const TensorStore> files_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> sources_;  // of tensors that a file holds
  std::map<std::string, std::vector<Piece>, std::less<>> projections_;
};

}  // namespace kvista
