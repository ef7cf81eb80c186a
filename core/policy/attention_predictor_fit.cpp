// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// Trains the attention predictor.
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "core/model/live_cache.h"
#include "core/model/torch_guard.h"
#include "core/plan/correlation.h"
#include "core/policy/attention_predictor.h"
#include "core/policy/attention_scores.h"

namespace kvista {
namespace {

using Predictor = AttentionPredictor;

constexpr std::int64_t kPart = 256;  // tokens that are read together
constexpr std::int64_t kCuts = 8;    // places of a window at which a history ends
constexpr std::int64_t kRows = 16,
                       kMostRows = 64;  // heads that are looked at there, to learn from and to be asked about
constexpr std::int64_t kKeysHeld = std::int64_t{1} << 20;  // of all histories to learn from together
constexpr int kSteps = 300;
constexpr double kRate = 3e-3;
constexpr double kQuarter = 0.25;

/// Histories that end at one place of a window, of some heads, and what followed.
struct Example {
  at::Tensor history;      // [m, kHistory, s]
  at::Tensor next;         // [m, s]: mean attention of the next queries
  at::Tensor accumulated;  // [m, s]: sum over all queries so far
  at::Tensor recent;       // [m, s]: as SnapKV scores
};

/// Where histories end in windows of `window` tokens, evenly from the first place that has a whole one to the last that
/// has enough behind it.
std::vector<std::int64_t> cutsOf(std::int64_t window) {
  const std::int64_t first = Predictor::kHistory + Predictor::kRecent, last = window - Predictor::kAhead;
  const std::int64_t count = std::min(kCuts, (last - first) / Predictor::kAhead + 1);
  std::vector<std::int64_t> cuts;
  for (std::int64_t i = 0; i < count; ++i) cuts.push_back(count == 1 ? last : first + (last - first) * i / (count - 1));
  return cuts;
}

/// `rows` of a window's heads over all layers at each of its cuts, in the order of `cuts`.
Result<std::vector<Example>> examplesOf(const Decoder& decoder, const at::Tensor& ids,
                                        const std::vector<std::int64_t>& cuts, std::int64_t rows,
                                        std::mt19937_64& random, const Task& task) {
  LiveCache cache;
  cache.sequenceLength = cache.queryWindow = ids.size(1);
  while (cache.tokens < ids.size(1))
    KVISTA_CHECK(
        decoder.extend(ids.narrow(1, cache.tokens, std::min(kPart, ids.size(1) - cache.tokens)), cache, nullptr, task));
  const std::int64_t heads = cache.layers.front().keys.size(1),
                     all = heads * static_cast<std::int64_t>(cache.layers.size());
  std::vector<std::vector<std::int64_t>> chosen;
  for (std::size_t cut = 0; cut < cuts.size(); ++cut) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(all));
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[random() % k]);
    order.resize(static_cast<std::size_t>(std::min(rows, all)));
    chosen.push_back(std::move(order));
  }
  std::vector<std::vector<Example>> pieces(cuts.size());
  for (std::size_t layer = 0; layer < cache.layers.size(); ++layer) {
    KVISTA_CHECK(task.checkStop());
    const at::Tensor attention =
        recentAttentionOf({decoder, static_cast<int>(layer), cache.layers[layer], cache.tokens})[0];  // [kvHeads, n, n]
    for (std::size_t cut = 0; cut < cuts.size(); ++cut) {
      std::vector<std::int64_t> own;
      for (const std::int64_t row : chosen[cut])
        if (row / heads == static_cast<std::int64_t>(layer)) own.push_back(row % heads);
      if (own.empty()) continue;
      const std::int64_t s = cuts[cut];
      const at::Tensor some =
          attention.index_select(0, at::tensor(own, at::kLong).to(attention.device())).narrow(2, 0, s);
      const auto sum = [&](std::int64_t from, std::int64_t to) { return some.narrow(1, from, to - from).sum(1); };
      pieces[cut].push_back({some.narrow(1, s - Predictor::kHistory, Predictor::kHistory),
                             sum(s, s + Predictor::kAhead) / Predictor::kAhead, sum(0, s),
                             largestAround(sum(s - 32, s), 7, 32)});
    }
  }
  std::vector<Example> examples;
  for (const std::vector<Example>& piece : pieces) {
    const auto together = [&](at::Tensor Example::*tensor) {
      std::vector<at::Tensor> tensors;
      for (const Example& one : piece) tensors.push_back(one.*tensor);
      return at::cat(tensors);
    };
    examples.push_back({together(&Example::history), together(&Example::next), together(&Example::accumulated),
                        together(&Example::recent)});
  }
  return examples;
}

/// Cross entropy of what older keys will get, nats a unit of attention.
at::Tensor lossOf(const Predictor& predictor, const Example& example) {
  const std::int64_t older = example.next.size(1) - Predictor::kRecent;
  const at::Tensor wanted = example.next.narrow(1, 0, older);
  return (wanted * at::log_softmax(predictor.predict(example.history).narrow(1, 0, older), 1)).sum() /
         -wanted.sum().clamp_min(1e-12);
}

