// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/evaluate/under_policy.h"
#include "core/model/decoder.h"
#include "core/plan/matrix.h"
#include "core/plan/retrieval_kind.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// Whether a model still finds what stands far back: sentences with random numbers are planted in a text and asked for
/// behind it (the "needle in a haystack", Kamradt 2023, with numbers so that right and wrong are sharp; the other kinds
/// are tasks of RULER, Hsieh et al. 2024, section 3, in words of our own).
struct RetrievalRequest {
  std::vector<std::uint32_t> filler;  ///< Tokens of the text that they are planted in.
  std::vector<std::string> texts;     ///< Files that they are of, for messages.
  std::vector<std::int64_t> lengths;  ///< Tokens of text, sentences and question together.
  std::vector<double> depths;  ///< Where the sentence that is asked for stands: 0 at the text's start, 1 at its end.
  std::int64_t trials = 4;     ///< Other numbers and other places of the filler, for each length and depth.
  std::uint64_t seed = 0;      ///< The same seed asks the same, on every machine.
  RetrievalKind kind = RetrievalKind::needle;
  /// Sentences: keys, or variables of a chain, whose first stands at the depth and the others in order at random places
  /// behind it. The other keys stand at random places of the whole text. 0: usualPlanted(kind).
  std::int64_t planted = 0;
};

/// One trial: the model reads `prompt`, and `answer` is what comes next.
struct RetrievalTrial {
  std::vector<std::uint32_t> prompt, answer;
  std::vector<std::string> wanted;  ///< What the answer says: a number, or the names of variables.
};

/// Of trial `trial` at a length and a depth. Errors (invalidArgument): a length that has no room for sentences and
/// question, a filler that is shorter than what is wanted of it, a number of sentences that the kind cannot have.
Result<RetrievalTrial> retrievalTrial(const Tokenizer& tokenizer, const RetrievalRequest& request, std::size_t length,
                                      std::size_t depth, std::int64_t trial);

struct RetrievalScore {
  double loss = 0;   ///< Mean of the answer's tokens, nats.
  double found = 0;  ///< 1 where the answer is what the model writes when it takes the likeliest token each time.
};
/// The answer is read through the cache. A policy acts when all of text and question but the last token was read, as
/// SnapKV does (Li et al. 2024) and as RULER asks (Hsieh et al. 2024). Where several names are wanted and the model
/// writes another answer, `found` is the part of them that it names (RULER's recall), of half as many tokens again as
/// the answer has.
Result<RetrievalScore> scoreTrial(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                                  const RetrievalTrial& trial, const Task& task);

/// One row a depth, one column a length.
struct RetrievalScores {
  Matrix loss;   ///< Mean of the trials.
  Matrix found;  ///< Mean of the trials.
};

/// All trials of all lengths and depths. Progress in trials.
Result<RetrievalScores> measureRetrieval(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                                         const RetrievalRequest& request, const std::string& stage, const Task& task);

}  // namespace kvista
