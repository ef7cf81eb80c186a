// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/agreement.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/evaluate/generate.h"
#include "core/evaluate/measure_policy.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

/// Keeps the `most` tokens that differ most, falling.
class WorstTokens {
 public:
  explicit WorstTokens(std::size_t most) : most_(most) {}

  [[nodiscard]] bool wants(double divergence) const {
    return most_ > 0 && (kept_.size() < most_ || divergence > kept_.back().divergence);
  }
  void add(const ComparedToken& token) {
    const auto place = std::ranges::upper_bound(kept_, token.divergence, std::greater<>{}, &ComparedToken::divergence);
    kept_.insert(place, token);
    if (kept_.size() > most_) kept_.pop_back();
  }
  [[nodiscard]] std::vector<ComparedToken> take() { return std::move(kept_); }

 private:
  std::size_t most_;
  std::vector<ComparedToken> kept_;
};

constexpr std::int64_t kContext = 12;  // Tokens shown before one that differs much.

/// Of every token that a window, [1, tokens], predicts behind its first `prompt`: [tokens - 1 - prompt, vocabulary].
Result<at::Tensor> logitsOf(const AgreementSide& side, const at::Tensor& window, std::int64_t prompt,
                            const Task& task) {
  const std::int64_t predictions = window.size(1) - 1 - prompt;
  if (side.cache.policy != nullptr) {
    KVISTA_ASSIGN(const at::Tensor hidden,
                  readUnderPolicy(side.decoder, *side.cache.policy, window, prompt, predictions + 1, task));
    return side.decoder.logitsBehind(hidden[0].narrow(0, 0, predictions));
  }
  KVISTA_ASSIGN(const ForwardResult passed, side.decoder.forward(window, side.cache.transform, {}, true, task));
  return passed.logits[0].narrow(0, prompt, predictions);
}

/// Of rows of logits, on the CPU.
struct Comparison {
  at::Tensor divergences;     ///< float64: KL(softmax(wanted) || softmax(given)).
  at::Tensor original, plan;  ///< int64: the likeliest tokens.
};

Result<Comparison> compare(const at::Tensor& wanted, const at::Tensor& given, const Task& task) {
  constexpr std::int64_t kRows = 512;
  std::vector<at::Tensor> divergences, original, plan;
  for (std::int64_t begin = 0; begin < wanted.size(0); begin += kRows) {
    KVISTA_CHECK(task.checkStop());
    const std::int64_t count = std::min(kRows, wanted.size(0) - begin);
    const at::Tensor p = at::log_softmax(wanted.narrow(0, begin, count), -1, at::kFloat);
    const at::Tensor q = at::log_softmax(given.narrow(0, begin, count).to(p.device()), -1, at::kFloat);
    divergences.push_back((p.exp() * (p - q)).sum(-1, false, at::kDouble).cpu());
    original.push_back(p.argmax(-1).cpu());
    plan.push_back(q.argmax(-1).cpu());
  }
  return Comparison{at::cat(divergences), at::cat(original), at::cat(plan)};
}

/// Of one window, whose logits are gone afterwards.
Result<Comparison> compareWindow(const AgreementSide& original, const AgreementSide& plan, const at::Tensor& window,
                                 std::int64_t prompt, const Task& task) {
  KVISTA_ASSIGN(const at::Tensor wanted, logitsOf(original, window, prompt, task));
  KVISTA_ASSIGN(const at::Tensor given, logitsOf(plan, window, prompt, task));
  return compare(wanted, given, task);
}

Result<std::vector<std::uint32_t>> write(const AgreementSide& side, const Tokenizer& tokenizer,
                                         const at::Tensor& prompt, std::int64_t tokens, const Task& task) {
  GenerationRequest request;
  const auto* begin = prompt.const_data_ptr<std::int64_t>();
  request.prompt.assign(begin, begin + prompt.numel());
  request.maximumTokens = tokens;
  KVISTA_ASSIGN(Generation writing, Generation::measured(side.decoder, tokenizer, side.cache, std::move(request)));
  for (bool goesOn = true; goesOn;) {
    KVISTA_ASSIGN(goesOn, writing.step(task));
  }
  return writing.written();
}

}  // namespace

Result<std::vector<ComparedWords>> inWords(const std::vector<ComparedToken>& compared, const at::Tensor& ids,
                                           const Tokenizer& tokenizer) {
  std::vector<ComparedWords> words;
  for (const ComparedToken& token : compared) {
    const std::int64_t begin = std::max<std::int64_t>(0, token.position - kContext);
    const at::Tensor before = ids[token.window].narrow(0, begin, token.position - begin).contiguous();
    const auto* first = before.const_data_ptr<std::int64_t>();
    ComparedWords each{token.window, token.position, token.divergence, {}, {}, {}, {}};
    KVISTA_ASSIGN(each.context, tokenizer.decode({first, first + before.numel()}, false));
    KVISTA_ASSIGN(each.text, tokenizer.decode({token.token}, false));
    KVISTA_ASSIGN(each.original, tokenizer.decode({token.original}, false));
    KVISTA_ASSIGN(each.plan, tokenizer.decode({token.plan}, false));
    words.push_back(std::move(each));
  }
  return words;
}

