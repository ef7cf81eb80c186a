// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/evaluate/task_items.h"
#include "core/evaluate/under_policy.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// Tokens that a model gives a meaning of their own.
struct TaskTokens {
  std::optional<std::uint32_t> first;  ///< Stands before an empty context, and before every one where `beginWithFirst`.
  bool beginWithFirst = false;
  std::vector<std::uint32_t> ends;  ///< Any of these ends what is written.
};

/// Those of a checkpoint: without a BOS token a token that ends texts stands first.
TaskTokens taskTokensOf(const Checkpoint& checkpoint, bool beginWithFirst);

struct ChoiceScore {
  std::vector<double> logLikelihoods;  ///< Of each answer behind the question, nats.
  std::size_t likeliest = 0;           ///< The largest of them: `acc` asks whether it is the right one.
  /// The largest over the answer's bytes: `acc_norm` (Gao 2021, "Multiple Choice Normalization in LM Evaluation").
  std::size_t likeliestByBytes = 0;
};
struct WritingScore {
  std::string written;   ///< Before the first of the strings that end it, without white space round it.
  bool isRight = false;  ///< Whether it is one of the targets: `exact_match`.
};
struct TaskScores {
  std::vector<ChoiceScore> choices;  ///< As TaskItems has them.
  std::vector<WritingScore> writings;
  /// Answers and texts before which the beginning of the context was left out, because the model has too few positions.
  std::int64_t shortened = 0;
};

/// Asks all items. A question and an answer are cut into tokens together, white space at the question's end counted as
/// the answer's; what is too long for the model loses its beginning. Both as lm-evaluation-harness does it. A policy
/// acts when all of a question but its last token was read. Errors (invalidArgument), with the item's line: an answer
/// that adds no token, an empty context for a model without a first token, an answer longer than the model's positions,
/// what a policy refuses.
Result<TaskScores> scoreTasks(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                              const TaskItems& items, const TaskTokens& tokens, const std::string& stage,
                              const Task& task);

/// How many of those asked are right.
struct Accuracy {
  std::int64_t right = 0, asked = 0;
  [[nodiscard]] double share() const { return static_cast<double>(right) / static_cast<double>(asked); }
  /// Of the share as a sample's mean; 0 for one item.
  [[nodiscard]] double standardError() const;
};
Accuracy accuracyOf(const std::vector<ChoiceItem>& items, const std::vector<ChoiceScore>& scores,
                    std::size_t ChoiceScore::*chosen);
Accuracy accuracyOf(const std::vector<WritingScore>& scores);

/// One measure of those who were asked the same items.
struct TaskMeasure {
  std::string_view name;  ///< "acc", "acc_norm" or "exact_match".
  std::vector<Accuracy> sides;
  std::int64_t same = 0;  ///< Items that the first and the last side answer alike, right or wrong.
};
/// Those that these items have; `sides`: at least one.
std::vector<TaskMeasure> taskMeasuresOf(const TaskItems& items, const std::vector<TaskScores>& sides);

}  // namespace kvista
