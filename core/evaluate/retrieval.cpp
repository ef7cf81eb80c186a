// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/retrieval.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "core/evaluate/generate.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

/// The part of the names that a model writes when it takes the likeliest token each time.
Result<double> namedPart(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                         const RetrievalTrial& trial, const Task& task) {
  GenerationRequest request;
  request.prompt = trial.prompt;
  request.maximumTokens = static_cast<std::int64_t>(trial.answer.size() * 3 / 2);
  KVISTA_ASSIGN(Generation writing, Generation::measured(decoder, tokenizer, cache, std::move(request)));
  for (bool goesOn = true; goesOn;) {
    KVISTA_ASSIGN(goesOn, writing.step(task));
  }
  KVISTA_ASSIGN(const std::string text, writing.takeText());
  const auto named = std::ranges::count_if(
      trial.wanted, [&](const std::string& name) { return text.find(name) != std::string::npos; });
  return static_cast<double>(named) / static_cast<double>(trial.wanted.size());
}

/// Before each token of the answer, behind the right ones before it: [answer, vocabulary], on the CPU.
Result<at::Tensor> answerLogits(const Decoder& decoder, const CacheUse& cache, const RetrievalTrial& trial,
                                const Task& task) {
  std::vector<std::int64_t> next(trial.prompt.begin(), trial.prompt.end());
  if (cache.policy != nullptr) {
    next.insert(next.end(), trial.answer.begin(), trial.answer.end() - 1);
    KVISTA_ASSIGN(const at::Tensor hidden,
                  readUnderPolicy(decoder, *cache.policy, at::tensor(next, at::kLong).unsqueeze(0),
                                  readBeforePolicy(static_cast<std::int64_t>(trial.prompt.size())),
                                  static_cast<std::int64_t>(trial.answer.size()), task));
    KVISTA_ASSIGN(const at::Tensor logits, decoder.logitsBehind(hidden[0]));
    return logits.cpu();
  }
  DecoderCache held;
  std::vector<at::Tensor> each;
  for (const std::uint32_t token : trial.answer) {
    KVISTA_ASSIGN(each.emplace_back(),
                  decoder.nextToken(at::tensor(next, at::kLong).unsqueeze(0), held, cache.transform, task));
    next = {token};
  }
  return at::stack(each);
}

}  // namespace

Result<RetrievalScore> scoreTrial(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                                  const RetrievalTrial& trial, const Task& task) {
  KVISTA_ASSIGN(const at::Tensor all, answerLogits(decoder, cache, trial, task));
  RetrievalScore score;
  bool isWritten = true;
  for (std::size_t i = 0; i < trial.answer.size(); ++i) {
    const at::Tensor logits = all[static_cast<std::int64_t>(i)];
    const double loss = -at::log_softmax(logits.to(at::kDouble), 0)[trial.answer[i]].item<double>();
    if (!std::isfinite(loss))
      return fail(ErrorCode::numerical, "The loss of an answer is not a finite number.",
                  "Look for damaged weights with `kvista inspect --weights`, or compute in float32.");
    score.loss += loss / static_cast<double>(trial.answer.size());
    // Writing the likeliest token each time gives the answer exactly if it is the likeliest behind its own beginning.
    isWritten = isWritten && logits.argmax().item<std::int64_t>() == trial.answer[i];
  }
  score.found = isWritten ? 1 : 0;
  if (!isWritten && trial.wanted.size() > 1) {
    KVISTA_ASSIGN(score.found, namedPart(decoder, tokenizer, cache, trial, task));
  }
  return score;
}

Result<RetrievalScores> measureRetrieval(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                                         const RetrievalRequest& request, const std::string& stage, const Task& task) {
  return guardTorch("Testing retrieval", [&]() -> Result<RetrievalScores> {
    const std::size_t depths = request.depths.size(), lengths = request.lengths.size();
    const Matrix empty{static_cast<int>(depths), static_cast<int>(lengths), std::vector<float>(depths * lengths)};
    RetrievalScores scores{empty, empty};
    const std::uint64_t total = depths * lengths * static_cast<std::uint64_t>(request.trials);
    std::uint64_t done = 0;
    for (std::size_t length = 0; length < lengths; ++length)
      for (std::size_t depth = 0; depth < depths; ++depth) {
        double loss = 0, found = 0;
        for (std::int64_t trial = 0; trial < request.trials; ++trial) {
          KVISTA_CHECK(task.checkStop());
          task.progress(stage, done++, total, "trials");
          KVISTA_ASSIGN(const RetrievalTrial asked, retrievalTrial(tokenizer, request, length, depth, trial));
          KVISTA_ASSIGN(const RetrievalScore score, scoreTrial(decoder, tokenizer, cache, asked, task));
          loss += score.loss;
          found += score.found;
        }
        const auto trials = static_cast<double>(request.trials);
        scores.loss.values[depth * lengths + length] = static_cast<float>(loss / trials);
        scores.found.values[depth * lengths + length] = static_cast<float>(found / trials);
      }
    return scores;
  });
}

}  // namespace kvista
