// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/checkpoint/decoder_json.h"

namespace kvista {

LatentStore::LatentStore(std::shared_ptr<const TensorStore> files, const DecoderDescription& description,
                         const LatentLayout& layout)
    : files_(std::move(files)) {
  const auto add = [&](const std::string& name, const std::string& inFile) {
    const auto found = files_->tensors().find(inFile);
    if (found == files_->tensors().end()) return;  // the decoder misses it by the name it knows
    tensors_[name] = found->second;
    tensors_[name].name = name;
    sources_[name] = inFile;
  };
  for (const TensorRole& role : tensorRoles(description)) add(role.source, role.name);

  const ModelShape& shape = description.shape;
  std::vector<std::vector<Piece>> keys(description.layers.size()), values(description.layers.size());
  for (const LatentGroup& group : layout.groups) {
    if (!group.fromHidden) continue;
    const auto rank = static_cast<std::int64_t>(group.widths.size());
    std::int64_t from = 0;
    for (const Slot& slot : group.group.slots) {
      const std::int64_t width = slotWidth(slot, shape);
      auto& pieces = (slot.side == Side::key ? keys : values)[static_cast<std::size_t>(group.layer)];
      if (from < rank)
        pieces.push_back({group.name("down.weight"), slot.head * width, std::min(width, rank - from), from});
      from += width;
    }
  }
  for (std::size_t i = 0; i < description.layers.size(); ++i) {
    const AttentionDescription& attention = description.layers[i].attention;
    const std::string prefix = attentionPrefix(static_cast<int>(i));
    if (layout.keepsKeys[i])
      add(attention.key.weight, prefix + "k_proj.weight");
    else
      addProjection(attention.key, std::move(keys[i]));
    if (layout.keepsValues[i])
      add(attention.value.weight, prefix + "v_proj.weight");
    else
      addProjection(attention.value, std::move(values[i]));
  }
}

void LatentStore::addProjection(const LinearDescription& linear, std::vector<Piece> pieces) {
  TensorInfo info{.name = linear.weight, .shape = {linear.out, linear.in}, .type = DataType::f32, .file = {}};
  if (!pieces.empty()) info.file = files_->tensors().at(pieces.front().down).file;
  tensors_[linear.weight] = std::move(info);
  projections_[linear.weight] = std::move(pieces);
}

std::span<const std::byte> LatentStore::raw(const TensorInfo& tensor) const {
  const auto source = sources_.find(tensor.name);
  if (source == sources_.end()) return {};
  return files_->raw(files_->tensors().at(source->second));
}

Result<void> LatentStore::readFloat32(const TensorInfo& tensor, std::span<float> out) const {
  if (const auto source = sources_.find(tensor.name); source != sources_.end())
    return files_->readFloat32(files_->tensors().at(source->second), out);
  const auto projection = projections_.find(tensor.name);
  if (projection == projections_.end() || out.size() != tensor.count())
    return fail(ErrorCode::invalidArgument, fmt::format("Tensor {} is not one of this checkpoint.", tensor.name));

  std::ranges::fill(out, 0.0F);
  const auto width = static_cast<std::size_t>(tensor.shape[1]);
  std::string held;
  std::vector<float> rows;
  for (const Piece& piece : projection->second) {
    if (piece.down != held) {
      const TensorInfo& down = files_->tensors().at(piece.down);
      rows.resize(down.count());
      KVISTA_CHECK(files_->readFloat32(down, rows));
      held = piece.down;
    }
    std::copy_n(rows.begin() + piece.from * tensor.shape[1], static_cast<std::size_t>(piece.count) * width,
                out.begin() + piece.begin * tensor.shape[1]);
  }
  return {};
}

}  // namespace kvista
