// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/policy_run.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "core/model/torch_guard.h"
#include "core/policy/attention_scores.h"

namespace kvista {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Named {
  const Policy* chooser = nullptr;
  const Policy* holder = nullptr;
};

/// "snapkv", "kivi" or "snapkv+fp8".
Result<Named> policiesNamed(const std::string& name) {
  Named found;
  const std::size_t plus = name.find('+');
  for (const std::string& part : plus == std::string::npos ? std::vector{name} : std::vector{name.substr(0, plus), name.substr(plus + 1)}) {
    KVISTA_ASSIGN(const Policy* policy, findPolicy(part));
    const Policy*& place = policy->makeScorer != nullptr ? found.chooser : found.holder;
    if (place != nullptr)
      return fail(ErrorCode::invalidArgument, fmt::format("{} and {} do not go together: both {}.", place->name, policy->name,
                                                          policy->makeScorer != nullptr ? "choose tokens" : "say how tokens are held"),
                  "Take one that chooses tokens and one that says how they are held, as in \"snapkv+fp8\".");
    place = policy;
  }
  if (found.chooser != nullptr && found.holder != nullptr && !found.holder->isTokenwise)
    return fail(ErrorCode::invalidArgument, fmt::format("{} holds tokens in blocks, of which {} cannot take some out.", found.holder->name, found.chooser->name),
                "Take one that holds each token by itself, such as fp8.");
  return found;
}

Result<void> checkPlan(const Policy& holder, const CompressionPlan* plan) {
  if (holder.needsPlan == (plan != nullptr)) return {};
  if (holder.needsPlan) return fail(ErrorCode::invalidArgument, fmt::format("The policy {} says which tokens a plan stores, and there is no plan.", holder.name), "Give a project or an export in place of the model.");
  return fail(ErrorCode::invalidArgument, fmt::format("The policy {} stores heads in its own way, and so does the plan.", holder.name), "Give the model as it is.");
}

struct Settings {
  PolicySettings chooser, holder;
};

/// Options of both: each takes those that it has, the chooser what neither has, to say so.
Result<Settings> settingsOf(const Named& named, const PolicyRequest& request) {
  const auto optionsOf = [](const Policy* policy) { return policy != nullptr ? policy->allOptions() : std::vector<PolicyOption>{}; };
  const std::vector<PolicyOption> holders = optionsOf(named.holder);
  std::map<std::string, std::string> ofHolder, ofChooser;
  for (const auto& [name, value] : request.options)
    (named.chooser == nullptr || std::ranges::find(holders, name, &PolicyOption::name) != holders.end() ? ofHolder : ofChooser)[name] = value;
  Settings settings;
  if (named.chooser != nullptr) {
    KVISTA_ASSIGN(settings.chooser, PolicySettings::of(named.chooser->name, named.chooser->allOptions(), ofChooser));
  }
  if (named.holder != nullptr) {
    KVISTA_ASSIGN(settings.holder, PolicySettings::of(named.holder->name, holders, ofHolder));
  }
  return settings;
}

/// The mean over heads, [b, 1, s], of those that have any use for a token; -infinity where none has.
at::Tensor sharedScores(const at::Tensor& scores) {
  const at::Tensor isWanted = scores > -kInfinity, count = isWanted.sum(1, /*keepdim=*/true);
  return (scores.masked_fill(isWanted.logical_not(), 0).sum(1, /*keepdim=*/true) / count.clamp_min(1)).masked_fill(count.eq(0), -kInfinity);
}

std::int64_t bytesOfAll(const CacheBytes& counted, std::int64_t tokens) {
  std::int64_t bytes = 0;
  for (int layer = 0; layer < counted.layers(); ++layer) bytes += counted.ofLayer(layer, tokens, tokens);
  return bytes;
}

}  // namespace

