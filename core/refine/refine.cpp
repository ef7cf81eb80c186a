// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/refine/refine.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <utility>

#include "core/compress/plan_transform.h"
#include "core/model/torch_guard.h"
#include "core/refine/refine_state.h"
#include "core/refine/trainable_factors.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLooksAtHeldOut = 12;  ///< Over the whole run.
/// Looks in the second half without anything better, after which there is no more to come; before, the rate is too high
/// to tell.
constexpr int kPatience = 4;
constexpr double kSmallestPart = 0.25;  ///< Of a group's rank, where ranks are drawn.

/// Some of the windows of one step: all of them in an order of its own a round, so that a step depends on the seed and
/// its number.
at::Tensor windowsOfStep(const at::Tensor& windows, const RefineRequest& request, int step, const Share& some) {
  const std::int64_t count = windows.size(0);
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = some.begin; i < some.end(); ++i) {
    const std::int64_t position = std::int64_t{step} * request.windowsPerStep + i;
    std::vector<std::int64_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::mt19937_64 random(request.seed * 1'000'003 + static_cast<std::uint64_t>(position / count));
    for (std::size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[random() % k]);
    chosen.push_back(order[static_cast<std::size_t>(position % count)]);
  }
  return windows.index_select(0, at::tensor(chosen, at::kLong));
}

double partOfStep(const RefineRequest& request, int step) {
  std::mt19937_64 random(request.seed * 7'368'787 + static_cast<std::uint64_t>(step));
  return kSmallestPart + (1 - kSmallestPart) * static_cast<double>(random() >> 11) * 0x1.0p-53;
}

/// `gone`: part of the run that is behind, 0 to 1.
double rateAt(const RefineRequest& request, int step, double gone) {
  const double warm = std::min(1.0, (step + 1.0) / std::max(1, request.warmUpSteps));
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(gone, 0.0, 1.0)));
  return request.rate * warm * (request.finalRate + (1 - request.finalRate) * cosine);
}

Result<std::vector<double>> sumOf(const std::vector<double>& numbers, const ProcessGroup& processes, const Task& task) {
  const at::Tensor sums = at::tensor(numbers, at::kDouble);
  KVISTA_CHECK(processes.sum(sums, task));
  const auto* values = sums.const_data_ptr<double>();
  return std::vector<double>(values, values + sums.numel());
}

Result<double> heldOutDivergence(const Decoder& decoder, const CompressionPlan& plan, const PlanFactors& factors,
                                 const at::Tensor& heldOut, int windowsAtOnce, const Task& task,
                                 const ProcessGroup& processes) {
  const PlanTransform student(plan, factors, decoder.shape(), decoder.options().device);
  double sum = 0;
  const Share own = processes.shareOf(heldOut.size(0));
  for (std::int64_t begin = own.begin; begin < own.end(); begin += windowsAtOnce) {
    const std::int64_t count = std::min<std::int64_t>(windowsAtOnce, own.end() - begin);
    KVISTA_ASSIGN(const double mean, decoder.divergence(heldOut.narrow(0, begin, count), student, task));
    sum += mean * static_cast<double>(count);
  }
  KVISTA_ASSIGN(const std::vector<double> all, sumOf({sum}, processes, task));
  return all[0] / static_cast<double>(heldOut.size(0));
}

Result<void> check(const CompressionPlan& plan, const PlanFactors& factors, const at::Tensor& windows,
                   const at::Tensor& heldOut) {
  const bool nothing = std::ranges::all_of(factors, [](const GroupFactors& group) { return group.isIdentity(); });
  if (plan.storage == Storage::plainQuantised || nothing)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The plan (method {}) has no factors that could be refined.", plan.method),
                "Refine a plan that stores latents, such as those of coded-joint or joint.");
  if (!plan.sharedFrom.empty())
    return fail(ErrorCode::invalidArgument,
                "Layers of the plan read another layer's cache; their factors cannot be refined.",
                "Refine a plan whose layers have their own caches.");
  if (windows.size(0) < 1 || heldOut.size(0) < 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("Refining needs windows to train on and windows held out; there are {} and {}.",
                            windows.size(0), heldOut.size(0)),
                "Give more text, or a smaller --window.");
  return {};
}

}  // namespace

std::int64_t heldOutWindows(std::int64_t windows, std::int64_t window) {
  return std::max<std::int64_t>(1, std::min(windows / 8, 32768 / window));
}

