// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/attention_predictor.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "core/policy/predictor_file.h"

namespace kvista {
namespace {

constexpr PredictorFormat kFormat = {"kvista.attention_predictor", "attention predictor",
                                     "Make one with `kvista gate MODEL --kind attention-predictor --text F -o FILE`.",
                                     "model.foreteller."};
constexpr std::int64_t kFirst = 8, kSecond = 16;  // channels
constexpr double kLeast = 1e-3;                   // of a key's fair part of the attention; below it all is nothing

struct Part {
  const char* name;
  at::Tensor AttentionPredictor::*tensor;
  std::vector<std::int64_t> sizes;
};

const std::array<Part, 5>& parts() {
  static const std::array<Part, 5> all = {
      {{"first.weight", &AttentionPredictor::firstWeight, {kFirst, 1, 3, 3}},
       {"first.bias", &AttentionPredictor::firstBias, {kFirst}},
       {"second.weight", &AttentionPredictor::secondWeight, {kSecond, kFirst, 3, 3}},
       {"second.bias", &AttentionPredictor::secondBias, {kSecond}},
       {"last.weight", &AttentionPredictor::lastWeight, {1, kSecond, AttentionPredictor::kHistory / 4, 1}}}};
  return all;
}

/// Of weights that keep the size of what goes through a layer of rectified units (He et al. 2015).
at::Tensor drawn(const std::vector<std::int64_t>& sizes, std::mt19937_64& random) {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes) count *= size;
  std::normal_distribution<float> normal(0, std::sqrt(2.0F * static_cast<float>(sizes[0]) / static_cast<float>(count)));
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = normal(random);
  return at::tensor(numbers, at::kFloat).view(sizes);
}

}  // namespace

AttentionPredictor AttentionPredictor::initial(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  AttentionPredictor predictor;
  for (const Part& part : parts())
    predictor.*part.tensor =
        part.sizes.size() > 1 && part.sizes[0] > 1 ? drawn(part.sizes, random) : at::zeros(part.sizes, at::kFloat);
  return predictor;
}

NamedTensors AttentionPredictor::tensors() const {
  NamedTensors named;
  for (const Part& part : parts()) named.emplace_back(part.name, (this->*part.tensor).cpu());
  return named;
}

at::Tensor AttentionPredictor::predict(const at::Tensor& history) const {
  const std::int64_t asked = history.size(1), keys = history.size(2);
  const at::Tensor fair = (asked < kHistory ? at::constant_pad_nd(history, {0, 0, kHistory - asked, 0})
                                            : history.narrow(1, asked - kHistory, kHistory)) *
                          static_cast<double>(keys);
  constexpr std::array<std::int64_t, 2> kStride = {2, 1}, kPadding = {1, 1};
  const auto of = [&](const at::Tensor& weight) { return weight.to(history.device()); };
  const at::Tensor picture = (fair.clamp_min(kLeast).log() / 4).unsqueeze(1);
  const at::Tensor first = at::relu(at::conv2d(picture, of(firstWeight), of(firstBias), kStride, kPadding));
  const at::Tensor second = at::relu(at::conv2d(first, of(secondWeight), of(secondBias), kStride, kPadding));
  const at::Tensor change = at::conv2d(second, of(lastWeight)).squeeze(2).squeeze(1);
  return (fair.mean(1) + kLeast).log() + change;
}

Result<void> saveAttentionPredictor(const std::filesystem::path& file, const AttentionPredictor& predictor,
                                    const std::string& modelHash, const Task& task) {
  return savePredictor(file, kFormat, predictor.tensors(), modelHash, task);
}

Result<AttentionPredictor> loadAttentionPredictor(const std::filesystem::path& file, const std::string& modelHash) {
  KVISTA_ASSIGN(const TensorFile reader, openPredictor(file, kFormat, modelHash));
  AttentionPredictor predictor;
  for (const Part& part : parts()) {
    KVISTA_ASSIGN(predictor.*part.tensor, predictorTensor(reader, file, part.name, part.sizes));
  }
  return predictor;
}

}  // namespace kvista