double percentileOf(std::vector<float> values, double part) {
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(part * static_cast<double>(values.size())));
  const auto place =
      values.begin() + std::clamp<std::ptrdiff_t>(rank - 1, 0, static_cast<std::ptrdiff_t>(values.size()) - 1);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

Result<TextAgreement> compareOnText(const AgreementSide& original, const AgreementSide& plan, const at::Tensor& ids,
                                    std::size_t worst, const Task& task) {
  return guardTorch("The comparison", [&]() -> Result<TextAgreement> {
    const std::int64_t vocabulary = original.decoder.shape().vocabulary;
    if (plan.decoder.shape().vocabulary != vocabulary)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("One model predicts {} tokens and the other {}, so their predictions cannot be compared.",
                              vocabulary, plan.decoder.shape().vocabulary),
                  "Compare a plan or an export with the model that it was made of.");
    TextAgreement result;
    if (plan.cache.policy != nullptr) {
      KVISTA_ASSIGN(const PolicySchedule schedule, scheduleOf(plan.cache.policy->request, ids.size(1)));
      result.prompt = schedule.prompt;
    }
    const std::int64_t windows = ids.size(0), predictions = ids.size(1) - 1 - result.prompt;
    result.predictions = windows * predictions;
    WorstTokens worstTokens(worst);
    double sum = 0;
    std::int64_t same = 0;
    for (std::int64_t window = 0; window < windows; ++window) {
      task.progress("compare", static_cast<std::uint64_t>(window * ids.size(1)),
                    static_cast<std::uint64_t>(ids.numel()), "tokens");
      const at::Tensor own = ids.narrow(0, window, 1);
      KVISTA_ASSIGN(const Comparison compared, compareWindow(original, plan, own, result.prompt, task));
      if (!compared.divergences.isfinite().all().item<bool>())
        return fail(ErrorCode::numerical, fmt::format("The divergence in window {} is not finite.", window),
                    "Look for damaged weights with `kvista inspect --weights`, or compute in float32.");
      const at::Tensor targets = own[0].narrow(0, 1 + result.prompt, predictions).cpu().contiguous();
      for (std::int64_t i = 0; i < predictions; ++i) {
        const double divergence = compared.divergences.const_data_ptr<double>()[i];
        const auto idOf = [i](const at::Tensor& of) {
          return static_cast<std::uint32_t>(of.const_data_ptr<std::int64_t>()[i]);
        };
        const std::uint32_t one = idOf(compared.original), other = idOf(compared.plan);
        sum += divergence;
        same += one == other ? 1 : 0;
        result.divergences.push_back(static_cast<float>(divergence));
        if (worstTokens.wants(divergence))
          worstTokens.add({window, result.prompt + i + 1, divergence, idOf(targets), one, other});
      }
    }
    result.sameLikeliest = static_cast<double>(same) / static_cast<double>(result.predictions);
    result.mean = sum / static_cast<double>(result.predictions);
    result.median = percentileOf(result.divergences, 0.5);
    result.percentile99 = percentileOf(result.divergences, 0.99);
    result.largest = *std::ranges::max_element(result.divergences);
    result.worst = worstTokens.take();
    return result;
  });
}

Result<std::vector<WrittenPair>> writeBoth(const AgreementSide& original, const AgreementSide& plan,
                                           const Tokenizer& tokenizer, const at::Tensor& prompts, std::int64_t tokens,
                                           const Task& task) {
  return guardTorch("Writing", [&]() -> Result<std::vector<WrittenPair>> {
    std::vector<WrittenPair> pairs;
    for (std::int64_t i = 0; i < prompts.size(0); ++i) {
      task.progress("write", static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(prompts.size(0)), "prompts");
      const at::Tensor prompt = prompts[i].contiguous();
      WrittenPair pair;
      KVISTA_ASSIGN(pair.original, write(original, tokenizer, prompt, tokens, task));
      KVISTA_ASSIGN(pair.plan, write(plan, tokenizer, prompt, tokens, task));
      pairs.push_back(std::move(pair));
    }
    return pairs;
  });
}

WritingAgreement agreementOf(const std::vector<WrittenPair>& pairs) {
  WritingAgreement result;
  std::int64_t equal = 0, tokens = 0;
  for (const auto& [original, plan] : pairs) {
    const std::size_t length = std::min(original.size(), plan.size());
    for (std::size_t i = 0; i < length; ++i) equal += original[i] == plan[i] ? 1 : 0;
    tokens += static_cast<std::int64_t>(length);
    const auto first =
        std::mismatch(original.begin(), original.begin() + static_cast<std::ptrdiff_t>(length), plan.begin()).first -
        original.begin();
    result.firstDivergences.push_back(first);
    result.undiverged += first == static_cast<std::ptrdiff_t>(length) ? 1 : 0;
  }
  std::vector<std::int64_t> rising = result.firstDivergences;
  std::ranges::sort(rising);
  const std::size_t count = rising.size();
  result.equalTokens = static_cast<double>(equal) / static_cast<double>(tokens);
  result.meanDivergence =
      static_cast<double>(std::accumulate(rising.begin(), rising.end(), std::int64_t{0})) / static_cast<double>(count);
  result.medianDivergence = (static_cast<double>(rising[(count - 1) / 2]) + static_cast<double>(rising[count / 2])) / 2;
  return result;
}

}  // namespace kvista
