// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/importance_gate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/ones_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/model/torch_guard.h"
#include "core/policy/predictor_file.h"
#include "core/policy/reconstruction.h"

namespace kvista {
namespace {

constexpr PredictorFormat kFormat = {"kvista.gate", "gate",
                                     "Make one for this model with `kvista gate MODEL --text F -o GATE`.",
                                     "model.foreteller.weights."};
constexpr std::int64_t kPart = 256;   // tokens that are read together
constexpr double kLeastScore = 1e-6;  // below it tokens are of no importance alike

/// Sums of a head's features and targets, float64.
struct Moments {
  at::Tensor features;  // [kvHeads, f, f]
  at::Tensor products;  // [kvHeads, f]
};

/// Numbers whose correlation is asked for.
struct Correlation {
  double count = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  void add(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor p = a.to(at::kDouble).flatten(), q = b.to(at::kDouble).flatten();
    count += static_cast<double>(p.numel());
    x += p.sum().item<double>();
    y += q.sum().item<double>();
    xx += p.dot(p).item<double>();
    yy += q.dot(q).item<double>();
    xy += p.dot(q).item<double>();
  }
  [[nodiscard]] double value() const {
    const double covariance = xy - x * y / count, spread = (xx - x * x / count) * (yy - y * y / count);
    return spread > 0 ? covariance / std::sqrt(spread) : 0;
  }
};

Result<LiveCache> readWindow(const Decoder& decoder, const at::Tensor& ids, const Task& task) {
  LiveCache cache;
  cache.sequenceLength = ids.size(1);
  while (cache.tokens < ids.size(1))
    KVISTA_CHECK(
        decoder.extend(ids.narrow(1, cache.tokens, std::min(kPart, ids.size(1) - cache.tokens)), cache, nullptr, task));
  return cache;
}

at::Tensor targetsOf(const at::Tensor& scores) { return scores.to(at::kDouble).clamp_min(kLeastScore).log(); }

/// Calls `visit(layer, features, targets)` for each layer of each window, all in float64.
template <class Visit>
Result<void> forEachLayer(const Decoder& decoder, const at::Tensor& ids, const std::string& stage, const Task& task,
                          const Visit& visit) {
  for (std::int64_t window = 0; window < ids.size(0); ++window) {
    task.progress(stage, static_cast<std::uint64_t>(window), static_cast<std::uint64_t>(ids.size(0)), "windows");
    const at::Tensor own =
        ids.narrow(0, window, 1).narrow(1, 0, std::min(ids.size(1), longestReadAgain(decoder, kPart)));
    KVISTA_ASSIGN(const LiveCache cache, readWindow(decoder, own, task));
    KVISTA_ASSIGN(const std::vector<at::Tensor> scores, reconstructionScores(decoder, cache, own, kPart, task));
    for (std::size_t layer = 0; layer < scores.size(); ++layer)
      visit(layer, gateFeatures(decoder, static_cast<int>(layer), cache.layers[layer]).to(at::kDouble),
            targetsOf(scores[layer]));
  }
  return {};
}

}  // namespace

at::Tensor gateFeatures(const Decoder& decoder, int layer, const LiveLayer& cache) {
  const DecoderDescription& description = decoder.description();
  const at::Tensor keys = cache.keys.to(at::kFloat), values = cache.values.to(at::kFloat);
  const std::optional<int> rope = description.layers.at(static_cast<std::size_t>(layer)).attention.rope;
  at::Tensor turning = keys;  // as it is, where nothing turns
  if (rope) {
    const RopeDescription& how = description.ropes[static_cast<std::size_t>(*rope)];
    const std::int64_t rotary = how.rotaryDim, pairs = rotary / 2;
    const at::Tensor turned = keys.narrow(-1, 0, rotary).square();
    const at::Tensor sums =
        how.isInterleaved ? turned.unflatten(-1, {pairs, 2}).sum(-1) : turned.unflatten(-1, {2, pairs}).sum(-2);
    turning = at::cat({sums.sqrt(), keys.narrow(-1, rotary, keys.size(-1) - rotary)}, -1);
  }
  const auto length = [](const at::Tensor& x) { return x.square().sum(-1, /*keepdim=*/true).sqrt(); };
  const at::Tensor lengths = at::cat({length(keys), length(values)}, -1);
  return at::cat({values, turning, lengths, at::ones_like(lengths.narrow(-1, 0, 1))}, -1);
}

at::Tensor ImportanceGate::score(const Decoder& decoder, int layer, const LiveLayer& cache) const {
  const at::Tensor features = gateFeatures(decoder, layer, cache);
  return features.matmul(weights.at(static_cast<std::size_t>(layer)).to(features.device()).unsqueeze(-1)).squeeze(-1);
}

Result<FittedGate> fitGate(const Decoder& decoder, const at::Tensor& ids, const at::Tensor& heldOut, double ridge,
                           const Task& task) {
  return guardTorch("Fitting the gate", [&]() -> Result<FittedGate> {
    std::vector<Moments> moments(static_cast<std::size_t>(decoder.shape().layers));
    KVISTA_CHECK(forEachLayer(
        decoder, ids, "gate", task, [&](std::size_t layer, const at::Tensor& features, const at::Tensor& targets) {
          const at::Tensor rows = features.transpose(0, 1).flatten(1, 2),
                           wanted = targets.transpose(0, 1).flatten(1, 2).unsqueeze(-1);
          const at::Tensor own = rows.transpose(1, 2).matmul(rows),
                           products = rows.transpose(1, 2).matmul(wanted).squeeze(-1);
          Moments& sums = moments[layer];
          sums =
              sums.features.defined() ? Moments{sums.features + own, sums.products + products} : Moments{own, products};
        }));
    FittedGate fitted;
    for (const Moments& sums : moments) {
      const at::Tensor level = sums.features.diagonal(0, 1, 2).mean(1, /*keepdim=*/true) * ridge;
      const at::Tensor lifted = sums.features + at::diag_embed(level.expand({-1, sums.features.size(1)}));
      fitted.gate.weights.push_back(at::linalg_solve(lifted, sums.products.unsqueeze(-1)).squeeze(-1).to(at::kFloat));
    }
    Correlation correlation;
    KVISTA_CHECK(forEachLayer(decoder, heldOut, "gate: windows held out", task,
                              [&](std::size_t layer, const at::Tensor& features, const at::Tensor& targets) {
                                const at::Tensor weights = fitted.gate.weights[layer].to(at::kDouble).unsqueeze(-1);
                                correlation.add(features.matmul(weights).squeeze(-1), targets);
                              }));
    fitted.correlation = correlation.value();
    return fitted;
  });
}

Result<void> saveGate(const std::filesystem::path& file, const ImportanceGate& gate, const std::string& modelHash,
                      const Task& task) {
  NamedTensors tensors;
  for (std::size_t layer = 0; layer < gate.weights.size(); ++layer)
    tensors.emplace_back(fmt::format("{}", layer), gate.weights[layer].cpu());
  return savePredictor(file, kFormat, tensors, modelHash, task);
}

Result<ImportanceGate> loadGate(const std::filesystem::path& file, const Decoder& decoder,
                                const std::string& modelHash) {
  KVISTA_ASSIGN(const TensorFile reader, openPredictor(file, kFormat, modelHash));
  const ModelShape& shape = decoder.shape();
  ImportanceGate gate;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const std::optional<int> rope = decoder.description().layers[static_cast<std::size_t>(layer)].attention.rope;
    const std::int64_t pairs = rope ? decoder.description().ropes[static_cast<std::size_t>(*rope)].rotaryDim / 2 : 0;
    KVISTA_ASSIGN(at::Tensor weights, predictorTensor(reader, file, fmt::format("{}", layer),
                                                      {shape.kvHeads, shape.valueHeadDim + shape.headDim - pairs + 3}));
    gate.weights.push_back(std::move(weights));
  }
  return gate;
}

}  // namespace kvista