Result<PolicyRun> PolicyRun::begin(const Decoder& decoder, const CompressionPlan* plan, const PolicyRequest& request, std::int64_t tokens) {
  if (!(request.share > 0 && request.share <= 1))
    return fail(ErrorCode::invalidArgument, fmt::format("A policy's share is {}, but must be above 0 and at most 1.", request.share));
  KVISTA_ASSIGN(const Named named, policiesNamed(request.policy));
  if (named.holder != nullptr) KVISTA_CHECK(checkPlan(*named.holder, plan));
  KVISTA_ASSIGN(const Settings settings, settingsOf(named, request));

  PolicyRun run;
  run.decoder_ = &decoder;
  run.chooser_ = named.chooser;
  run.holder_ = named.holder;
  run.share_ = request.share;
  if (named.chooser != nullptr) {
    run.scorer_ = named.chooser->makeScorer(settings.chooser);
    run.sinks_ = std::max<std::int64_t>(settings.chooser.count("sinks"), plan != nullptr ? plan->exactTokens : 0);
    run.window_ = settings.chooser.count("window");
    run.exempt_ = std::min<std::int64_t>(settings.chooser.count("exempt"), decoder.shape().layers);
  }
  const auto counting = [&] { run.counted_ = std::make_unique<CacheBytes>(decoder.description(), plan, run.storage_.get()); };
  if (named.holder == nullptr) {
    counting();
    if (named.chooser == nullptr) return fail(ErrorCode::invalidArgument, "No policy was named.");
    return run;
  }
  run.storage_ = named.holder->makeStorage(settings.holder, decoder.shape());
  counting();
  const std::string tuned(named.holder->tuned);
  if (named.chooser != nullptr) return run;  // fewer tokens, not fewer bits, make the budget
  const std::int64_t allowed = static_cast<std::int64_t>(request.share * static_cast<double>(run.counted_->full(tokens)));
  if (!tuned.empty() && request.share < 1 && !request.options.contains(tuned)) {
    for (const double choice : named.holder->choices(decoder.shape())) {
      std::map<std::string, std::string> options = request.options;
      options[tuned] = fmt::format("{}", choice);
      KVISTA_ASSIGN(const PolicySettings chosen, PolicySettings::of(named.holder->name, named.holder->allOptions(), options));
      run.storage_ = named.holder->makeStorage(chosen, decoder.shape());
      counting();
      if (bytesOfAll(*run.counted_, tokens) <= allowed) return run;
    }
  }
  if (const std::int64_t least = bytesOfAll(*run.counted_, tokens); least > allowed)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The policy {} needs {:.4f} of the 16-bit cache for {} tokens, and {} was allowed.", named.holder->name,
                            static_cast<double>(least) / static_cast<double>(run.counted_->full(tokens)), tokens, request.share),
                "Allow more, take longer windows, or put a policy before it that chooses tokens, as in \"snapkv+fp8\".");
  return run;
}

LiveCache PolicyRun::makeCache() const {
  LiveCache cache;
  cache.queryWindow = std::max(scorer_ ? scorer_->queries() : 0, storage_ ? storage_->queries() : 0);
  cache.keepsExact = holder_ != nullptr && holder_->needsPlan;
  return cache;
}

Result<void> PolicyRun::act(LiveCache& cache, const at::Tensor& ids, const Task& task) {
  return guardTorch("The policy", [&]() -> Result<void> {
    if (scorer_) KVISTA_CHECK(evict(cache, ids, task));
    actedAt_ = cache.tokens;
    for (int layer = 0; storage_ && layer < static_cast<int>(cache.layers.size()); ++layer) {
      KVISTA_CHECK(task.checkStop());
      LiveLayer& held = cache.layers[static_cast<std::size_t>(layer)];
      const LiveLayer before = held;
      KVISTA_CHECK(storage_->store({*decoder_, layer, before, cache.tokens}, held));
    }
    return {};
  });
}

