// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/evaluate/under_policy.h"
#include "core/model/decoder.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// One of two that are compared.
struct AgreementSide {
  const Decoder& decoder;
  CacheUse cache = {};
};

/// A token whose two predictions differ much.
struct ComparedToken {
  std::int64_t window = 0, position = 0;  ///< Of the token that is predicted.
  double divergence = 0;                  ///< Nats.
  std::uint32_t token = 0;                ///< What the text has there.
  std::uint32_t original = 0, plan = 0;   ///< What each holds likeliest.
};

/// How two predict a text: each reads the text itself before every token.
struct TextAgreement {
  std::int64_t predictions = 0;
  /// Tokens at each window's beginning that were read before a policy acted, whose predictions are left out.
  std::int64_t prompt = 0;
  double sameLikeliest = 0;  ///< Part of the predictions whose likeliest token is the same.
  double mean = 0, median = 0, percentile99 = 0, largest = 0;  ///< Of KL(original || plan), nats.
  std::vector<float> divergences;                              ///< Of every prediction, one window after another.
  std::vector<ComparedToken> worst;                            ///< Falling.
};

/// The same in words.
struct ComparedWords {
  std::int64_t window = 0, position = 0;
  double divergence = 0;
  std::string context;               ///< The tokens before it, a few.
  std::string text, original, plan;  ///< As ComparedToken.
};
Result<std::vector<ComparedWords>> inWords(const std::vector<ComparedToken>& compared, const at::Tensor& ids,
                                           const Tokenizer& tokenizer);

/// The value that `part` of all values do not exceed: the ceil(part n)-th of them in rising order (nearest rank).
/// Values must be there.
double percentileOf(std::vector<float> values, double part);

/// Of every token but the first of each window of `ids`, int64 [windows, window >= 2]; the `worst` that differ most.
/// Where `plan` is under a policy, this acts as in measurePolicy, and the predictions are those that were made with the
/// cache as it had left it. One window after another: logits of no more than one are in memory. Errors: invalidArgument
/// for models of other vocabularies, numerical, scheduleOf.
Result<TextAgreement> compareOnText(const AgreementSide& original, const AgreementSide& plan, const at::Tensor& ids,
                                    std::size_t worst, const Task& task);

/// What both write behind one prompt, as many tokens each.
struct WrittenPair {
  std::vector<std::uint32_t> original, plan;
};
/// Each goes on from each prompt, a row of `prompts` [prompts, tokens], by the likeliest token every time, for `tokens`
/// tokens. A policy acts as in Generation::measured.
Result<std::vector<WrittenPair>> writeBoth(const AgreementSide& original, const AgreementSide& plan,
                                           const Tokenizer& tokenizer, const at::Tensor& prompts, std::int64_t tokens,
                                           const Task& task);

/// How far what was written is the same.
struct WritingAgreement {
  double equalTokens = 0;                           ///< Part of the tokens that are the same at their place.
  double meanDivergence = 0, medianDivergence = 0;  ///< Of the following.
  /// Of each pair: tokens before the first that differs; all where none does.
  std::vector<std::int64_t> firstDivergences;
  std::int64_t undiverged = 0;  ///< Pairs that are the same to the end.
};
/// Of pairs that are there, of at least one token each.
WritingAgreement agreementOf(const std::vector<WrittenPair>& pairs);

}  // namespace kvista
