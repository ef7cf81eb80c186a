// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

namespace kvista {

namespace {

/// What one layer reads and computes for every cached token.
struct LayerWork {
  double bytes = 0;
  double multiplyAdds = 0;
};

double arithmeticSeconds(double multiplyAdds, double tokens, const DeviceProfile& device) {
  return 2 * multiplyAdds * tokens / device.flopsPerSecond;
}

double layerSeconds(const LayerWork& work, double tokens, const DeviceProfile& device) {
  return device.launchSeconds +
         std::max(work.bytes * tokens / device.bytesPerSecond, arithmeticSeconds(work.multiplyAdds, tokens, device));
}

/// Key and value heads of a group in one layer.
struct Heads {
  int keys = 0;
  int values = 0;
};

std::map<int, Heads> headsByLayer(const Group& group) {
  std::map<int, Heads> layers;
  for (const Slot& slot : group.slots) ++(slot.side == Side::key ? layers[slot.layer].keys : layers[slot.layer].values);
  return layers;
}

/// Numbers of a token that kernels multiply: of a code of 3 or 6 bits, both its parts (storedBytes).
int numbersOf(const Group& group) {
  int sum = 0;
  for (const std::uint8_t width : group.widths) sum += std::popcount(width);
  return sum;
}

/// What prediction adds to a layer with one latent of rank `rank` and `numbers` outputs: those of a layer that predicts
/// others are rebuilt, values too, and stand in memory in 16 bits until they have been read through the prediction.
/// Numbers of tokens become outputs through embedding and projections.
void addPrediction(const CompressionPlan& plan, const ModelShape& shape, int layer, double rank, double numbers,
                   LayerWork& work) {
  constexpr double kBytesPerNumber = 2;
  bool predicts = false;
  for (int other = layer + 1; other < shape.layers && !predicts; ++other)
    predicts = predictedFrom(plan, other) == layer;
  const bool isPredicted = predictedFrom(plan, layer).has_value();
  if (storesTokenNumbers(plan, layer)) {
    work.multiplyAdds += static_cast<double>(shape.hiddenSize) * numbers;
    work.bytes += kTokenNumberBytes + kBytesPerNumber * shape.hiddenSize;
  }
  if (isPredicted) work.multiplyAdds += numbers * numbers;
  if (isPredicted || predicts) work.multiplyAdds += rank * shape.valueWidth();
  work.bytes += kBytesPerNumber * numbers * (static_cast<double>(isPredicted) + static_cast<double>(predicts));
}

std::int64_t extraParameters(const CompressionPlan& plan, const Group& group, const ModelShape& shape) {
  if (plan.storage == Storage::plainQuantised || group.isUncompressed()) return 0;
  const std::int64_t rank = group.rank();
  const auto columns = static_cast<std::int64_t>(group.widths.size());
  const bool keysAfterRope = plan.keyPosition == KeyPosition::afterRope && group.slots.front().side == Side::key;
  const std::int64_t steps =
      std::ranges::count_if(group.widths, [](std::uint8_t width) { return width != 0 && width != 16; });
  if (storesTokenNumbers(plan, group.slots.front().layer)) return 0;
  const std::int64_t prediction = predictedFrom(plan, group.slots.front().layer) ? columns * columns : 0;
  const std::int64_t beside = steps + (plan.centred ? rank + columns : 0) + prediction;
  // The projection stays where keys are compressed after RoPE, and where tokens that stay exact, or what is behind a
  // prediction, need whole keys and values.
  if (keysAfterRope || plan.exactTokens > 0 || prediction > 0) return 2 * rank * columns + beside;
  return rank * (columns + shape.hiddenSize) - columns * shape.hiddenSize + beside;
}

}  // namespace

Result<const DeviceProfile*> findDeviceProfile(std::string_view name) {
  std::string known;
  for (const DeviceProfile& profile : deviceProfiles()) {
    if (profile.name == name) return &profile;
    known += fmt::format(" {}", profile.name);
  }
  return fail(ErrorCode::invalidArgument, fmt::format("There is no device profile '{}'.", name),
              fmt::format("Known profiles:{}.", known));
}

CostModel costOf(const CompressionPlan& plan, const ModelShape& shape, const DeviceProfile& device,
                 std::int64_t context, int batch) {
  const double queriesPerHead = shape.kvHeads > 0 ? static_cast<double>(shape.queryHeads) / shape.kvHeads : 0.0;
  const double tokens = static_cast<double>(context) * batch;

  CostModel cost;
  cost.bytesPerToken = bytesPerToken(plan);
  std::map<int, LayerWork> layers;
  for (int layer = 0; layer < shape.layers; ++layer) layers[layer];
  for (const Group& group : plan.groups) {
    if (group.slots.empty()) continue;
    cost.extraParameters += extraParameters(plan, group, shape);
    const auto bytes = static_cast<double>(bytesPerToken(plan, group));
    const auto numbers = static_cast<double>(group.widths.size());
    const bool direct = plan.storage == Storage::plainQuantised || group.isUncompressed();
    const double rank = numbersOf(group);
    for (const auto& [layer, heads] : headsByLayer(group)) {
      LayerWork& work = layers[layer];
      // Numbers kept as they are belong to one layer; a latent is needed whole by each.
      const double own = heads.keys * shape.headDim + heads.values * shape.valueHeadDim;
      work.bytes += direct && numbers > 0 ? bytes * own / numbers : bytes;
      const double scoreWidth = direct || plan.keyPosition == KeyPosition::beforeRope ? shape.headDim : rank;
      work.multiplyAdds += heads.keys * queriesPerHead * scoreWidth;
      if (!direct && plan.keyPosition == KeyPosition::beforeRope)
        work.multiplyAdds += rank * heads.keys * shape.headDim;
      work.multiplyAdds += heads.values * queriesPerHead * (direct ? shape.valueHeadDim : rank);
      if (predictsLayers(plan) && !direct) addPrediction(plan, shape, layer, rank, numbers, work);
    }
  }
  for (const auto& [layer, work] : layers) {
    cost.multiplyAddsPerCachedToken += work.multiplyAdds;
    cost.secondsPerToken += layerSeconds(work, tokens, device);
  }
  cost.arithmeticSecondsPerToken = arithmeticSeconds(cost.multiplyAddsPerCachedToken, tokens, device);

  const LayerWork full{2.0 * shape.cacheWidth(),
                       static_cast<double>(shape.queryHeads) * (shape.headDim + shape.valueHeadDim)};
  cost.fullSecondsPerToken = shape.layers * layerSeconds(full, tokens, device);
  return cost;
}

bool affordable(const CompressionPlan& plan, const ModelShape& shape, const DeviceProfile& device, std::int64_t context,
                int batch) {
  const CostModel cost = costOf(plan, shape, device, context, batch);
  return cost.arithmeticSecondsPerToken <= cost.fullSecondsPerToken;
}

}  // namespace kvista