Result<std::vector<std::int64_t>> PolicyRun::tokensOfLayers(std::int64_t read) const {
  const int layers = counted_->layers();
  const auto allowed = static_cast<std::int64_t>(share_ * static_cast<double>(counted_->full(read)));
  const auto kept = [&](int layer, std::int64_t tokens) { return layer < exempt_ ? read : tokens; };
  const auto bytes = [&](std::int64_t tokens) {
    std::int64_t sum = 0;
    for (int layer = 0; layer < layers; ++layer) sum += counted_->ofLayer(layer, kept(layer, tokens), read);
    return sum;
  };
  std::vector<std::int64_t> result(static_cast<std::size_t>(layers), read);
  if (bytes(read) <= allowed) return result;
  std::int64_t fits = -1, tooMany = read;  // bytes(fits) <= allowed < bytes(tooMany)
  while (tooMany - fits > 1) {
    const std::int64_t middle = fits + (tooMany - fits) / 2;
    (bytes(middle) <= allowed ? fits : tooMany) = middle;
  }
  const std::int64_t always = std::min(read, sinks_ + window_);
  if (fits < std::max<std::int64_t>(always, 1)) {
    const std::string exempt = exempt_ > 0 ? fmt::format(", while the first {} of {} layers keep all", exempt_, layers) : "";
    return fail(ErrorCode::invalidArgument,
                fmt::format("At a share of {} the policy {} can keep {} of {} tokens{}, fewer than the {} first and {} last ones that always stay.", share_,
                            chooser_->name, std::max<std::int64_t>(fits, 0), read, exempt, sinks_, window_),
                "Allow more, take a longer prompt, or lower its options sinks, window or exempt.");
  }
  std::int64_t left = allowed - bytes(fits);
  for (int layer = 0; layer < layers; ++layer) {
    result[static_cast<std::size_t>(layer)] = kept(layer, fits);
    const std::int64_t more = counted_->ofLayer(layer, kept(layer, std::min(read, fits + 1)), read) - counted_->ofLayer(layer, kept(layer, fits), read);
    if (layer < exempt_ || more <= 0 || more > left) continue;
    left -= more;  // one token more while the bytes last
    ++result[static_cast<std::size_t>(layer)];
  }
  return result;
}

Result<std::vector<at::Tensor>> PolicyRun::scoresOf(LiveCache& cache, const at::Tensor& ids, const Task& task) {
  KVISTA_CHECK(scorer_->prepare(*decoder_, cache, ids, task));
  std::vector<at::Tensor> all;
  for (int layer = 0; layer < counted_->layers(); ++layer) {
    KVISTA_CHECK(task.checkStop());
    const LiveLayer& held = cache.layers[static_cast<std::size_t>(layer)];
    KVISTA_ASSIGN(at::Tensor scores, scorer_->score({*decoder_, layer, held, cache.tokens}));
    at::Tensor positions = held.positions;
    if ((chooser_->isAlikeInHeads || counted_->units(layer) == 1) && scores.size(1) > 1) scores = sharedScores(scores);
    if (scores.size(1) < positions.size(1)) positions = positions.narrow(1, 0, scores.size(1));
    const at::Tensor isKept = positions.lt(sinks_).logical_or(positions.ge(cache.tokens - window_));
    scores = scores.masked_fill(isKept, kInfinity).masked_fill(positions.lt(0), -kInfinity);
    all.push_back(std::move(scores));
  }
  return all;
}

/// The tokens of the highest scores of all layers, as many as fit.
std::vector<at::Tensor> PolicyRun::highestOfAll(const std::vector<at::Tensor>& scores, const LiveCache& cache) const {
  const auto allowed = static_cast<std::int64_t>(share_ * static_cast<double>(counted_->full(cache.tokens)));
  std::vector<at::Tensor> flat, costs;
  for (int layer = 0; layer < counted_->layers(); ++layer) {
    const at::Tensor& own = scores[static_cast<std::size_t>(layer)];
    flat.push_back((layer < exempt_ ? own.masked_fill(own > -kInfinity, kInfinity) : own).flatten(1));
    // What the last of many tokens adds.
    const std::int64_t many = cache.tokens - 1;
    const bool isAlike = own.size(1) < counted_->units(layer);
    for (std::int64_t unit = 0; unit < own.size(1); ++unit) {
      const auto bytes = [&](std::int64_t tokens) {
        return isAlike ? counted_->ofLayer(layer, tokens, cache.tokens) : counted_->ofUnit(layer, static_cast<int>(unit), tokens, cache.tokens);
      };
      costs.push_back(at::full_like(own.select(1, unit).select(0, 0), static_cast<double>(bytes(many) - bytes(many - 1)), at::kDouble));
    }
  }
  const at::Tensor all = at::cat(flat, 1);
  const auto [sorted, order] = at::sort(all, /*stable=*/true, 1, /*descending=*/true);
  const at::Tensor taken = at::cat(costs).expand_as(all).gather(1, order).masked_fill(sorted.eq(-kInfinity), 0).cumsum(1);
  // Some tokens take more than the last of many would, such as the first ones of a plan: less is left for the others.
  at::Tensor left = at::full({all.size(0), 1}, static_cast<double>(allowed), taken.options());
  while (true) {
    const at::Tensor fits = taken.le(left).logical_and(sorted > -kInfinity);
    const at::Tensor stays = at::zeros(all.sizes(), fits.options()).scatter(1, order, fits);
    std::vector<at::Tensor> result, held;
    std::int64_t begin = 0;
    for (std::size_t layer = 0; layer < scores.size(); ++layer) {
      result.push_back(stays.narrow(1, begin, flat[layer].size(1)).view_as(scores[layer]));
      held.push_back(result.back().sum(2).expand({-1, counted_->units(static_cast<int>(layer))}));
      begin += flat[layer].size(1);
    }
    const at::Tensor excess = (bytesOf(held, cache.tokens) - allowed).clamp_min(0);
    if (excess.max().item<std::int64_t>() == 0 || left.min().item<double>() <= 0) return result;
    left = left - excess.unsqueeze(1).to(left.options());
  }
}

