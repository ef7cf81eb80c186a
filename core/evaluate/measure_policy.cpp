// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/measure_policy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "core/base/amount.h"
#include "core/model/device.h"
#include "core/model/live_cache.h"
#include "core/policy/policy_run.h"

namespace kvista {
namespace {

constexpr std::int64_t kPart = 256;  // tokens that are read together where the policy asks for no fewer

/// What is known of each window, columns of float64 [windows, 5].
enum Column : std::int64_t { kAllLoss, kBehindLoss, kBytesAtEnd, kBytesAtMost, kTokensKept, kColumns };

/// All windows of `ids` at once.
Result<at::Tensor> measureBatch(const Decoder& decoder, const at::Tensor& ids, const PlanTransform* transform,
                                const PolicyRequest& request, const PolicySchedule& schedule, const Task& task) {
  KVISTA_ASSIGN(PolicyRun run, PolicyRun::begin(decoder, transform, request, schedule.lastAct()));
  LiveCache cache = run.makeCache();
  cache.sequenceLength = schedule.tokens;
  std::vector<at::Tensor> hidden;
  const auto readTo = [&](std::int64_t end) -> Result<void> {
    while (cache.tokens < end) {
      KVISTA_ASSIGN(at::Tensor part,
                    run.read(ids.narrow(1, cache.tokens, std::min(kPart, end - cache.tokens)), cache, task));
      hidden.push_back(std::move(part));
    }
    return {};
  };
  at::Tensor most = at::zeros({ids.size(0)}, at::kLong);
  std::int64_t end = schedule.prompt;
  while (true) {
    KVISTA_CHECK(readTo(end));
    if (end > schedule.prompt) most = at::maximum(most, run.bytes(cache));
    if (end == schedule.prompt || schedule.interval > 0) KVISTA_CHECK(run.act(cache, ids.narrow(1, 0, end), task));
    most = at::maximum(most, run.bytes(cache));
    if (end == schedule.tokens) break;
    end = schedule.interval > 0 ? std::min(schedule.tokens, end + schedule.interval) : schedule.tokens;
  }
  KVISTA_ASSIGN(const at::Tensor losses, decoder.lossesBehind(at::cat(hidden, 1), ids, task));
  const at::Tensor each = losses.to(at::kDouble).cpu();
  std::vector<at::Tensor> kept;
  for (const LiveLayer& layer : cache.layers)
    kept.push_back(layer.positions.ge(0).to(at::kDouble).sum(2).mean(1).cpu());
  const std::int64_t behind = schedule.tokens - 1 - schedule.prompt;
  return at::stack({each.sum(1), each.narrow(1, schedule.prompt, behind).sum(1), run.bytes(cache).to(at::kDouble),
                    most.to(at::kDouble), at::stack(kept).mean(0)},
                   1);
}

Perplexity perplexityOf(const at::Tensor& sums, std::int64_t predictions, double seconds) {
  Perplexity result;
  result.predictions = sums.size(0) * predictions;
  result.meanLoss = sums.sum().item<double>() / static_cast<double>(result.predictions);
  const at::Tensor means = (sums / static_cast<double>(predictions)).contiguous();
  const auto* values = means.const_data_ptr<double>();
  result.windowLosses.assign(values, values + means.numel());
  result.seconds = seconds;
  return result;
}

}  // namespace

Result<PolicySchedule> scheduleOf(const PolicyRequest& request, std::int64_t tokens) {
  if (request.prompt < 0 || request.interval < 0)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A policy's prompt and interval are {} and {}, but must be at least 0.", request.prompt,
                            request.interval));
  const PolicySchedule schedule{request.prompt > 0 ? request.prompt : tokens / 2, std::min(request.interval, tokens),
                                tokens};
  if (schedule.prompt >= 1 && schedule.prompt < tokens - 1) return schedule;
  return fail(ErrorCode::invalidArgument,
              fmt::format("A prompt of {} leaves nothing to measure in a window of {}.",
                          amount(schedule.prompt, "token"), tokens),
              "The prompt must end at least 2 tokens before the window does.");
}

Result<PolicyMeasurement> measurePolicy(const Decoder& decoder, const at::Tensor& ids, const PlanTransform* transform,
                                        const PolicyRequest& request, const Task& task, const ProcessGroup& processes) {
  KVISTA_ASSIGN(const PolicySchedule schedule, scheduleOf(request, ids.size(1)));
  KVISTA_CHECK(PolicyRun::begin(decoder, transform, request, schedule.lastAct()));
  std::int64_t perBatch = std::max<std::int64_t>(1, decoder.tokensPerStep() / std::min(kPart, schedule.tokens));
  const Share own = processes.shareOf(ids.size(0), perBatch);
  const auto start = std::chrono::steady_clock::now();
  std::vector<at::Tensor> rows = {at::empty({0, kColumns}, at::kDouble)};
  for (std::int64_t done = own.begin, batch = 0; done < own.end(); done += batch) {
    task.progress("policy" + processes.label(), static_cast<std::uint64_t>((done - own.begin) * ids.size(1)),
                  static_cast<std::uint64_t>(own.count * ids.size(1)), "tokens");
    KVISTA_CHECK(processes.check());
    batch = std::min(perBatch, own.end() - done);
    auto measured = measureBatch(decoder, ids.narrow(0, done, batch), transform, request, schedule, task);
    if (!measured) {
      perBatch = std::min(perBatch, batch) / 2;
      if (measured.error().code != ErrorCode::outOfMemory || perBatch == 0)
        return tl::unexpected(std::move(measured).error());
      batch = 0;  // once more, with half as many at a time
      giveBackUnused(decoder.options().device);
      continue;
    }
    rows.push_back(*std::move(measured));
  }
  KVISTA_ASSIGN(const at::Tensor all, processes.gatherRows(at::cat(rows), task));
  const auto column = [&](Column which) { return all.select(1, which).contiguous(); };
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  PolicyMeasurement result;
  result.all = perplexityOf(column(kAllLoss), schedule.tokens - 1, seconds);
  result.behindPrompt = perplexityOf(column(kBehindLoss), schedule.tokens - 1 - schedule.prompt, seconds);
  if (!std::isfinite(result.all.meanLoss))
    return fail(ErrorCode::numerical,
                fmt::format("The loss under the policy {} is not a finite number.", request.policy),
                "Evaluate the model without a policy: if that fails too, it names layer and token.");
  result.prompt = schedule.prompt;
  result.bytesAtEnd = column(kBytesAtEnd).mean().item<double>();
  result.bytesAtMost = column(kBytesAtMost).mean().item<double>();
  result.fullBytes = schedule.tokens * decoder.shape().cacheBytesPerToken();
  result.tokensKept = column(kTokensKept).mean().item<double>();
  return result;
}

}  // namespace kvista
