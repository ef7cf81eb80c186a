// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/experiment/trial.h"

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/base/amount.h"
#include "core/compress/method.h"
#include "core/engine/analysis.h"
#include "core/engine/experiment/trained.h"
#include "core/evaluate/measure_policy.h"
#include "core/evaluate/perplexity.h"
#include "core/io/file_hash.h"
#include "core/policy/named_policies.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Leaves every token where it is.
PolicyRequest keepingAll(const ExperimentSweep& sweep) {
  return {"streaming-llm", {}, 1, sweep.prompt, sweep.interval};
}

/// The share of a plan whose first tokens stay exact that makes `share` of a window's bytes, all of them counted as
/// policies' are.
double shareBehindExact(const PlanWish& wish, double share, std::int64_t window) {
  const auto method = findMethod(wish.method);
  const double exact = method ? static_cast<double>((*method)->exactTokens) / static_cast<double>(window) : 0;
  return share > exact ? (share - exact) / (1 - exact) : share;
}

/// Of a policy that says which tokens a plan stores, and chooses none; null for others.
std::unique_ptr<CacheStorage> storageOnPlan(const PolicyRequest& request, const ModelShape& shape) {
  const auto named = policiesNamed(request.policy);
  if (!named || named->chooser != nullptr || !named->holder->needsPlan) return nullptr;
  const auto settings = settingsOf(*named, request);
  return settings ? named->holder->makeStorage(settings->holder, shape) : nullptr;
}

/// The share of a plan with which such a policy, when it acts last, makes the share that it is asked for: the whole is
/// linear in what a token of the plan takes. Where the policy leaves the plan nothing, that share itself: the policy
/// then says what it needs.
double shareUnder(const CacheStorage& storage, const PlanWish& wish, const PolicyRequest& request,
                  std::int64_t window) {
  const auto method = findMethod(wish.method);
  const auto schedule = scheduleOf(request, window);
  if (!method || !schedule) return request.share;
  constexpr std::int64_t kExact = 1 << 20;  // What a token takes at 16 bits, in parts so fine that rounding is nothing.
  const auto bytes = [&](std::int64_t stored) {
    const TokenBytes token{.exact = kExact, .stored = stored, .first = kExact, .exactTokens = (*method)->exactTokens};
    return static_cast<double>(storage.bytes(token, schedule->lastAct()));
  };
  const double allowed = request.share * static_cast<double>(kExact * schedule->lastAct()), least = bytes(0),
               most = bytes(kExact);
  return allowed > least && most > least ? std::min(1.0, (allowed - least) / (most - least)) : request.share;
}

/// The policy with its file, which is made if it is not there yet, and the model that it is for.
Result<PolicyRequest> withFile(PolicyRequest request, const ExperimentSubject& subject, const Task& task) {
  request.model = subject.modelHash;
  for (auto& [name, value] : request.options)
    if (value == kTrained) {
      KVISTA_ASSIGN(const std::filesystem::path file, trainedFile(*predictorOf(request.policy), subject, task));
      value = file.string();
    }
  return request;
}

/// What an experiment trained can be made again where its file is damaged.
Error trainedAnew(Error error) {
  if (error.code == ErrorCode::corruptFile) error.message += " Remove that file, and it is trained anew.";
  return error;
}

/// Files by what they hold: a path says nothing of that. What cannot be read stays as it is, and fails when it is
/// measured.
std::map<std::string, std::string> optionsByContent(const PolicyRequest& request) {
  std::map<std::string, std::string> options = request.options;
  const auto named = policiesNamed(request.policy);
  if (!named) return options;
  for (const Policy* policy : {named->chooser, named->holder})
    for (const PolicyOption& option : policy != nullptr ? policy->options : std::vector<PolicyOption>{}) {
      if (!option.isFile) continue;
      for (const std::string& name : {std::string(option.name), fmt::format("{}.{}", policy->name, option.name)}) {
        const auto asked = options.find(name);
        if (asked == options.end() || asked->second == kTrained) continue;
        if (const auto hash = fileHash(asked->second)) asked->second = *hash;
      }
    }
  return options;
}

nlohmann::json toJson(const RefineRequest& request) {
  return {{"steps", request.steps},
          {"windowsPerStep", request.windowsPerStep},
          {"rate", request.rate},
          {"seed", request.seed},
          {"nested", request.nested}};
}

nlohmann::json toJson(const PolicyRequest& request) {
  return {{"policy", request.policy},
          {"options", optionsByContent(request)},
          {"share", request.share},
          {"prompt", request.prompt},
          {"interval", request.interval}};
}

/// Why a policy's share at a window's end is not the one asked for; empty where it is.
std::string noteOf(const PolicyRequest& request, const PolicyMeasurement& result, std::int64_t window) {
  if (request.interval > 0 || request.share >= 1 || result.shareAtEnd() <= request.share) return {};
  return fmt::format(
      "The policy acts once, behind the prompt of {}, and keeps to the share there; the {} that follow stay. With an "
      "interval it keeps to it at the window's end.",
      amount(result.prompt, "token"), window - result.prompt);
}

}  // namespace

Trial trialOfOriginal(const ExperimentSweep& sweep) {
  Trial trial;
  if (sweep.isRead()) trial.policy = keepingAll(sweep);
  return trial;
}

