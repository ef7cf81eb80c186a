// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/plan_transform.h"
#include "core/evaluate/under_policy.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// Bytes that a cache of `tokens` tokens takes, over all layers, stored as `plan` says: the first exact tokens, and of
/// plain quantisation the keys of a block that is not full yet, at 16 bits.
std::int64_t cacheBytes(const CompressionPlan& plan, const ModelShape& shape, std::int64_t tokens);

struct GenerationRequest {
  std::vector<std::uint32_t> prompt;  ///< At least one token.
  std::int64_t maximumTokens = 128;
  double temperature = 0;  ///< 0: always the likeliest token.
  std::uint64_t seed = 0;
  std::vector<std::uint32_t> endTokens;  ///< Any of these ends the text.
};

/// Writes a text token by token with a cache, so that several can be written alternately. The cache of a plan holds
/// latents as the plan stores them.
class Generation {
 public:
  /// `transform` may be null; it, the decoder and the tokenizer must outlive this.
  Generation(const Decoder& decoder, const Tokenizer& tokenizer, const CacheTransform* transform,
             GenerationRequest request);
  /// The same with a policy that acts behind the prompt, or its first `request.prompt` tokens where those are said, and
  /// again behind each `request.interval` tokens more. Errors: as PolicyRun::begin.
  static Result<Generation> underPolicy(const Decoder& decoder, const Tokenizer& tokenizer, GenerationRequest request,
                                        const PolicyUse& policy);
  /// A text that is measured: a policy acts before the prompt's last token is read (readBeforePolicy).
  static Result<Generation> measured(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                                     GenerationRequest request);

  /// Writes one more token, the first time after reading the prompt. False once the text has ended.
  Result<bool> step(const Task& task);
  /// Whole characters written since the last call.
  Result<std::string> takeText();
  /// The tokens behind the prompt.
  [[nodiscard]] const std::vector<std::uint32_t>& written() const { return written_; }
  [[nodiscard]] std::int64_t cachedTokens() const { return policy_ ? policy_->tokens() : cache_.tokens; }
  /// Of what is cached now; absent where the cache only stands for one that is stored as a plan says (cacheBytes).
  [[nodiscard]] std::optional<std::int64_t> storedBytes() const;

 private:
  [[nodiscard]] bool hasEnded() const {
    return foundEnd_ || static_cast<std::int64_t>(written_.size()) >= request_.maximumTokens;
  }
  [[nodiscard]] std::uint32_t choose(const at::Tensor& logits);
  /// Logits behind `ids`, [1, n].
  Result<at::Tensor> readOn(const at::Tensor& ids, const Task& task);

  const Decoder& decoder_;
  const Tokenizer& tokenizer_;
  const CacheTransform* transform_;
  GenerationRequest request_;
  DecoderCache cache_;
  std::unique_ptr<PolicyReading> policy_;
  std::uint64_t draws_ = 0;
  std::vector<std::uint32_t> written_;
  bool foundEnd_ = false;  // One of endTokens came.
  std::size_t taken_ = 0;  // Bytes of the decoded text that were handed out.
};

}  // namespace kvista