Result<Predictor> trained(const std::vector<Example>& examples, at::Device device, std::mt19937_64& random,
                          const Task& task) {
  Predictor predictor = Predictor::initial(random());
  std::vector<at::Tensor> parameters, first, second, done;
  for (at::Tensor* part : {&predictor.firstWeight, &predictor.firstBias, &predictor.secondWeight, &predictor.secondBias,
                           &predictor.lastWeight}) {
    *part = part->to(device).set_requires_grad(true);
    parameters.push_back(*part);
    first.push_back(at::zeros_like(part->detach()));
    second.push_back(at::zeros_like(part->detach()));
    done.push_back(at::zeros({}, part->detach().options()));
  }
  for (int step = 0; step < kSteps; ++step) {
    KVISTA_CHECK(task.checkStop());
    task.progress("attention predictor", static_cast<std::uint64_t>(step), kSteps, "steps");
    {
      const c10::AutoGradMode recording(true);
      lossOf(predictor, examples[random() % examples.size()]).backward();
    }
    const c10::NoGradGuard noGrad;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& parameter : parameters) gradients.push_back(parameter.grad().contiguous());
    for (const at::Tensor& steps : done) steps.add_(1);
    at::_fused_adamw_(parameters, gradients, first, second, {}, done, kRate * (1 - static_cast<double>(step) / kSteps),
                      0.9, 0.999, 0.0, 1e-8, false, false);
    for (const at::Tensor& parameter : parameters) parameter.mutable_grad().reset();
  }
  for (at::Tensor* part : {&predictor.firstWeight, &predictor.firstBias, &predictor.secondWeight, &predictor.secondBias,
                           &predictor.lastWeight})
    *part = part->detach().cpu();
  return predictor;
}

/// Attention of the next queries that goes to a quarter of the keys: the recent ones, then those of the highest scores.
double heldBy(const at::Tensor& scores, const at::Tensor& next) {
  const std::int64_t keys = next.size(1), older = keys - Predictor::kRecent;
  const at::Tensor ranked =
      at::cat({scores.narrow(1, 0, older),
               at::zeros_like(scores.narrow(1, older, Predictor::kRecent)) + std::numeric_limits<float>::infinity()},
              1);
  const auto kept =
      std::max<std::int64_t>(Predictor::kRecent, static_cast<std::int64_t>(kQuarter * static_cast<double>(keys)));
  return next.masked_fill(ranksOf(ranked).ge(kept), 0).sum().item<double>();
}

}  // namespace

Result<FittedAttentionPredictor> fitAttentionPredictor(const Decoder& decoder, const at::Tensor& ids,
                                                       const at::Tensor& heldOut, const Task& task) {
  const std::int64_t least = Predictor::kHistory + Predictor::kRecent + Predictor::kAhead;
  if (ids.size(1) < least)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Windows of {} tokens are too short: a history of {} queries, {} recent keys and the {} "
                            "queries to be foretold need {}.",
                            ids.size(1), Predictor::kHistory, Predictor::kRecent, Predictor::kAhead, least),
                "Take longer windows, such as --window 256.");
  return guardTorch("Training the attention predictor", [&]() -> Result<FittedAttentionPredictor> {
    std::mt19937_64 random(1);
    const std::vector<std::int64_t> cuts = cutsOf(ids.size(1));
    const std::int64_t keysARow = ids.size(0) * std::accumulate(cuts.begin(), cuts.end(), std::int64_t{0});
    std::vector<Example> examples;
    for (std::int64_t window = 0; window < ids.size(0); ++window) {
      task.progress("attention", static_cast<std::uint64_t>(window), static_cast<std::uint64_t>(ids.size(0)),
                    "windows");
      KVISTA_ASSIGN(std::vector<Example> own,
                    examplesOf(decoder, ids.narrow(0, window, 1), cuts,
                               std::clamp<std::int64_t>(kKeysHeld / keysARow, 1, kRows), random, task));
      std::ranges::move(own, std::back_inserter(examples));
    }
    FittedAttentionPredictor fitted;
    KVISTA_ASSIGN(fitted.predictor, trained(examples, decoder.options().device, random, task));
    const c10::NoGradGuard noGrad;
    double total = 0;
    std::vector<double> said, isTrue;
    for (std::int64_t window = 0; window < heldOut.size(0); ++window) {
      KVISTA_ASSIGN(const std::vector<Example> own,
                    examplesOf(decoder, heldOut.narrow(0, window, 1), cuts, kMostRows, random, task));
      for (const Example& example : own) {
        const at::Tensor predicted = fitted.predictor.predict(example.history);
        total += example.next.sum().item<double>();
        fitted.recall.predicted += heldBy(predicted, example.next);
        fitted.recall.accumulated += heldBy(example.accumulated, example.next);
        fitted.recall.recent += heldBy(example.recent, example.next);
        fitted.recall.best += heldBy(example.next, example.next);
        const auto append = [&](std::vector<double>& to, const at::Tensor& numbers) {
          const at::Tensor older =
              numbers.narrow(1, 0, numbers.size(1) - Predictor::kRecent).to(at::kDouble).cpu().contiguous();
          to.insert(to.end(), older.const_data_ptr<double>(), older.const_data_ptr<double>() + older.numel());
        };
        append(said, predicted);
        append(isTrue, example.next.clamp_min(1e-6).log());
      }
    }
    for (double* part :
         {&fitted.recall.predicted, &fitted.recall.accumulated, &fitted.recall.recent, &fitted.recall.best})
      *part /= total;
    fitted.correlation = pearson(said, isTrue);
    return fitted;
  });
}

}  // namespace kvista
