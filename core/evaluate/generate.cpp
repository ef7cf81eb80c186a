// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/generate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

namespace kvista {
namespace {

/// A number in [0, 1) from a seed and a counter (splitmix64): the same on every machine.
double uniform(std::uint64_t seed, std::uint64_t counter) {
  std::uint64_t value = seed + (counter + 1) * 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return std::ldexp(static_cast<double>((value ^ (value >> 31)) >> 11), -53);
}

/// Length without a character that is not whole yet, which decoders show as U+FFFD.
std::size_t wholeLength(const std::string& text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::size_t length = text.size();
  while (length >= kReplacement.size() &&
         std::string_view(text).substr(length - kReplacement.size(), kReplacement.size()) == kReplacement)
    length -= kReplacement.size();
  return length;
}

}  // namespace

std::int64_t cacheBytes(const CompressionPlan& plan, const ModelShape& shape, std::int64_t tokens) {
  const std::int64_t exact = std::min<std::int64_t>(plan.exactTokens, tokens);
  const std::int64_t stored = tokens - exact;
  std::int64_t ownLayers = 0;  // those that read another's cache hold nothing
  for (int layer = 0; layer < shape.layers; ++layer) ownLayers += readsAnotherLayer(plan, layer) ? 0 : 1;
  std::int64_t bytes = exact * shape.cacheBytesPerToken() / shape.layers * ownLayers;
  const std::int64_t unfinished = plan.storage == Storage::plainQuantised ? stored % plan.scaleBlock : 0;
  for (const Group& group : plan.groups) {
    const bool waits = unfinished > 0 && group.slots.front().side == Side::key;
    bytes += (waits ? stored - unfinished : stored) * bytesPerToken(plan, group);
    if (waits) bytes += unfinished * 2 * slotWidth(group.slots.front(), shape);
  }
  return bytes;
}

Generation::Generation(const Decoder& decoder, const Tokenizer& tokenizer, const CacheTransform* transform,
                       GenerationRequest request)
    : decoder_(decoder), tokenizer_(tokenizer), transform_(transform), request_(std::move(request)) {
  if (transform != nullptr) cache_.store = transform->makeStore(decoder);
}

Result<Generation> Generation::underPolicy(const Decoder& decoder, const Tokenizer& tokenizer,
                                           GenerationRequest request, const PolicyUse& policy) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t first = policy.request.prompt > 0 ? std::min(policy.request.prompt, prompt) : prompt;
  KVISTA_ASSIGN(PolicyReading reading, PolicyReading::begin(decoder, policy, first, prompt + request.maximumTokens));
  Generation generation(decoder, tokenizer, nullptr, std::move(request));
  generation.policy_ = std::make_unique<PolicyReading>(std::move(reading));
  return generation;
}

Result<Generation> Generation::measured(const Decoder& decoder, const Tokenizer& tokenizer, const CacheUse& cache,
                                        GenerationRequest request) {
  if (cache.policy == nullptr) return Generation(decoder, tokenizer, cache.transform, std::move(request));
  PolicyUse policy = *cache.policy;
  policy.request.prompt = readBeforePolicy(static_cast<std::int64_t>(request.prompt.size()));
  return underPolicy(decoder, tokenizer, std::move(request), policy);
}

std::optional<std::int64_t> Generation::storedBytes() const {
  if (policy_) return policy_->bytes();
  return cache_.store ? std::optional(cache_.store->bytes()) : std::nullopt;
}

Result<at::Tensor> Generation::readOn(const at::Tensor& ids, const Task& task) {
  if (!policy_) return decoder_.nextToken(ids, cache_, transform_, task);
  KVISTA_ASSIGN(const at::Tensor hidden, policy_->read(ids, 1, task));
  KVISTA_ASSIGN(const at::Tensor logits, decoder_.logitsBehind(hidden.select(1, 0)));
  return logits.select(0, 0).cpu();
}

std::uint32_t Generation::choose(const at::Tensor& logits) {
  if (request_.temperature <= 0) return static_cast<std::uint32_t>(logits.argmax().item<std::int64_t>());
  const at::Tensor probabilities = at::softmax(logits.to(at::kDouble) / request_.temperature, 0).contiguous();
  const double* each = probabilities.const_data_ptr<double>();
  double left = uniform(request_.seed, draws_++);
  const std::int64_t count = probabilities.numel();
  for (std::int64_t i = 0; i < count; ++i) {
    left -= each[i];
    if (left < 0) return static_cast<std::uint32_t>(i);
  }
  return static_cast<std::uint32_t>(probabilities.argmax().item<std::int64_t>());
}

Result<bool> Generation::step(const Task& task) {
  if (hasEnded()) return false;
  std::vector<std::int64_t> next;
  if (written_.empty())
    next.assign(request_.prompt.begin(), request_.prompt.end());
  else
    next.push_back(written_.back());
  KVISTA_ASSIGN(const at::Tensor logits, readOn(at::tensor(next, at::kLong).unsqueeze(0), task));
  if (!logits.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical, "The model's output is not finite.",
                "Look for damaged weights with `kvista inspect --weights`.");
  const std::uint32_t token = choose(logits);
  if (std::ranges::find(request_.endTokens, token) != request_.endTokens.end()) {
    foundEnd_ = true;
    return false;
  }
  written_.push_back(token);
  return true;
}

Result<std::string> Generation::takeText() {
  KVISTA_ASSIGN(const std::string text, tokenizer_.decode(written_, true));
  const std::size_t length = hasEnded() ? text.size() : wholeLength(text);
  if (length <= taken_) return std::string();
  std::string piece = text.substr(taken_, length - taken_);
  taken_ = length;
  return piece;
}

}  // namespace kvista
