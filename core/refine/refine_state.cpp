// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/refine/refine_state.h"

#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

constexpr const char* kDescription = "kvista.partial_refining";

}  // namespace

Result<void> save(const RefineState& state, TrainableFactors& trained, const std::filesystem::path& file,
                  const std::string& key) {
  NamedTensors tensors;
  const std::vector<at::Tensor*> numbers = trained.state();
  for (std::size_t i = 0; i < numbers.size(); ++i)
    tensors.emplace_back(fmt::format("state.{}", i), numbers[i]->detach());
  for (std::size_t i = 0; i < state.best.size(); ++i) {
    if (state.best[i].isIdentity()) continue;
    for (const auto& [name, tensor] : kFactorTensors)
      if ((state.best[i].*tensor).defined())
        tensors.emplace_back(fmt::format("best.{}.{}", i, name), state.best[i].*tensor);
  }
  nlohmann::json curve = nlohmann::json::array();
  for (const RefinePoint& point : state.curve)
    curve.push_back({point.step, point.training, point.heldOut ? nlohmann::json(*point.heldOut) : nlohmann::json()});
  const nlohmann::json description = {{"key", key},
                                      {"steps", state.steps},
                                      {"bestStep", state.bestStep},
                                      {"before", state.before},
                                      {"after", state.after},
                                      {"looksSinceBest", state.looksSinceBest},
                                      {"seconds", state.seconds},
                                      {"curve", std::move(curve)}};
  return writeTensorFile(file, tensors, {{kDescription, description.dump()}}, Task{});
}

Result<void> share(RefineState& state, TrainableFactors& trained, const ProcessGroup& processes, const Task& task) {
  if (processes.isAlone()) return {};
  const at::Tensor numbers =
      at::tensor({static_cast<double>(state.steps), static_cast<double>(state.bestStep),
                  static_cast<double>(state.looksSinceBest), state.before, state.after, state.seconds},
                 at::kDouble);
  KVISTA_CHECK(processes.broadcast(numbers, 0, task));
  const auto* values = numbers.const_data_ptr<double>();
  state.steps = static_cast<int>(values[0]);
  state.bestStep = static_cast<int>(values[1]);
  state.looksSinceBest = static_cast<int>(values[2]);
  state.before = values[3];
  state.after = values[4];
  state.seconds = values[5];
  const c10::NoGradGuard noGrad;
  for (const at::Tensor* tensor : trained.state()) KVISTA_CHECK(processes.broadcast(*tensor, 0, task));
  trained.setStepsDone(state.steps);
  return {};
}

void restore(RefineState& state, TrainableFactors& trained, const std::filesystem::path& file, const std::string& key) {
  const auto reader = TensorFile::open(file);
  if (!reader) return;
  const auto description = parseJson(reader->text(kDescription), file.string());
  if (!description || !description->is_object() || description->value("key", "") != key) return;
  RefineState restored = state;
  try {
    restored.steps = description->at("steps").get<int>();
    restored.bestStep = description->at("bestStep").get<int>();
    restored.looksSinceBest = description->at("looksSinceBest").get<int>();
    restored.before = description->at("before").get<double>();
    restored.after = description->at("after").get<double>();
    restored.seconds = description->at("seconds").get<double>();
    for (const nlohmann::json& point : description->at("curve"))
      restored.curve.push_back({point.at(0).get<int>(), point.at(1).get<double>(),
                                point.at(2).is_null() ? std::nullopt : std::optional(point.at(2).get<double>())});
  } catch (const nlohmann::json::exception&) {
    return;
  }
  for (std::size_t i = 0; i < restored.best.size(); ++i) {
    GroupFactors& group = restored.best[i];
    if (group.isIdentity()) continue;
    for (const auto& [name, tensor] : kFactorTensors) {
      if (!(group.*tensor).defined()) continue;
      auto kept = reader->read(fmt::format("best.{}.{}", i, name), at::kFloat, (group.*tensor).sizes().vec());
      if (!kept) return;
      group.*tensor = std::move(*kept);
    }
  }
  const std::vector<at::Tensor*> numbers = trained.state();
  std::vector<at::Tensor> kept;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    auto tensor = reader->read(fmt::format("state.{}", i), at::kFloat, numbers[i]->sizes().vec());
    if (!tensor) return;
    kept.push_back(std::move(*tensor));
  }
  const c10::NoGradGuard noGrad;
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i]->copy_(kept[i]);
  trained.setStepsDone(restored.steps);
  state = std::move(restored);
}

}  // namespace kvista
