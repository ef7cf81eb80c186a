// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy_run.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "core/base/amount.h"
#include "core/model/torch_guard.h"
#include "core/policy/attention_scores.h"
#include "core/policy/named_policies.h"

namespace kvista {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool hasLatents(const Decoder& decoder) {
  return std::ranges::any_of(decoder.description().layers,
                             [](const auto& layer) { return layer.attention.latent.has_value(); });
}

Result<void> checkHolder(const Policy& holder, const Decoder& decoder, const PlanTransform* transform) {
  if (!holder.notOfLatents.empty() && hasLatents(decoder))
    return fail(ErrorCode::invalidArgument,
                fmt::format("The policy {} {}; the model has latent attention, whose cache is a latent already.",
                            holder.name, holder.notOfLatents),
                "Take one that holds latents, such as hadamard, or one that chooses tokens, such as snapkv.");
  if (holder.takesPlan || holder.needsPlan == (transform != nullptr)) return {};
  if (!holder.needsPlan) return checkHoldsLatents(holder, transform->plan());
  return fail(ErrorCode::invalidArgument,
              fmt::format("The policy {} says which tokens a plan stores, and there is no plan.", holder.name),
              "Give a project or an export in place of the model.");
}

/// A layer with no more of the last tokens' queries than a policy asks for: of two that work together, one may ask for
/// more.
LiveLayer asked(const LiveLayer& layer, std::int64_t queries) {
  LiveLayer own = layer;
  if (!own.queries.defined()) return own;
  const std::int64_t held = std::min(queries, own.queries.size(2));
  own.queries = own.queries.narrow(2, own.queries.size(2) - held, held);
  return own;
}

/// The mean over a dimension (heads, layers), of size 1 then, of those that have any use for a token; -infinity where
/// none has.
at::Tensor sharedScores(const at::Tensor& scores, std::int64_t dimension) {
  const at::Tensor isWanted = scores > -kInfinity, count = isWanted.sum(dimension, /*keepdim=*/true);
  const at::Tensor sum = scores.masked_fill(isWanted.logical_not(), 0).sum(dimension, /*keepdim=*/true);
  return (sum / count.clamp_min(1)).masked_fill(count.eq(0), -kInfinity);
}

/// Behind how many tokens can be kept.
std::string fewerThanStay(std::int64_t sinks, std::int64_t window) {
  if (sinks == 0 && window == 0) return {};  // Not even one fits.
  const std::string first = fmt::format("{} first", sinks), last = fmt::format("{} last", window);
  return fmt::format(", fewer than the {} that always {}",
                     sinks == 0    ? last + (window == 1 ? " one" : " ones")
                     : window == 0 ? first + (sinks == 1 ? " one" : " ones")
                                   : first + " and " + last + " ones",
                     sinks + window == 1 ? "stays" : "stay");
}

std::int64_t bytesOfAll(const CacheBytes& counted, std::int64_t tokens) {
  std::int64_t bytes = 0;
  for (std::size_t set = 0; set < counted.sets().size(); ++set) bytes += counted.ofSet(set, tokens, tokens);
  return bytes;
}

}  // namespace

Result<void> checkPolicy(const PolicyRequest& request) {
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  KVISTA_CHECK(settingsOf(named, request));
  return {};
}

Result<PolicyRun> PolicyRun::begin(const Decoder& decoder, const PlanTransform* transform, const PolicyRequest& request,
                                   std::int64_t tokens) {
  if (!(request.share > 0 && request.share <= 1))
    return fail(ErrorCode::invalidArgument,
                fmt::format("A policy's share is {}, but must be above 0 and at most 1.", request.share));
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  if (named.holder != nullptr) KVISTA_CHECK(checkHolder(*named.holder, decoder, transform));
  KVISTA_ASSIGN(const NamedSettings settings, settingsOf(named, request));

  PolicyRun run;
  run.decoder_ = &decoder;
  run.transform_ = transform;
  run.chooser_ = named.chooser;
  run.holder_ = named.holder;
  run.share_ = request.share;
  if (named.chooser != nullptr) {
    run.scorer_ = named.chooser->makeScorer(settings.chooser);
    run.sinks_ = std::max<std::int64_t>(settings.chooser.count("sinks"),
                                        transform != nullptr ? transform->plan().exactTokens : 0);
    run.window_ = settings.chooser.count("window");
    run.exempt_ = std::min<std::int64_t>(settings.chooser.count("exempt"), decoder.shape().layers);
    KVISTA_CHECK(run.scorer_->begin(decoder, request, tokens));
    if (run.scorer_->needsPositions() && request.interval > 0)
      run.positions_ = named.chooser->isAlikeInHeads ? CacheBytes::Positions::layer : CacheBytes::Positions::unit;
  }
  run.hold(settings.holder);
  // Otherwise fewer tokens, not fewer bits, make the budget.
  if (named.chooser == nullptr) KVISTA_CHECK(run.fit(request, tokens));
  return run;
}

