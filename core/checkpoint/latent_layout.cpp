// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/latent_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/checkpoint/decoder_json.h"

namespace kvista {

namespace {

using nlohmann::json;

json describeGroup(const LatentGroup& group) {
  json slots = json::array();
  for (const Slot& slot : group.group.slots) slots.push_back({slot.side == Side::key ? "key" : "value", slot.head});
  json runs = json::array();
  for (const std::uint8_t bits : group.widths) {
    if (runs.empty() || runs.back()[0] != bits) runs.push_back({bits, 0});
    runs.back()[1] = runs.back()[1].get<int>() + 1;
  }
  return {{"slots", std::move(slots)},
          {"input", group.fromHidden ? "hidden" : "heads"},
          {"identity", group.isIdentity},
          {"centred", group.isCentred},
          {"predicted_from", group.predictedFrom ? json(*group.predictedFrom) : json()},
          {"trellis", group.hasTrellis},
          {"runs", std::move(runs)}};
}

/// A value as a sentence can have it.
std::string inWords(const json& value) {
  constexpr std::size_t kMost = 60;
  if (value.is_null()) return "none";
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

/// A field's value where it is left out.
json usualOf(const std::string& field) {
  static const json kUsual = {{"token_numbers", false}, {"centred", false}, {"trellis", false}};
  return kUsual.value(field, json());
}

std::string whereUnlike(const json& found, const json& expected, const std::string& path) {
  const bool isAlike = found.type() == expected.type() && (expected.is_object() || found.size() == expected.size());
  const bool isSame = expected.is_structured() ? isAlike : found == expected;
  if (!isSame)
    return fmt::format("{} is {} in config.json and {} by the plan", path, inWords(found), inWords(expected));
  std::string where;
  if (expected.is_object()) {
    for (auto field = expected.begin(); field != expected.end() && where.empty(); ++field) {
      const std::string& name = field.key();
      where = whereUnlike(found.contains(name) ? found[name] : usualOf(name), *field, fmt::format("{}.{}", path, name));
    }
  } else if (expected.is_array()) {
    for (std::size_t i = 0; i < expected.size() && where.empty(); ++i)
      where = whereUnlike(found[i], expected[i], fmt::format("{}[{}]", path, i));
  }
  return where;
}

}  // namespace

std::string LatentGroup::name(std::string_view tensor) const {
  return fmt::format("{}groups.{}.{}", attentionPrefix(layer), place, tensor);
}

std::int64_t LatentGroup::codedDirections() const {
  return std::ranges::count_if(widths, [](std::uint8_t width) { return width != 16; });
}

LatentLayout latentLayout(const CompressionPlan& plan, const std::vector<bool>& identity, const ModelShape& shape,
                          bool keepsProjections) {
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
    std::ranges::copy_if(group.group.widths, std::back_inserter(group.widths),
                         [](std::uint8_t width) { return width != 0; });
    std::ranges::sort(group.widths, std::greater());
    const bool isRotated = plan.keyPosition == KeyPosition::afterRope && group.group.slots.front().side == Side::key;
    if (!group.isIdentity) group.predictedFrom = predictedFrom(plan, group.layer);
    group.fromHidden = !keepsProjections && plan.exactTokens == 0 && !isRotated && !group.predictedFrom;
    if (!group.fromHidden) {
      for (const Slot& slot : group.group.slots)
        (slot.side == Side::key ? layout.keepsKeys : layout.keepsValues)[layer] = true;
    }
    layout.groups.push_back(std::move(group));
  }
  return layout;
}

json describePlan(const CompressionPlan& plan, const LatentLayout& layout, const ModelShape& shape) {
  json layers = json::array();
  for (int layer = 0; layer < shape.layers; ++layer) {
    json& described = layers.emplace_back(json{{"groups", json::array()}, {"reads", json()}});
    if (readsAnotherLayer(plan, layer)) described["reads"] = plan.sharedFrom[static_cast<std::size_t>(layer)];
  }
  for (const LatentGroup& group : layout.groups)
    layers[static_cast<std::size_t>(group.layer)]["groups"].push_back(describeGroup(group));
  return {{"key_position", plan.keyPosition == KeyPosition::afterRope ? "after_rope" : "before_rope"},
          {"exact_tokens", plan.exactTokens},
          {"token_numbers", plan.tokenNumbers},
          {"layers", std::move(layers)}};
}

std::string whereUnlike(const json& own, const json& described) { return whereUnlike(own, described, "kvista"); }

}  // namespace kvista
