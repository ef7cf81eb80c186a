// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "core/checkpoint/decoder_json.h"

namespace kvista {

std::string LatentGroup::name(std::string_view tensor) const {
  return fmt::format("{}groups.{}.{}", attentionPrefix(layer), place, tensor);
}

std::int64_t LatentGroup::codedDirections() const {
  return std::ranges::count_if(widths, [](std::uint8_t width) { return width != 16; });
}

LatentLayout latentLayout(const CompressionPlan& plan, const std::vector<bool>& identity, const ModelShape& shape, bool keepsProjections) {
  const auto layers = static_cast<std::size_t>(shape.layers);
  LatentLayout layout{.groups = {}, .keepsKeys = std::vector<bool>(layers), .keepsValues = std::vector<bool>(layers)};
  std::vector<int> places(layers);
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    if (readsAnotherLayer(plan, plan.groups[i].slots.front().layer)) continue;
    if (storesTokenNumbers(plan, plan.groups[i].slots.front().layer)) {
      layout.keepsKeys.front() = layout.keepsValues.front() = true;
      continue;
    }
    LatentGroup group;
    group.index = i;
    group.layer = plan.groups[i].slots.front().layer;
    group.group = plan.groups[i];
    group.isIdentity = identity[i];
    group.isCentred = plan.centred && !group.isIdentity;
    group.hasTrellis = plan.trellis && !group.isIdentity;
    const auto layer = static_cast<std::size_t>(group.layer);
    group.place = places[layer]++;
    std::ranges::copy_if(group.group.widths, std::back_inserter(group.widths), [](std::uint8_t width) { return width != 0; });
    std::ranges::sort(group.widths, std::greater());
    const bool isRotated = plan.keyPosition == KeyPosition::afterRope && group.group.slots.front().side == Side::key;
    if (!group.isIdentity) group.predictedFrom = predictedFrom(plan, group.layer);
    group.fromHidden = !keepsProjections && plan.exactTokens == 0 && !isRotated && !group.predictedFrom;
    if (!group.fromHidden) {
      for (const Slot& slot : group.group.slots) (slot.side == Side::key ? layout.keepsKeys : layout.keepsValues)[layer] = true;
    }
    layout.groups.push_back(std::move(group));
  }
  return layout;
}

}  // namespace kvista
