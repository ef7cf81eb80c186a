// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/plan/plan.h"
#include "core/plan/plan_names.h"
#include "core/plan/spectrum.h"

namespace kvista {

namespace {

using nlohmann::json;

// What no real model comes near: keeps a short hostile file from asking for much memory.
constexpr std::int64_t kMaxIndex = 65535;
constexpr std::int64_t kMaxWidths = std::int64_t{1} << 24;
constexpr std::size_t kMaxName = 256;

tl::unexpected<Error> bad(const std::string& field, std::string_view problem) {
  return fail(ErrorCode::invalidArgument, fmt::format("The plan's field '{}' {}.", field, problem));
}

/// One JSON object whose path is known, so that every mistake can name its field.
class ObjectReader {
 public:
  static Result<ObjectReader> open(const json& value, std::string path,
                                   std::initializer_list<std::string_view> fields) {
    if (!value.is_object()) return bad(path.empty() ? "(whole)" : path, "is not an object");
    ObjectReader reader(value, std::move(path));
    for (const auto& item : value.items())
      if (std::find(fields.begin(), fields.end(), item.key()) == fields.end())
        return bad(reader.pathOf(item.key()), "is not known");
    return reader;
  }

  [[nodiscard]] std::string pathOf(std::string_view field) const {
    return path_.empty() ? std::string(field) : fmt::format("{}.{}", path_, field);
  }
  [[nodiscard]] bool has(const char* field) const { return object_->contains(field); }
  [[nodiscard]] Result<const json*> at(const char* field) const {
    const auto found = object_->find(field);
    if (found == object_->end()) return bad(pathOf(field), "is missing");
    return &*found;
  }
  [[nodiscard]] Result<const json*> array(const char* field) const {
    KVISTA_ASSIGN(const json* value, at(field));
    if (!value->is_array()) return bad(pathOf(field), "is not a list");
    return value;
  }
  [[nodiscard]] Result<std::string> text(const char* field) const {
    KVISTA_ASSIGN(const json* value, at(field));
    if (!value->is_string()) return bad(pathOf(field), "is not a text");
    const auto& string = value->get_ref<const std::string&>();
    if (string.size() > kMaxName)
      return bad(pathOf(field), fmt::format("has {} bytes, at most {} are allowed", string.size(), kMaxName));
    return string;
  }
  /// False where it is absent.
  [[nodiscard]] Result<bool> flag(const char* field) const {
    if (!has(field)) return false;
    KVISTA_ASSIGN(const json* value, at(field));
    if (!value->is_boolean()) return bad(pathOf(field), "is not true or false");
    return value->get<bool>();
  }
  template <class Table>
  [[nodiscard]] auto choice(const char* field, const Table& table) const -> Result<decltype(table[0].value)> {
    KVISTA_ASSIGN(const std::string name, text(field));
    for (const auto& named : table)
      if (named.name == name) return named.value;
    std::string known;
    for (const auto& named : table) known += fmt::format(" {}", named.name);
    return bad(pathOf(field), fmt::format("is '{}', it must be one of{}", name, known));
  }