void PolicyRun::hold(const PolicySettings& settings) {
  if (holder_ != nullptr && transform_ != nullptr && !holder_->needsPlan && !holder_->takesPlan) {
    if (latents_ == nullptr) {
      auto latents = std::make_unique<HeldLatents>(*transform_, decoder_->shape());
      latents_ = latents.get();
      storage_ = std::move(latents);
    }
    latents_->hold(*holder_, settings);
  } else if (holder_ != nullptr) {
    storage_ = holder_->makeStorage(settings, decoder_->shape());
  }
  counted_ = std::make_unique<CacheBytes>(
      decoder_->description(), transform_ != nullptr ? &transform_->plan() : nullptr, storage_.get(), positions_);
}

Result<void> PolicyRun::fit(const PolicyRequest& request, std::int64_t tokens) {
  const std::string tuned(holder_->tuned);
  KVISTA_ASSIGN(const DealtOptions dealt, dealtOptions({nullptr, holder_}, request));
  const std::int64_t allowed = static_cast<std::int64_t>(request.share * static_cast<double>(counted_->full(tokens)));
  if (!tuned.empty() && request.share < 1 && !dealt.holder.contains(tuned)) {
    for (const double choice : holder_->choices(decoder_->shape())) {
      std::map<std::string, std::string> options = dealt.holder;
      options[tuned] = fmt::format("{}", choice);
      KVISTA_ASSIGN(const PolicySettings chosen, PolicySettings::of(holder_->name, holder_->allOptions(), options));
      hold(chosen);
      if (bytesOfAll(*counted_, tokens) <= allowed) return {};
    }
  }
  const std::int64_t least = bytesOfAll(*counted_, tokens);
  if (least <= allowed) return {};
  return fail(
      ErrorCode::invalidArgument,
      fmt::format("The policy {} needs {:.4f} of the 16-bit cache for {} tokens, and {} was allowed.", holder_->name,
                  static_cast<double>(least) / static_cast<double>(counted_->full(tokens)), tokens, request.share),
      "Allow more, take longer windows, or put a policy before it that chooses tokens, as in \"snapkv+fp8\".");
}

LiveCache PolicyRun::makeCache() const {
  LiveCache cache;
  cache.queryWindow = std::max(scorer_ ? scorer_->queries() : 0, storage_ ? storage_->queries() : 0);
  cache.beside = readsExact() ? transform_ : nullptr;
  return cache;
}

Result<at::Tensor> PolicyRun::read(const at::Tensor& ids, LiveCache& cache, const Task& task) const {
  const PlanTransform* through = latents_ != nullptr ? &latents_->recorder() : readsExact() ? nullptr : transform_;
  return decoder_->extend(ids, cache, through, task);
}

Result<void> PolicyRun::act(LiveCache& cache, const at::Tensor& ids, const Task& task) {
  return guardTorch("The policy", [&]() -> Result<void> {
    if (scorer_) KVISTA_CHECK(evict(cache, ids, task));
    actedAt_ = cache.tokens;
    if (storage_) KVISTA_CHECK(storage_->prepare(*decoder_, transform_, cache));
    for (int layer = 0; storage_ && layer < static_cast<int>(cache.layers.size()); ++layer) {
      KVISTA_CHECK(task.checkStop());
      LiveLayer& held = cache.layers[static_cast<std::size_t>(layer)];
      const LiveLayer before = asked(held, storage_->queries());
      KVISTA_CHECK(storage_->store({*decoder_, layer, before, cache.tokens}, held));
    }
    return {};
  });
}

