// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <array>

namespace kvista {

namespace {

constexpr int kScaleAndZeroBytes = 4;

/// Scales and zeros of one plainly quantised slot, a token.
std::int64_t scaleBytes(const CompressionPlan& plan, const Group& group) {
  if (plan.storage != Storage::plainQuantised || group.slots.empty() || group.isUncompressed()) return 0;
  if (group.slots.front().side == Side::value) return kScaleAndZeroBytes;
  const std::int64_t block = std::max(plan.scaleBlock, 1);
  return (static_cast<std::int64_t>(group.widths.size()) * kScaleAndZeroBytes + block - 1) / block;
}

bool touches(const Group& group, int first, int last) {
  return std::any_of(group.slots.begin(), group.slots.end(),
                     [=](const Slot& slot) { return slot.layer >= first && slot.layer <= last; });
}

/// What a group computes, unambiguous: every list is preceded by its length.
std::string contentOf(const Group& group) {
  std::string text = fmt::format("{}:", group.slots.size());
  for (const Slot& slot : group.slots)
    fmt::format_to(std::back_inserter(text), "{}{}@{},", slot.side == Side::key ? 'K' : 'V', slot.head, slot.layer);
  fmt::format_to(std::back_inserter(text), "{}:", group.widths.size());
  text.append(group.widths.begin(), group.widths.end());
  return text;
}

template <class Chosen>
std::string hashOf(const CompressionPlan& plan, Chosen chosen) {
  std::vector<std::string> contents;
  for (const Group& group : plan.groups)
    if (chosen(group)) contents.push_back(contentOf(group));
  std::sort(contents.begin(), contents.end());
  std::string text =
      fmt::format("{}:{},{},{},{},{},{};", plan.method.size(), plan.method, static_cast<int>(plan.metric),
                  static_cast<int>(plan.keyPosition), static_cast<int>(plan.storage), plan.exactTokens,
                  plan.storage == Storage::plainQuantised ? plan.scaleBlock : 0);
  if (plan.compensated) text += "compensated;";
  if (plan.sinkFree) text += "sinkFree;";
  if (plan.centred) text += "centred;";
  if (plan.damping != 0) text += fmt::format("damping {};", plan.damping);
  if (plan.unwhitened) text += "unwhitened;";
  if (plan.uncalibrated) text += "uncalibrated;";
  if (!plan.sharedFrom.empty()) text += fmt::format("sharedFrom {};", fmt::join(plan.sharedFrom, ","));
  if (plan.chain > 1) text += fmt::format("chain {};", plan.chain);
  if (plan.trellis) text += "trellis;";
  if (plan.tokenNumbers) text += "tokenNumbers;";
  for (const std::string& content : contents) text += content;
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace

std::int64_t storedBytes(std::span<const std::uint8_t> widths) {
  std::array<std::int64_t, 256> directions{};
  for (const std::uint8_t width : widths) ++directions[width];
  std::int64_t bytes = 0;
  for (std::size_t bits = 1; bits < directions.size(); bits *= 2) {
    std::int64_t parts = 0;
    for (std::size_t width = bits; width < directions.size(); ++width)
      parts += (width & bits) != 0 ? directions[width] : 0;
    bytes += (parts * static_cast<std::int64_t>(bits) + 7) / 8;
  }
  return bytes;
}

int Group::rank() const {
  return static_cast<int>(std::count_if(widths.begin(), widths.end(), [](std::uint8_t width) { return width != 0; }));
}

bool Group::isUncompressed() const {
  return std::all_of(widths.begin(), widths.end(), [](std::uint8_t width) { return width == 16; });
}

std::int64_t Group::storedBytes() const { return kvista::storedBytes(widths); }

bool readsAnotherLayer(const CompressionPlan& plan, int layer) {
  const auto index = static_cast<std::size_t>(layer);
  return index < plan.sharedFrom.size() && plan.sharedFrom[index] != layer;
}

bool storesTokenNumbers(const CompressionPlan& plan, int layer) { return plan.tokenNumbers && layer == 0; }

bool storesDirections(const CompressionPlan& plan, int layer) {
  return !readsAnotherLayer(plan, layer) && !storesTokenNumbers(plan, layer);
}

std::optional<int> predictedFrom(const CompressionPlan& plan, int layer) {
  if (layer % plan.chain != 0) return layer - 1;
  return plan.tokenNumbers && layer > 0 ? std::optional(0) : std::nullopt;
}

bool predictsLayers(const CompressionPlan& plan) { return plan.chain > 1 || plan.tokenNumbers; }

bool measuresLoss(const CompressionPlan& plan) {
  return plan.metric == Metric::fisher && plan.damping == 0 && !plan.sinkFree && plan.sharedFrom.empty();
}

int slotWidth(const Slot& slot, const ModelShape& shape) {
  return slot.side == Side::key ? shape.headDim : shape.valueHeadDim;
}

std::int64_t bytesPerToken(const CompressionPlan& plan, const Group& group) {
  return group.storedBytes() + scaleBytes(plan, group);
}

std::int64_t bytesPerToken(const CompressionPlan& plan) {
  std::int64_t bytes = plan.tokenNumbers ? kTokenNumberBytes : 0;
  for (const Group& group : plan.groups) bytes += bytesPerToken(plan, group);
  return bytes;
}

double keptFraction(const CompressionPlan& plan, const ModelShape& shape) {
  std::int64_t kept = 0;
  for (const Group& group : plan.groups) kept += group.rank();
  const std::int64_t numbers = shape.cacheBytesPerToken() / 2;
  return numbers > 0 ? static_cast<double>(kept) / static_cast<double>(numbers) : 0.0;
}

double share(const CompressionPlan& plan, const ModelShape& shape) {
  const std::int64_t full = shape.cacheBytesPerToken();
  return full > 0 ? static_cast<double>(bytesPerToken(plan)) / static_cast<double>(full) : 0.0;
}

std::string layerFingerprint(const CompressionPlan& plan, int layer) {
  const int first = plan.compensated ? 0 : layer - layer % plan.chain;
  return hashOf(plan, [=](const Group& group) { return touches(group, first, layer); });
}

std::string fingerprint(const CompressionPlan& plan) {
  return hashOf(plan, [](const Group&) { return true; });
}

}  // namespace kvista