Result<RefineResult> refine(const Decoder& decoder, const CompressionPlan& plan, const PlanFactors& factors,
                            const at::Tensor& windows, const at::Tensor& heldOut, const RefineRequest& request,
                            const std::function<void(const RefinePoint&)>& watch, const Task& task,
                            const ProcessGroup& processes) {
  KVISTA_CHECK(check(plan, factors, windows, heldOut));
  TrainableFactors trained(factors, decoder.options().device);
  RefineState state;
  state.best = factors;
  const bool keeps = processes.isFirst() && !request.partialFile.empty();
  if (keeps) restore(state, trained, request.partialFile, request.key);
  KVISTA_CHECK(share(state, trained, processes, task));
  const Share own = processes.shareOf(request.windowsPerStep);
  const double weight = static_cast<double>(own.count) / request.windowsPerStep;

  const auto start = Clock::now();
  const double secondsBefore = state.seconds;
  auto lastSave = start;
  std::string ended = "all steps are done";
  const auto gone = [&] {
    return request.minutes ? state.seconds / (60 * *request.minutes) : static_cast<double>(state.steps) / request.steps;
  };
  const int lookEvery = std::max(1, request.steps / kLooksAtHeldOut);
  const auto look = [&]() -> Result<std::optional<double>> {
    KVISTA_ASSIGN(const double loss, heldOutDivergence(decoder, plan, trained.factors(), heldOut,
                                                       request.windowsPerStep, task, processes));
    if (state.steps == 0) state.before = state.after = loss;
    if (loss < state.after) {
      state.after = loss;
      state.bestStep = state.steps;
      state.best = trained.detached();
      state.looksSinceBest = 0;
    } else if (gone() > 0.5) {
      ++state.looksSinceBest;
    }
    return loss;
  };

  std::optional<double> last;
  const auto run = [&]() -> Result<void> {
    while (gone() < 1) {
      KVISTA_CHECK(task.checkStop());
      KVISTA_CHECK(processes.check());
      if (request.minutes) {
        task.progress("refine", static_cast<std::uint64_t>(state.seconds),
                      static_cast<std::uint64_t>(60 * *request.minutes), "seconds");
      } else {
        task.progress("refine", static_cast<std::uint64_t>(state.steps), static_cast<std::uint64_t>(request.steps),
                      "steps");
      }
      RefinePoint point;
      if (state.steps % lookEvery == 0) {
        KVISTA_ASSIGN(point.heldOut, look());
        if (state.looksSinceBest >= kPatience) {
          ended = fmt::format("the held-out windows got no better for {} steps", state.looksSinceBest * lookEvery);
          break;
        }
      }
      trained.clearGradients();
      const PlanFactors used =
          request.nested ? trained.firstDirections(partOfStep(request, state.steps)) : trained.factors();
      PlanTransform student(plan, used, decoder.shape(), decoder.options().device);
      student.followGradients();
      if (own.count > 0) {
        KVISTA_ASSIGN(point.training, decoder.distil(windowsOfStep(windows, request, state.steps, own), student, task));
      }
      // The first one's clock is everyone's, lest one thinks that the time is over and another does not.
      const double seconds = secondsBefore + std::chrono::duration<double>(Clock::now() - start).count();
      KVISTA_ASSIGN(const std::vector<double> all,
                    sumOf({weight * point.training, processes.isFirst() ? seconds : 0}, processes, task));
      point.training = all[0];
      state.seconds = all[1];
      if (!std::isfinite(point.training)) {
        ended = fmt::format("the loss was no finite number in step {}", state.steps + 1);
        break;
      }
      KVISTA_CHECK(trained.addGradients(weight, processes, task));
      KVISTA_CHECK(guardTorch("The step of the optimiser", [&]() -> Result<void> {
        trained.step(rateAt(request, state.steps, gone()), request.largestGradient);
        return {};
      }));
      ++state.steps;
      point.step = state.steps;
      state.curve.push_back(point);
      if (watch) watch(point);
      if (keeps && Clock::now() - lastSave >= std::chrono::seconds(request.saveEverySeconds)) {
        KVISTA_CHECK(save(state, trained, request.partialFile, request.key));
        lastSave = Clock::now();
      }
    }
    if (request.minutes && gone() >= 1) ended = "the time is over";
    KVISTA_ASSIGN(last, look());
    return {};
  };
  if (const auto ran = run(); !ran) {
    const bool isStopped = ran.error().code == ErrorCode::cancelled;
    // Of several processes the one that is stopped cannot know whether the others are, and ends as if it had failed.
    if (!isStopped || !request.keepsBestWhenStopped || state.bestStep == 0 || !processes.isAlone())
      return tl::unexpected(ran.error());
    ended = "it was stopped";
  }
  if (watch) watch({state.steps, state.curve.empty() ? 0 : state.curve.back().training, last});
  if (!processes.isAlone()) {
    for (GroupFactors& group : state.best) {
      if (group.isIdentity()) continue;
      for (const auto& [name, tensor] : kFactorTensors) {
        if (!(group.*tensor).defined()) continue;
        group.*tensor = (group.*tensor).clone();  // those given may be the caller's
        KVISTA_CHECK(processes.broadcast(group.*tensor, 0, task));
      }
    }
  }
  if (keeps) {
    std::error_code ignored;  // a file that was never written is nothing to complain about
    std::filesystem::remove(request.partialFile, ignored);
  }
  return RefineResult{std::move(state.best), std::move(state.curve), state.before, state.after,
                      state.steps,           state.bestStep,         ended,        state.seconds};
}

}  // namespace kvista