Result<std::vector<std::int64_t>> PolicyRun::tokensOfSets(std::int64_t read) const {
  const std::size_t sets = counted_->sets().size();
  const auto allowed = static_cast<std::int64_t>(share_ * static_cast<double>(counted_->full(read)));
  const auto kept = [&](std::size_t set, std::int64_t tokens) { return isExempt(set) ? read : tokens; };
  const auto bytes = [&](std::int64_t tokens) {
    std::int64_t sum = 0;
    for (std::size_t set = 0; set < sets; ++set) sum += counted_->ofSet(set, kept(set, tokens), read);
    return sum;
  };
  std::vector<std::int64_t> result(sets, read);
  if (bytes(read) <= allowed) return result;
  std::int64_t fits = -1, tooMany = read;  // bytes(fits) <= allowed < bytes(tooMany)
  while (tooMany - fits > 1) {
    const std::int64_t middle = fits + (tooMany - fits) / 2;
    (bytes(middle) <= allowed ? fits : tooMany) = middle;
  }
  const std::int64_t always = std::min(read, sinks_ + window_);
  if (fits < std::max<std::int64_t>(always, 1)) {
    const int layers = decoder_->shape().layers;
    const std::string exempt =
        exempt_ > 0 ? fmt::format(", while the first {} of {} layers keep all", exempt_, layers) : "";
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("At a share of {} the policy {} can keep {} of {}{}{}.", share_, chooser_->name,
                    std::max<std::int64_t>(fits, 0), amount(read, "token"), exempt, fewerThanStay(sinks_, window_)),
        fmt::format("Allow more, take a longer prompt, or lower its options {}, {} or {}.",
                    optionOf({chooser_, holder_}, *chooser_, "sinks"),
                    optionOf({chooser_, holder_}, *chooser_, "window"),
                    optionOf({chooser_, holder_}, *chooser_, "exempt")));
  }
  std::int64_t left = allowed - bytes(fits);
  for (std::size_t set = 0; set < sets; ++set) {
    result[set] = kept(set, fits);
    if (isExempt(set)) continue;
    const std::int64_t more = counted_->ofSet(set, fits + 1, read) - counted_->ofSet(set, fits, read);
    if (more <= 0 || more > left) continue;
    left -= more;  // one token more while the bytes last
    ++result[set];
  }
  return result;
}

Result<std::vector<at::Tensor>> PolicyRun::scoresOf(LiveCache& cache, const at::Tensor& ids, const Task& task) {
  LiveCache looked = cache;
  for (LiveLayer& layer : looked.layers) layer = asked(layer, scorer_->queries());
  KVISTA_CHECK(scorer_->prepare(*decoder_, looked, ids, task));
  std::vector<at::Tensor> all;
  std::vector<at::Tensor> ofLayers;
  for (int layer = 0; layer < static_cast<int>(looked.layers.size()); ++layer) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_ASSIGN(at::Tensor scores,
                  scorer_->score({*decoder_, layer, looked.layers[static_cast<std::size_t>(layer)], cache.tokens}));
    ofLayers.push_back(std::move(scores));
  }
  for (std::size_t set = 0; set < counted_->sets().size(); ++set) {
    const std::vector<int>& layers = counted_->sets()[set];
    std::vector<at::Tensor> own;
    for (const int layer : layers) {
      const at::Tensor& scores = ofLayers[static_cast<std::size_t>(layer)];
      const bool isShared = (chooser_->isAlikeInHeads || counted_->units(set) == 1) && scores.size(1) > 1;
      own.push_back(isShared ? sharedScores(scores, 1) : scores);
    }
    const at::Tensor scores = own.size() == 1 ? own.front() : sharedScores(at::stack(own), 0).squeeze(0);
    const at::Tensor positions =
        looked.layers[static_cast<std::size_t>(layers.front())].positions.narrow(1, 0, scores.size(1));
    const at::Tensor isKept =
        positions.lt(isExempt(set) ? cache.tokens : sinks_).logical_or(positions.ge(cache.tokens - window_));
    all.push_back(scores.masked_fill(isKept, kInfinity).masked_fill(positions.lt(0), -kInfinity));
  }
  return all;
}

/// The tokens of the highest scores of all sets, as many as fit.
std::vector<at::Tensor> PolicyRun::highestOfAll(const std::vector<at::Tensor>& scores, const LiveCache& cache) const {
  const auto allowed = static_cast<std::int64_t>(share_ * static_cast<double>(counted_->full(cache.tokens)));
  std::vector<at::Tensor> flat, costs;
  for (std::size_t set = 0; set < scores.size(); ++set) {
    const at::Tensor& own = scores[set];
    flat.push_back(own.flatten(1));
    // What the last of many tokens adds.
    const std::int64_t many = cache.tokens - 1;
    const bool isAlike = own.size(1) < counted_->units(set);
    for (std::int64_t unit = 0; unit < own.size(1); ++unit) {
      const auto bytes = [&](std::int64_t tokens) {
        return isAlike ? counted_->ofSet(set, tokens, cache.tokens)
                       : counted_->ofUnit(set, static_cast<int>(unit), tokens, cache.tokens);
      };
      costs.push_back(at::full_like(own.select(1, unit).select(0, 0),
                                    static_cast<double>(bytes(many) - bytes(many - 1)), at::kDouble));
    }
  }
  const at::Tensor all = at::cat(flat, 1);
  const auto [sorted, order] = at::sort(all, /*stable=*/true, 1, /*descending=*/true);
  const at::Tensor taken =
      at::cat(costs).expand_as(all).gather(1, order).masked_fill(sorted.eq(-kInfinity), 0).cumsum(1);
  // Some tokens take more than the last of many would, such as the first ones of a plan: less is left for the others.
  at::Tensor left = at::full({all.size(0), 1}, static_cast<double>(allowed), taken.options());
  while (true) {
    const at::Tensor fits = taken.le(left).logical_and(sorted > -kInfinity);
    const at::Tensor stays = at::zeros(all.sizes(), fits.options()).scatter(1, order, fits);
    std::vector<at::Tensor> result, held;
    std::int64_t begin = 0;
    for (std::size_t set = 0; set < scores.size(); ++set) {
      result.push_back(stays.narrow(1, begin, flat[set].size(1)).view_as(scores[set]));
      held.push_back(result.back().sum(2).expand({-1, counted_->units(set)}));
      begin += flat[set].size(1);
    }
    const at::Tensor excess = (bytesOf(held, cache.tokens) - allowed).clamp_min(0);
    if (excess.max().item<std::int64_t>() == 0 || left.min().item<double>() <= 0) return result;
    left = left - excess.unsqueeze(1).to(left.options());
  }
}

