// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What a frame of dragging the water costs apart from drawing: 32 layers of 8,192 directions.
#include "core/plan/waterline_table.h"

#include <benchmark/benchmark.h>

#include <cmath>

namespace {

constexpr int kLayers = 32, kDirections = 8192;

kvista::AllocationRequest request(int rankStep) {
  kvista::AllocationRequest result;
  result.allowedWidths = {0, 1, 2, 4, 8};
  result.rankStep = rankStep;
  for (int layer = 0; layer < kLayers; ++layer) {
    kvista::BudgetUnit unit;
    unit.layer = layer;
    unit.side = 2;
    unit.maximumRank = kDirections;
    for (int i = 0; i < kDirections; ++i)
      unit.spectrum.eigenvalues.push_back(std::exp(-0.05 * layer - 1.5 * std::log1p(i) - 6.0 * i / kDirections));
    result.units.push_back(std::move(unit));
  }
  return result;
}

void makeTable(benchmark::State& state) {
  const kvista::AllocationRequest made = request(static_cast<int>(state.range(0)));
  for (auto unused : state) benchmark::DoNotOptimize(kvista::WaterlineTable::make(made));
}
BENCHMARK(makeTable)->ArgName("rankStep")->Arg(1)->Arg(8)->Unit(benchmark::kMillisecond);

void followLevel(benchmark::State& state) {
  const auto table = kvista::WaterlineTable::make(request(static_cast<int>(state.range(0)))).value();
  std::vector<std::vector<std::uint8_t>> widths;
  const double low = std::log(table.lowestLevel()), high = std::log(table.highestLevel());
  double part = 0;
  for (auto unused : state) {
    part = std::fmod(part + 0.618, 1.0);
    const double level = std::exp(low + part * (high - low));
    table.widthsAt(level, widths);
    benchmark::DoNotOptimize(widths.data());
    benchmark::DoNotOptimize(table.bytesAt(level));
    benchmark::DoNotOptimize(table.predictedLossAt(level));
    benchmark::DoNotOptimize(table.levelForBytes(table.bytesAt(level)));
  }
}
BENCHMARK(followLevel)->ArgName("rankStep")->Arg(1)->Arg(8)->Unit(benchmark::kMillisecond);

/// The same with everything that the window shows: cost of decoding, corrected prediction.
void followLevelWithCost(benchmark::State& state) {
  const auto table = kvista::WaterlineTable::make(request(8)).value();
  kvista::PlanningContext context{
      {"llama", kLayers, 32, 32, 128, 128, 4096, 32000, 0}, {2.0, true, {}}, kvista::deviceProfiles().front()};
  context.loss.response[kvista::Storage::coded] = kvista::ResponseCurve({{0.001, 0.001}, {0.1, 0.12}});
  kvista::CompressionPlan plan;
  for (int layer = 0; layer < kLayers; ++layer) {
    kvista::Group group;
    for (const auto side : {kvista::Side::key, kvista::Side::value})
      for (int head = 0; head < 32; ++head) group.slots.push_back({layer, side, head});
    group.widths.assign(kDirections, 0);
    plan.groups.push_back(std::move(group));
  }
  const double low = std::log(table.lowestLevel()), high = std::log(table.highestLevel());
  double part = 0;
  for (auto unused : state) {
    part = std::fmod(part + 0.618, 1.0);
    benchmark::DoNotOptimize(kvista::planAt(table, std::exp(low + part * (high - low)), plan, context));
  }
}
BENCHMARK(followLevelWithCost)->Unit(benchmark::kMillisecond);

}  // namespace
