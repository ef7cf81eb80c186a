// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/tasks.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/evaluate/generate.h"
#include "core/model/torch_guard.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

std::string trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kWhiteSpace), text.size()));
  text.remove_suffix(text.size() - (text.find_last_not_of(kWhiteSpace) + 1));
  return std::string(text);
}

/// An answer behind its question, as a model reads it.
struct Request {
  std::vector<std::uint32_t> tokens;
  std::int64_t answer = 0;  ///< Of them, at the end.
  std::int64_t line = 0;    ///< Of its item.
  double* logLikelihood = nullptr;
};

/// What all items have in common.
struct Asking {
  const Decoder& decoder;
  const Tokenizer& tokenizer;
  const CacheUse& cache;
  const TaskTokens& special;
  std::int64_t positions;  ///< Of the model, 0: as many as wanted.
  std::int64_t& shortened;
};

/// Tokens of a context, with the first one where there has to be one.
Result<std::vector<std::uint32_t>> contextTokens(const Asking& asking, const std::string& context, std::int64_t line) {
  KVISTA_ASSIGN(std::vector<std::uint32_t> tokens, asking.tokenizer.encode(context, false));
  if (!tokens.empty() && !asking.special.beginWithFirst) return tokens;
  if (!asking.special.first)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The context of line {} {}, but the model names no token that begins a text.", line,
                            tokens.empty() ? "is empty" : "shall begin with BOS"),
                "Give it a context, or leave the line out.");
  tokens.insert(tokens.begin(), *asking.special.first);
  return tokens;
}

/// Leaves out the beginning of what is longer than `most`.
void shorten(const Asking& asking, std::vector<std::uint32_t>& tokens, std::int64_t most) {
  if (static_cast<std::int64_t>(tokens.size()) <= most) return;
  tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(most));
  ++asking.shortened;
}

Result<Request> requestOf(const Asking& asking, const ChoiceItem& item, std::size_t choice) {
  // White space at the end of a question belongs to the token that follows.
  const std::string context = item.context.substr(0, item.context.find_last_not_of(kWhiteSpace) + 1);
  const std::string continuation = item.context.substr(context.size()) + item.continuations[choice];
  KVISTA_ASSIGN(const std::vector<std::uint32_t> alone, asking.tokenizer.encode(context, false));
  KVISTA_ASSIGN(const std::vector<std::uint32_t> whole, asking.tokenizer.encode(context + continuation, false));
  KVISTA_ASSIGN(Request request,
                contextTokens(asking, context, item.line).map([line = item.line](std::vector<std::uint32_t> tokens) {
                  return Request{std::move(tokens), 0, line, nullptr};
                }));
  request.tokens.resize(request.tokens.size() - alone.size());
  request.tokens.insert(request.tokens.end(), whole.begin(), whole.end());
  request.answer = static_cast<std::int64_t>(whole.size()) - static_cast<std::int64_t>(alone.size());
  if (request.answer < 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Answer {} of line {} adds no token to its question.", choice, item.line),
                "Give the question an end that the answer does not change, such as a colon.");
  if (asking.positions > 0 && request.answer >= asking.positions)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Answer {} of line {} has {} tokens, but the model has {} positions.", choice, item.line,
                            request.answer, asking.positions),
                "Leave the line out.");
  if (asking.positions > 0) shorten(asking, request.tokens, asking.positions);
  return request;
}

/// Of the last `answer` tokens of each row, float32 [b, answer].
Result<at::Tensor> answerLosses(const Asking& asking, const at::Tensor& ids, std::int64_t answer, const Task& task) {
  const std::int64_t length = ids.size(1), question = length - answer;
  if (asking.cache.policy == nullptr) {
    KVISTA_ASSIGN(const at::Tensor losses, asking.decoder.tokenLosses(ids, asking.cache.transform, task));
    return losses.narrow(1, question - 1, answer);
  }
  KVISTA_ASSIGN(const at::Tensor hidden, readUnderPolicy(asking.decoder, *asking.cache.policy, ids,
                                                         readBeforePolicy(question), answer + 1, task));
  return asking.decoder.lossesBehind(hidden, ids.narrow(1, question - 1, answer + 1), task);
}