Result<void> PolicyRun::evict(LiveCache& cache, const at::Tensor& ids, const Task& task) {
  KVISTA_ASSIGN(const std::vector<std::int64_t> tokens, tokensOfSets(cache.tokens));
  KVISTA_ASSIGN(const std::vector<at::Tensor> scores, scoresOf(cache, ids, task));
  std::vector<at::Tensor> stays;
  if (chooser_->scope == BudgetScope::cache &&
      std::ranges::any_of(tokens, [&](std::int64_t kept) { return kept < cache.tokens; }))
    stays = highestOfAll(scores, cache);
  else
    for (std::size_t set = 0; set < scores.size(); ++set)
      stays.push_back(ranksOf(scores[set]).lt(tokens[set]).logical_and(scores[set] > -kInfinity));
  for (std::size_t set = 0; set < stays.size(); ++set)
    for (const int layer : counted_->sets()[set]) {
      LiveLayer& held = cache.layers[static_cast<std::size_t>(layer)];
      keepPlaces(held, stays[set].expand_as(held.positions));
    }
  return {};
}

at::Tensor PolicyRun::bytesOf(const std::vector<at::Tensor>& held, std::int64_t read) const {
  const at::Tensor sum = at::zeros({held.front().size(0)}, at::kLong);
  auto* bytes = sum.mutable_data_ptr<std::int64_t>();
  for (std::size_t set = 0; set < held.size(); ++set) {
    const at::Tensor own = held[set].cpu();
    for (std::int64_t row = 0; row < sum.size(0); ++row)
      for (int unit = 0; unit < counted_->units(set); ++unit)
        bytes[row] += counted_->ofUnit(set, unit, own[row][unit].item<std::int64_t>(), read);
  }
  return sum;
}

at::Tensor PolicyRun::bytes(const LiveCache& cache) const {
  const std::int64_t fresh = storage_ ? cache.tokens - actedAt_ : 0;  // not yet held as the policy does
  std::vector<at::Tensor> held;
  std::int64_t freshBytes = 0;
  for (std::size_t set = 0; set < counted_->sets().size(); ++set) {
    const auto first = static_cast<std::size_t>(counted_->sets()[set].front());
    held.push_back(cache.layers[first].positions.ge(0).sum(2) - fresh);  // [b, kvHeads]
    for (int unit = 0; unit < counted_->units(set); ++unit) {
      const TokenBytes& token = counted_->token(set, unit);
      const std::int64_t exact = readsExact() ? fresh : 0;
      const std::int64_t firsts = std::clamp<std::int64_t>(token.exactTokens - actedAt_, 0, fresh - exact);
      freshBytes += exact * token.exact + firsts * token.first + (fresh - exact - firsts) * token.stored;
    }
  }
  return bytesOf(held, cache.tokens - fresh) + freshBytes + counted_->ofTokenNumbers(fresh);
}

void keepPlaces(LiveLayer& layer, const at::Tensor& stays) {
  const at::Tensor counts = stays.sum(2);
  const auto most = counts.max().item<std::int64_t>();
  if (most == layer.places() && counts.min().item<std::int64_t>() == most) return;
  // Those that stay come first, in their order.
  const at::Tensor goes = stays.logical_not().to(at::kByte);
  const at::Tensor order = std::get<1>(at::sort(goes, /*stable=*/true, 2, /*descending=*/false)).narrow(2, 0, most);
  const auto taken = [&](const at::Tensor& x) {
    return x.gather(2, order.unsqueeze(3).expand({-1, -1, -1, x.size(3)}));
  };
  layer.keys = taken(layer.keys);
  layer.values = taken(layer.values);
  if (layer.storedKeys.defined()) {
    layer.storedKeys = taken(layer.storedKeys);
    layer.storedValues = taken(layer.storedValues);
  }
  const at::Tensor isEmpty = at::arange(most, order.options()).ge(counts.unsqueeze(2));
  layer.positions = layer.positions.gather(2, order).masked_fill(isEmpty, -1);
}

}  // namespace kvista