 private:
  ObjectReader(const json& object, std::string path) : object_(&object), path_(std::move(path)) {}
  const json* object_;
  std::string path_;
};

Result<int> integer(const json& value, const std::string& path, std::int64_t lowest, std::int64_t highest) {
  if (!value.is_number_integer()) return bad(path, "is not a whole number");
  const bool tooLarge = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(highest);
  if (tooLarge || value.get<std::int64_t>() < lowest || value.get<std::int64_t>() > highest)
    return bad(path, fmt::format("is {}, it must be {} to {}", value.dump(), lowest, highest));
  return static_cast<int>(value.get<std::int64_t>());
}

Result<int> integer(const ObjectReader& reader, const char* field, std::int64_t lowest, std::int64_t highest) {
  KVISTA_ASSIGN(const json* value, reader.at(field));
  return integer(*value, reader.pathOf(field), lowest, highest);
}

Result<Slot> slotFromJson(const json& value, const std::string& path, int layer) {
  if (!value.is_string()) return bad(path, "is not a text such as \"K3\"");
  const auto& text = value.get_ref<const std::string&>();
  Slot slot{layer, Side::key, 0};
  const char* end = text.data() + text.size();
  const bool started = text.size() >= 2 && (text[0] == 'K' || text[0] == 'V') && text[1] >= '0' && text[1] <= '9' &&
                       (text[1] != '0' || text.size() == 2);
  if (started) {
    slot.side = text[0] == 'K' ? Side::key : Side::value;
    const auto [rest, error] = std::from_chars(text.data() + 1, end, slot.head);
    if (rest == end && error == std::errc() && slot.head <= kMaxIndex) return slot;
  }
  return bad(path, fmt::format("is not K or V and a head's number from 0 to {}", kMaxIndex));
}

Result<std::vector<Slot>> slotsFromJson(const ObjectReader& reader) {
  KVISTA_ASSIGN(const json* names, reader.array("slots"));
  if (names->empty()) return bad(reader.pathOf("slots"), "is empty");
  if (reader.has("layer") == reader.has("layers"))
    return bad(reader.pathOf("layer"), "or 'layers' must be given, and not both");
  std::vector<int> layers;
  if (reader.has("layer")) {
    KVISTA_ASSIGN(const int layer, integer(reader, "layer", 0, kMaxIndex));
    layers.assign(names->size(), layer);
  } else {
    KVISTA_ASSIGN(const json* list, reader.array("layers"));
    if (list->size() != names->size())
      return bad(reader.pathOf("layers"), fmt::format("has {} entries for {} slots", list->size(), names->size()));
    for (std::size_t i = 0; i < list->size(); ++i) {
      KVISTA_ASSIGN(const int layer,
                    integer((*list)[i], fmt::format("{}[{}]", reader.pathOf("layers"), i), 0, kMaxIndex));
      layers.push_back(layer);
    }
  }
  std::vector<Slot> slots;
  slots.reserve(names->size());
  for (std::size_t i = 0; i < names->size(); ++i) {
    KVISTA_ASSIGN(const Slot slot,
                  slotFromJson((*names)[i], fmt::format("{}[{}]", reader.pathOf("slots"), i), layers[i]));
    slots.push_back(slot);
  }
  return slots;
}

/// `room`: widths that the whole plan may still have.
Result<std::vector<std::uint8_t>> widthsFromJson(const ObjectReader& reader, std::int64_t& room) {
  KVISTA_ASSIGN(const json* runs, reader.array("widths"));
  std::vector<std::uint8_t> widths;
  for (std::size_t i = 0; i < runs->size(); ++i) {
    const std::string path = fmt::format("{}[{}]", reader.pathOf("widths"), i);
    const json& run = (*runs)[i];
    if (!run.is_array() || run.size() != 2) return bad(path, "is not a pair [width, count]");
    KVISTA_ASSIGN(const int width, integer(run[0], path + "[0]", 0, 16));
    if (std::find(kWidths.begin(), kWidths.end(), width) == kWidths.end())
      return bad(path + "[0]", fmt::format("is {}, it must be one of {}", width, fmt::join(kWidths, " ")));
    KVISTA_ASSIGN(const int count, integer(run[1], path + "[1]", 1, kMaxWidths));
    if (count > room) return bad(path, fmt::format("brings the plan above {} widths in all", kMaxWidths));
    room -= count;
    widths.insert(widths.end(), static_cast<std::size_t>(count), static_cast<std::uint8_t>(width));
  }
  return widths;
}

Result<Group> groupFromJson(const json& value, const std::string& path, std::int64_t& room) {
  KVISTA_ASSIGN(const ObjectReader reader,
                ObjectReader::open(value, path, {"layer", "layers", "slots", "widths", "locked"}));
  Group group;
  KVISTA_ASSIGN(group.slots, slotsFromJson(reader));
  KVISTA_ASSIGN(group.widths, widthsFromJson(reader, room));
  KVISTA_ASSIGN(group.locked, reader.flag("locked"));
  return group;
}

Result<void> checkDuplicates(const CompressionPlan& plan) {
  std::vector<std::pair<Slot, std::size_t>> owners;
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    for (const Slot& slot : plan.groups[i].slots) owners.emplace_back(slot, i);
  std::sort(owners.begin(), owners.end());
  const auto twice =
      std::adjacent_find(owners.begin(), owners.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice == owners.end()) return {};
  return bad(
      fmt::format("groups[{}].slots", std::next(twice)->second),
      fmt::format("holds {}{} of layer {}, which groups[{}] holds already", twice->first.side == Side::key ? 'K' : 'V',
                  twice->first.head, twice->first.layer, twice->second));
}

json toJson(const Group& group) {
  json value = json::object();
  json names = json::array();
  json layers = json::array();
  bool oneLayer = true;
  for (const Slot& slot : group.slots) {
    names.push_back(fmt::format("{}{}", slot.side == Side::key ? 'K' : 'V', slot.head));
    layers.push_back(slot.layer);
    oneLayer &= slot.layer == group.slots.front().layer;
  }
  if (oneLayer && !group.slots.empty())
    value["layer"] = group.slots.front().layer;
  else
    value["layers"] = std::move(layers);
  value["slots"] = std::move(names);

  json runs = json::array();
  for (std::size_t i = 0; i < group.widths.size();) {
    std::size_t end = i;
    while (end < group.widths.size() && group.widths[end] == group.widths[i]) ++end;
    runs.push_back({group.widths[i], end - i});
    i = end;
  }
  value["widths"] = std::move(runs);
  if (group.locked) value["locked"] = true;
  return value;
}

}  // namespace

json toJson(const Target& target) { return {{"kind", nameIn(kTargetKinds, target.kind)}, {"value", target.value}}; }

Result<Target> targetFromJson(const json& value) {
  KVISTA_ASSIGN(const ObjectReader reader, ObjectReader::open(value, "target", {"kind", "value"}));
  Target target;
  KVISTA_ASSIGN(target.kind, reader.choice("kind", kTargetKinds));
  KVISTA_ASSIGN(const json* number, reader.at("value"));
  if (!number->is_number()) return bad("target.value", "is not a number");
  target.value = number->get<double>();
  if (!std::isfinite(target.value) || target.value <= 0) return bad("target.value", "is not above 0");
  return target;
}

json toJson(const CompressionPlan& plan) {
  json groups = json::array();
  for (const Group& group : plan.groups) groups.push_back(toJson(group));
  json value = {{"method", plan.method},
                {"grouping", plan.grouping},
                {"allocator", plan.allocator},
                {"metric", nameIn(kMetrics, plan.metric)},
                {"keyPosition", nameIn(kKeyPositions, plan.keyPosition)},
                {"storage", nameIn(kStorages, plan.storage)},
                {"rankStep", plan.rankStep},
                {"exactTokens", plan.exactTokens},
                {"scaleBlock", plan.scaleBlock},
                {"target", toJson(plan.target)},
                {"groups", std::move(groups)}};
  if (plan.damping != 0) value["damping"] = plan.damping;
  if (plan.sinkFree) value["sinkFree"] = true;
  if (plan.centred) value["centred"] = true;
  if (plan.compensated) value["compensated"] = true;
  if (plan.unwhitened) value["unwhitened"] = true;
  if (plan.uncalibrated) value["uncalibrated"] = true;
  if (!plan.sharedFrom.empty()) value["sharedFrom"] = plan.sharedFrom;
  if (plan.chain > 1) value["chain"] = plan.chain;
  if (plan.trellis) value["trellis"] = true;
  if (plan.tokenNumbers) value["tokenNumbers"] = true;
  return value;
}

Result<CompressionPlan> planFromJson(const json& value) {
  KVISTA_ASSIGN(const ObjectReader reader,
                ObjectReader::open(
                    value, "", {"method",       "grouping",   "allocator",    "metric",     "damping",  "keyPosition",
                                "storage",      "rankStep",   "exactTokens",  "scaleBlock", "sinkFree", "centred",
                                "compensated",  "unwhitened", "uncalibrated", "sharedFrom", "chain",    "trellis",
                                "tokenNumbers", "target",     "groups"}));
  CompressionPlan plan;
  KVISTA_ASSIGN(plan.method, reader.text("method"));
  KVISTA_ASSIGN(plan.grouping, reader.text("grouping"));
  KVISTA_ASSIGN(plan.allocator, reader.text("allocator"));
  KVISTA_ASSIGN(plan.metric, reader.choice("metric", kMetrics));
  if (reader.has("damping")) {
    KVISTA_ASSIGN(const json* damping, reader.at("damping"));
    if (!damping->is_number() || !(damping->get<double>() >= 0) || damping->get<double>() > kMaxDamping)
      return bad("damping", fmt::format("is not a number from 0 to {}", kMaxDamping));
    plan.damping = damping->get<double>();
  }
  KVISTA_ASSIGN(plan.keyPosition, reader.choice("keyPosition", kKeyPositions));
  KVISTA_ASSIGN(plan.storage, reader.choice("storage", kStorages));
  KVISTA_ASSIGN(plan.rankStep, integer(reader, "rankStep", 1, kMaxIndex));
  KVISTA_ASSIGN(plan.exactTokens, integer(reader, "exactTokens", 0, kMaxExactTokens));
  KVISTA_ASSIGN(plan.scaleBlock, integer(reader, "scaleBlock", 1, kMaxIndex));
  KVISTA_ASSIGN(plan.sinkFree, reader.flag("sinkFree"));
  KVISTA_ASSIGN(plan.centred, reader.flag("centred"));
  KVISTA_ASSIGN(plan.compensated, reader.flag("compensated"));
  KVISTA_ASSIGN(plan.unwhitened, reader.flag("unwhitened"));
  KVISTA_ASSIGN(plan.uncalibrated, reader.flag("uncalibrated"));
  if (reader.has("sharedFrom")) {
    KVISTA_ASSIGN(const json* layers, reader.array("sharedFrom"));
    for (std::size_t i = 0; i < layers->size() && i <= static_cast<std::size_t>(kMaxIndex); ++i) {
      KVISTA_ASSIGN(const int source, integer((*layers)[i], fmt::format("sharedFrom[{}]", i), 0, kMaxIndex));
      plan.sharedFrom.push_back(source);
    }
  }
  if (reader.has("chain")) {
    KVISTA_ASSIGN(plan.chain, integer(reader, "chain", 1, kMaxChain));
  }
  KVISTA_ASSIGN(plan.trellis, reader.flag("trellis"));
  KVISTA_ASSIGN(plan.tokenNumbers, reader.flag("tokenNumbers"));
  KVISTA_ASSIGN(const json* target, reader.at("target"));
  KVISTA_ASSIGN(plan.target, targetFromJson(*target));
  KVISTA_ASSIGN(const json* groups, reader.array("groups"));
  std::int64_t room = kMaxWidths;
  for (std::size_t i = 0; i < groups->size(); ++i) {
    KVISTA_ASSIGN(Group group, groupFromJson((*groups)[i], fmt::format("groups[{}]", i), room));
    plan.groups.push_back(std::move(group));
  }
  KVISTA_CHECK(checkDuplicates(plan));
  return plan;
}

}  // namespace kvista
