// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// What an edit of a 7B model's plan costs the window's thread: 32 layers of 32 key and 32 value heads, 262,144
// directions.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <QCoreApplication>
#include <filesystem>

#include "app/studio/document.h"
#include "app/studio/recovery.h"
#include "core/plan/edit.h"
#include "tests/unit/studio/made_up_model.h"

namespace kvista {
namespace {

class Large : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State&) override {
    std::string name = (std::filesystem::temp_directory_path() / "kvista-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    document_ = std::make_unique<Document>();
    recovery_ = std::make_unique<Recovery>(*document_, folder_);
    document_->startFrom(test::madeUpModel(32, 32, 128));
    StatisticsRecord statistics = test::madeUpStatistics();
    if (!document_->setStatistics(statistics)) std::abort();
    document_->addSpectra(document_->plan(), test::madeUpSpectra(document_->plan()));
    while (!document_->waterlineTable()) QCoreApplication::processEvents();
  }
  void TearDown(benchmark::State&) override {
    recovery_.reset();
    document_.reset();
    std::filesystem::remove_all(folder_);
  }

 protected:
  [[nodiscard]] CompressionPlan withRank(int group, int rank) const {
    CompressionPlan plan = document_->plan();
    auto& widths = plan.groups[static_cast<std::size_t>(group)].widths;
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = static_cast<int>(i) < rank ? 8 : 0;
    return plan;
  }
  std::filesystem::path folder_;
  std::unique_ptr<Document> document_;
  std::unique_ptr<Recovery> recovery_;
};

BENCHMARK_DEFINE_F(Large, DragOfTheWaterline)(benchmark::State& state) {
  const auto table = document_->waterlineTable();
  double level = table->levelForBytes(document_->planned().achievedBytes / 4);
  document_->beginGesture("Drag");
  for (auto _ : state) {
    level *= 1.01;
    document_->updateGesture(planAt(*table, level, document_->plan(), document_->planningContext()));
  }
  document_->cancelGesture();
}
BENCHMARK_REGISTER_F(Large, DragOfTheWaterline)->Unit(benchmark::kMillisecond);

BENCHMARK_DEFINE_F(Large, RankOfOneGroup)(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) {
    ++i;
    if (!document_->edit(withRank(i % 2048, 1 + i % 127), "Rank")) std::abort();
  }
}
BENCHMARK_REGISTER_F(Large, RankOfOneGroup)->Unit(benchmark::kMillisecond);

BENCHMARK_DEFINE_F(Large, UndoAndRedoOfAWholePlan)(benchmark::State& state) {
  const auto table = document_->waterlineTable();
  document_->beginGesture("Drag");
  document_->updateGesture(planAt(*table, table->levelForBytes(document_->planned().achievedBytes / 4),
                                  document_->plan(), document_->planningContext()));
  document_->commitGesture();
  for (auto _ : state) {
    document_->undo();
    document_->redo();
  }
}
BENCHMARK_REGISTER_F(Large, UndoAndRedoOfAWholePlan)->Unit(benchmark::kMillisecond);

BENCHMARK_DEFINE_F(Large, MoveOfOneHead)(benchmark::State& state) {
  const CompressionPlan apart = document_->plan();
  const auto together = moveSlots(apart, document_->model().shape, std::vector<Slot>{{1, Side::key, 0}}, 65);
  document_->addSpectra(*together, test::madeUpSpectra(*together));
  bool odd = false;
  for (auto _ : state)
    if (!document_->edit((odd = !odd) ? *together : apart, "Move")) std::abort();
}
BENCHMARK_REGISTER_F(Large, MoveOfOneHead)->Unit(benchmark::kMillisecond);

BENCHMARK_DEFINE_F(Large, AllSpectraArrive)(benchmark::State& state) {
  const auto units = test::madeUpSpectra(document_->plan());
  int i = 0;
  for (auto _ : state) {
    state.PauseTiming();
    StatisticsRecord statistics = test::madeUpStatistics();
    statistics.tokensHash = std::to_string(++i);
    if (!document_->setStatistics(statistics)) std::abort();
    auto copy = units;
    state.ResumeTiming();
    document_->addSpectra(document_->plan(), std::move(copy));
  }
}
BENCHMARK_REGISTER_F(Large, AllSpectraArrive)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