Trial trialAt(const ExperimentSweep& sweep, const ExperimentSystem& system, std::size_t index,
              const ExperimentSubject& subject) {
  Trial trial{system.plan, system.refine, system.policy};
  const double value = sweep.values[index];
  if (trial.policy)
    trial.policy = PolicyRequest{trial.policy->policy, trial.policy->options, value, sweep.prompt, sweep.interval};
  if (!system.planShares.empty()) {
    trial.plan->target = {Target::Kind::share, system.planShares[index]};
  } else if (trial.plan && !system.hasOwnTarget) {
    trial.plan->target = {sweep.unit, value};
    const auto storage = trial.policy ? storageOnPlan(*trial.policy, subject.decoder.shape()) : nullptr;
    if (storage)
      trial.plan->target.value = shareUnder(*storage, *trial.plan, *trial.policy, subject.window());
    else if (sweep.isRead() && sweep.unit == Target::Kind::share)
      trial.plan->target.value = shareBehindExact(*trial.plan, value, subject.window());
  }
  if (sweep.isRead() && !trial.policy) trial.policy = keepingAll(sweep);
  return trial;
}

std::optional<PredictorKind> trainedPredictor(const Trial& trial) {
  if (!trial.policy ||
      std::ranges::none_of(trial.policy->options, [](const auto& option) { return option.second == kTrained; }))
    return std::nullopt;
  return predictorOf(trial.policy->policy);
}

std::string keyOf(const Trial& trial, const ExperimentSubject& subject, const ExperimentText& text) {
  nlohmann::json of = {{"model", subject.modelHash},
                       {"text", text.windows.hash},
                       {"version", subject.version},
                       {"dtype", c10::toString(subject.decoder.options().dtype)}};
  if (trial.plan) of["plan"] = toJson(*trial.plan);
  if (trial.refine) of["refine"] = toJson(*trial.refine);
  if (trial.plan || trainedPredictor(trial)) of["calibration"] = subject.statistics.tokensHash;
  if (trial.policy) of["policy"] = toJson(*trial.policy);
  return of.dump();
}

Result<MadePlan> makePlanOf(const Trial& trial, const ExperimentSubject& subject, const Task& task) {
  const auto start = Clock::now();
  PlanRequest request = requestOf(*trial.plan);
  request.keepBases = true;
  KVISTA_ASSIGN(PlanWithSpectra made, makePlan(subject.decoder, &subject.statistics, request, task));
  KVISTA_ASSIGN(PlanFactors factors, makeFactors(subject.decoder, &subject.statistics, made, task));
  if (trial.refine) {
    KVISTA_ASSIGN(
        factors,
        refinedFactors(made.planned.plan, std::move(factors), *trial.refine, subject, task).map_error(trainedAnew));
  }
  MadePlan plan{std::move(made.planned), nullptr, 0};
  plan.transform = std::make_unique<PlanTransform>(plan.planned.plan, factors, subject.decoder.shape(),
                                                   subject.decoder.options().device);
  plan.seconds = secondsSince(start);
  return plan;
}

Result<ExperimentRow::Figures> measured(const Trial& trial, const MadePlan* plan, const ExperimentSubject& subject,
                                        const ExperimentText& text, const Task& task) {
  const Decoder& decoder = subject.decoder;
  const PlanTransform* transform = plan ? plan->transform.get() : nullptr;
  const CompressionPlan* stored = plan ? &plan->planned.plan : nullptr;
  ExperimentRow::Figures figures;
  if (trial.policy) {
    KVISTA_ASSIGN(const PolicyRequest request, withFile(*trial.policy, subject, task));
    const auto measurement = measurePolicy(decoder, text.windows.ids, transform, request, task);
    KVISTA_ASSIGN(const PolicyMeasurement result,
                  trainedPredictor(trial) ? measurement.map_error(trainedAnew) : measurement);
    figures.loss = result.behindPrompt.meanLoss;
    figures.predictions = result.behindPrompt.predictions;
    figures.windowLosses = result.behindPrompt.windowLosses;
    figures.share = result.shareAtEnd();
    figures.bytesPerToken = std::llround(result.bytesAtEnd / static_cast<double>(text.windows.ids.size(1)));
    figures.seconds = result.all.seconds;
    figures.note = noteOf(request, result, text.windows.ids.size(1));
  } else {
    KVISTA_ASSIGN(const Perplexity result, measurePerplexity(decoder, text.windows.ids, transform, "evaluate", task));
    figures.loss = result.meanLoss;
    figures.predictions = result.predictions;
    figures.windowLosses = result.windowLosses;
    figures.share = stored ? share(*stored, decoder.shape()) : 1;
    figures.bytesPerToken = stored ? bytesPerToken(*stored) : decoder.shape().cacheBytesPerToken();
    figures.seconds = result.seconds;
  }
  if (!plan) return figures;
  if (!trial.policy && !trial.refine) figures.predictedRise = plan->planned.loss();
  figures.seconds += plan->seconds;
  if (!plan->planned.note.empty()) figures.note += (figures.note.empty() ? "" : " ") + plan->planned.note;
  return figures;
}

}  // namespace kvista
