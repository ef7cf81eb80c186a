// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/retrieval.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "core/model/torch_guard.h"

namespace kvista {
namespace {

constexpr const char* kQuestion = "\nThe secret number is";

/// How the number continues the question, and not as a word of its own would be cut.
Result<std::vector<std::uint32_t>> answerTokens(const Tokenizer& tokenizer, const std::vector<std::uint32_t>& question, const std::string& number) {
  KVISTA_ASSIGN(std::vector<std::uint32_t> whole, tokenizer.encode(kQuestion + std::string(" ") + number, false));
  const bool goesOn = whole.size() > question.size() && std::equal(question.begin(), question.end(), whole.begin());
  if (!goesOn)
    return fail(ErrorCode::unsupportedModel, "The model's tokenizer cuts a question otherwise when an answer follows it.",
                "Its retrieval cannot be tested; measure its perplexity instead.");
  whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(question.size()));
  return whole;
}

}  // namespace

Result<RetrievalScore> scoreTrial(const Decoder& decoder, const CacheTransform* transform, const RetrievalTrial& trial, const Task& task) {
  DecoderCache cache;
  RetrievalScore score{0, true};
  std::vector<std::int64_t> next(trial.prompt.begin(), trial.prompt.end());
  for (const std::uint32_t token : trial.answer) {
    KVISTA_ASSIGN(const at::Tensor logits, decoder.nextToken(at::tensor(next, at::kLong).unsqueeze(0), cache, transform, task));
    const double loss = -at::log_softmax(logits.to(at::kDouble), 0)[token].item<double>();
    if (!std::isfinite(loss))
      return fail(ErrorCode::numerical, "The loss of an answer is not a finite number.",
                  "Look for damaged weights with `kvista inspect --weights`, or compute in float32.");
    score.loss += loss / static_cast<double>(trial.answer.size());
    // Writing the likeliest token each time gives the answer exactly if it is the likeliest behind its own beginning.
    score.found = score.found && logits.argmax().item<std::int64_t>() == token;
    next = {token};
  }
  return score;
}

Result<RetrievalTrial> retrievalTrial(const Tokenizer& tokenizer, const RetrievalRequest& request, std::size_t length, std::size_t depth,
                                      std::int64_t trial) {
  // A generator of its own for each trial: a table with other lengths asks the same at those that both have.
  std::mt19937_64 random(request.seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(trial + 1));
  RetrievalTrial made;
  made.number = fmt::format("{}", 10000 + random() % 90000);
  KVISTA_ASSIGN(const auto sentence, tokenizer.encode(fmt::format("{} {}.\n", kQuestion, made.number), false));
  KVISTA_ASSIGN(const auto question, tokenizer.encode(kQuestion, false));
  KVISTA_ASSIGN(made.answer, answerTokens(tokenizer, question, made.number));
  const auto around = static_cast<std::int64_t>(sentence.size() + question.size());
  const std::int64_t filling = request.lengths[length] - around;
  if (filling < 1)
    return fail(ErrorCode::invalidArgument, fmt::format("{} tokens have no room for the sentence and the question, which take {}.",
                                                        request.lengths[length], around),
                fmt::format("Ask for lengths of more than {} tokens.", around));
  const auto available = static_cast<std::int64_t>(request.filler.size());
  if (filling > available)
    return fail(ErrorCode::invalidArgument, fmt::format("The text has {} tokens, too few to fill {}.", available, filling),
                "Give a longer text or shorter lengths.");
  const auto start = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(available - filling + 1));
  const auto before = static_cast<std::int64_t>(std::llround(request.depths[depth] * static_cast<double>(filling)));
  const auto begin = request.filler.begin() + start;
  made.prompt.assign(begin, begin + before);
  made.prompt.insert(made.prompt.end(), sentence.begin(), sentence.end());
  made.prompt.insert(made.prompt.end(), begin + before, begin + filling);
  made.prompt.insert(made.prompt.end(), question.begin(), question.end());
  return made;
}

Result<RetrievalScores> measureRetrieval(const Decoder& decoder, const Tokenizer& tokenizer, const CacheTransform* transform,
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
          KVISTA_ASSIGN(const RetrievalScore score, scoreTrial(decoder, transform, asked, task));
          loss += score.loss;
          found += score.found ? 1 : 0;
        }
        const auto trials = static_cast<double>(request.trials);
        scores.loss.values[depth * lengths + length] = static_cast<float>(loss / trials);
        scores.found.values[depth * lengths + length] = static_cast<float>(found / trials);
      }
    return scores;
  });
}

}  // namespace kvista