/// What goes wrong with an item, with its line in front.
template <class Value>
Result<Value> atLine(std::int64_t line, Result<Value> result) {
  return std::move(result).map_error([line](Error error) {
    if (error.code == ErrorCode::invalidArgument) error.message = fmt::format("Line {}: {}", line, error.message);
    return error;
  });
}

/// Fills in the log-likelihoods. Requests of one length go through the model together; padding would change a cache
/// that is stored in blocks. A policy acts on all questions at once, so that these are of one length too.
Result<void> measure(const Asking& asking, std::vector<Request> requests, const std::string& stage, const Task& task) {
  const auto lengths = [&](const Request& request) {
    return std::pair(request.tokens.size(), asking.cache.policy != nullptr ? request.answer : 0);
  };
  std::ranges::stable_sort(requests, std::greater<>{}, lengths);
  for (std::size_t begin = 0, end = 0; begin < requests.size(); begin = end) {
    const auto length = static_cast<std::int64_t>(requests[begin].tokens.size());
    const std::int64_t most = std::max<std::int64_t>(1, asking.decoder.tokensPerStep() / length);
    while (end < requests.size() && static_cast<std::int64_t>(end - begin) < most &&
           lengths(requests[end]) == lengths(requests[begin]))
      ++end;
    task.progress(stage, begin, requests.size(), "answers");
    const auto rows = static_cast<std::int64_t>(end - begin);
    const at::Tensor ids = at::empty({rows, length}, at::kLong);
    for (std::int64_t row = 0; row < rows; ++row)
      std::ranges::copy(requests[begin + static_cast<std::size_t>(row)].tokens,
                        ids.mutable_data_ptr<std::int64_t>() + row * length);
    std::int64_t longest = 0;
    for (std::size_t i = begin; i < end; ++i) longest = std::max(longest, requests[i].answer);
    KVISTA_ASSIGN(at::Tensor losses, atLine(requests[begin].line, answerLosses(asking, ids, longest, task)));
    losses = losses.to(at::kDouble).cpu();
    for (std::int64_t row = 0; row < rows; ++row) {
      const Request& request = requests[begin + static_cast<std::size_t>(row)];
      *request.logLikelihood = -losses[row].narrow(0, longest - request.answer, request.answer).sum().item<double>();
      if (!std::isfinite(*request.logLikelihood))
        return fail(ErrorCode::numerical, "The log-likelihood of an answer is not a finite number.",
                    "Look for damaged weights with `kvista inspect --weights`, or compute in float32.");
    }
  }
  return {};
}

std::size_t largest(const std::vector<double>& values) {
  return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}

/// Where the first of the strings begins; npos where none is there.
std::size_t endIn(const std::string& text, const std::vector<std::string>& until) {
  std::size_t end = std::string::npos;
  for (const std::string& each : until) end = std::min(end, text.find(each));
  return end;
}

Result<WritingScore> write(const Asking& asking, const WritingItem& item, const Task& task) {
  GenerationRequest request;
  KVISTA_ASSIGN(request.prompt, contextTokens(asking, item.context, item.line));
  request.maximumTokens = item.maximumTokens;
  request.endTokens = asking.special.ends;
  if (asking.positions > 0) {
    if (item.maximumTokens >= asking.positions)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("Line {} wants up to {} tokens written, but the model has {} positions.", item.line,
                              item.maximumTokens, asking.positions),
                  "Give it a smaller \"max_gen_toks\".");
    shorten(asking, request.prompt, asking.positions - item.maximumTokens);
  }
  KVISTA_ASSIGN(Generation writing, atLine(item.line, Generation::measured(asking.decoder, asking.tokenizer,
                                                                           asking.cache, std::move(request))));
  WritingScore score;
  for (bool goesOn = true; goesOn && endIn(score.written, item.until) == std::string::npos;) {
    KVISTA_ASSIGN(goesOn, atLine(item.line, writing.step(task)));
    KVISTA_ASSIGN(const std::string piece, writing.takeText());
    score.written += piece;
  }
  score.written = trimmed(score.written.substr(0, endIn(score.written, item.until)));
  score.isRight =
      std::ranges::any_of(item.targets, [&](const std::string& target) { return trimmed(target) == score.written; });
  return score;
}

}  // namespace