Result<void> PolicyRun::evict(LiveCache& cache, const at::Tensor& ids, const Task& task) {
  KVISTA_ASSIGN(const std::vector<std::int64_t> tokens, tokensOfLayers(cache.tokens));
  KVISTA_ASSIGN(const std::vector<at::Tensor> scores, scoresOf(cache, ids, task));
  const bool ofAll = chooser_->scope == BudgetScope::cache;
  std::vector<at::Tensor> stays;
  if (ofAll && tokens.back() < cache.tokens) stays = highestOfAll(scores, cache);
  for (std::size_t layer = 0; layer < scores.size(); ++layer) {
    const at::Tensor ownStays = !stays.empty() ? stays[layer] : ranksOf(scores[layer]).lt(tokens[layer]).logical_and(scores[layer] > -kInfinity);
    keepPlaces(cache.layers[layer], ownStays.expand_as(cache.layers[layer].positions));
  }
  return {};
}

at::Tensor PolicyRun::bytesOf(const std::vector<at::Tensor>& held, std::int64_t read) const {
  const at::Tensor sum = at::zeros({held.front().size(0)}, at::kLong);
  auto* bytes = sum.mutable_data_ptr<std::int64_t>();
  for (int layer = 0; layer < counted_->layers(); ++layer) {
    const at::Tensor own = held[static_cast<std::size_t>(layer)].cpu();
    for (std::int64_t row = 0; row < sum.size(0); ++row)
      for (int unit = 0; unit < counted_->units(layer); ++unit) bytes[row] += counted_->ofUnit(layer, unit, own[row][unit].item<std::int64_t>(), read);
  }
  return sum;
}

at::Tensor PolicyRun::bytes(const LiveCache& cache) const {
  const std::int64_t fresh = storage_ ? cache.tokens - actedAt_ : 0;  // at 16 bits until the policy acts again
  std::vector<at::Tensor> held;
  std::int64_t freshBytes = 0;
  for (int layer = 0; layer < counted_->layers(); ++layer) {
    held.push_back(cache.layers[static_cast<std::size_t>(layer)].positions.ge(0).sum(2) - fresh);  // [b, kvHeads]
    for (int unit = 0; unit < counted_->units(layer); ++unit) freshBytes += fresh * counted_->token(layer, unit).exact;
  }
  return bytesOf(held, cache.tokens - fresh) + freshBytes;
}

void keepPlaces(LiveLayer& layer, const at::Tensor& stays) {
  const at::Tensor counts = stays.sum(2);
  const auto most = counts.max().item<std::int64_t>();
  if (most == layer.places() && counts.min().item<std::int64_t>() == most) return;
  // Those that stay come first, in their order.
  const at::Tensor order = std::get<1>(at::sort(stays.logical_not().to(at::kByte), /*stable=*/true, 2, /*descending=*/false)).narrow(2, 0, most);
  const auto taken = [&](const at::Tensor& x) { return x.gather(2, order.unsqueeze(3).expand({-1, -1, -1, x.size(3)})); };
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