Result<TaskScores> scoreTasks(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                              const TaskItems& items, const TaskTokens& tokens, const std::string& stage,
                              const Task& task) {
  return guardTorch("Asking the tasks", [&]() -> Result<TaskScores> {
    TaskScores scores;
    const Asking asking{decoder, tokenizer, cache, tokens, decoder.description().maximumPositions, scores.shortened};
    std::vector<Request> requests;
    scores.choices.resize(items.choices.size());
    for (std::size_t i = 0; i < items.choices.size(); ++i) {
      KVISTA_CHECK(task.checkStop());
      const ChoiceItem& item = items.choices[i];
      scores.choices[i].logLikelihoods.resize(item.continuations.size());
      for (std::size_t choice = 0; choice < item.continuations.size(); ++choice) {
        KVISTA_ASSIGN(requests.emplace_back(), requestOf(asking, item, choice));
        requests.back().logLikelihood = &scores.choices[i].logLikelihoods[choice];
      }
    }
    KVISTA_CHECK(measure(asking, std::move(requests), stage, task));
    for (std::size_t i = 0; i < items.choices.size(); ++i) {
      ChoiceScore& score = scores.choices[i];
      score.likeliest = largest(score.logLikelihoods);
      std::vector<double> byBytes = score.logLikelihoods;
      for (std::size_t choice = 0; choice < byBytes.size(); ++choice)
        byBytes[choice] /= static_cast<double>(items.choices[i].bytes[choice]);
      score.likeliestByBytes = largest(byBytes);
    }
    for (const WritingItem& item : items.writings) {
      task.progress(stage, scores.writings.size(), items.writings.size(), "texts");
      KVISTA_ASSIGN(scores.writings.emplace_back(), write(asking, item, task));
    }
    return scores;
  });
}

double Accuracy::standardError() const {
  if (asked < 2) return 0;
  return std::sqrt(share() * (1 - share()) / static_cast<double>(asked - 1));
}

Accuracy accuracyOf(const std::vector<ChoiceItem>& items, const std::vector<ChoiceScore>& scores,
                    std::size_t ChoiceScore::*chosen) {
  Accuracy accuracy{0, static_cast<std::int64_t>(items.size())};
  for (std::size_t i = 0; i < items.size(); ++i) accuracy.right += scores[i].*chosen == items[i].gold ? 1 : 0;
  return accuracy;
}

Accuracy accuracyOf(const std::vector<WritingScore>& scores) {
  return {std::ranges::count_if(scores, &WritingScore::isRight), static_cast<std::int64_t>(scores.size())};
}

TaskTokens taskTokensOf(const Checkpoint& checkpoint, bool beginWithFirst) {
  TaskTokens tokens{bosTokenOf(checkpoint), beginWithFirst, endTokensOf(checkpoint)};
  if (!tokens.first && !tokens.ends.empty()) tokens.first = tokens.ends.front();
  return tokens;
}

std::vector<TaskMeasure> taskMeasuresOf(const TaskItems& items, const std::vector<TaskScores>& sides) {
  std::vector<TaskMeasure> measures;
  const auto add = [&](std::string_view name, const auto& accuracy, const auto& isSame, std::size_t count) {
    if (count == 0) return;
    TaskMeasure measure{name, {}, 0};
    for (const TaskScores& side : sides) measure.sides.push_back(accuracy(side));
    for (std::size_t i = 0; i < count; ++i) measure.same += isSame(sides.front(), sides.back(), i) ? 1 : 0;
    measures.push_back(std::move(measure));
  };
  for (const auto& [name, chosen] :
       {std::pair{"acc", &ChoiceScore::likeliest}, std::pair{"acc_norm", &ChoiceScore::likeliestByBytes}})
    add(
        name, [&, chosen](const TaskScores& side) { return accuracyOf(items.choices, side.choices, chosen); },
        [chosen](const TaskScores& a, const TaskScores& b, std::size_t i) {
          return a.choices[i].*chosen == b.choices[i].*chosen;
        },
        items.choices.size());
  add(
      "exact_match", [](const TaskScores& side) { return accuracyOf(side.writings); },
      [](const TaskScores& a, const TaskScores& b, std::size_t i) {
        return a.writings[i].written == b.writings[i].written;
      },
      items.writings.size());
  return measures;
}

}  // namespace kvista
