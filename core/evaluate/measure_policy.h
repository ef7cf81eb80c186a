// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/plan_transform.h"
#include "core/distributed/process_group.h"
#include "core/evaluate/perplexity.h"
#include "core/model/decoder.h"
#include "core/policy/policy.h"

namespace kvista {

/// When a policy acts while a window of `tokens` is read.
struct PolicySchedule {
  std::int64_t prompt, interval, tokens;
  /// Tokens read when it acts for the last time.
  [[nodiscard]] std::int64_t lastAct() const { return interval > 0 ? tokens : prompt; }
};
/// Behind the request's prompt, or half of the window. Errors (invalidArgument): nothing is left to measure behind it.
Result<PolicySchedule> scheduleOf(const PolicyRequest& request, std::int64_t tokens);

/// What a policy costs and what it leaves.
struct PolicyMeasurement {
  Perplexity all;              ///< Over every prediction of the windows.
  Perplexity behindPrompt;     ///< Over those that were made with the cache as the policy had left it.
  std::int64_t prompt = 0;     ///< Tokens before the policy acted first.
  double bytesAtEnd = 0;       ///< Of a window's cache when all was read, mean over windows.
  double bytesAtMost = 0;      ///< The most that it took at any time from the first act on, mean over windows.
  std::int64_t fullBytes = 0;  ///< Of the 16-bit cache at the end.
  double tokensKept = 0;       ///< Of a head at the end, mean over heads, layers and windows.
  [[nodiscard]] double shareAtEnd() const { return bytesAtEnd / static_cast<double>(fullBytes); }
};

/// Reads each window of `ids` (int64 [windows, window]) as a sequence whose cache the policy keeps small: the prompt,
/// then parts of `request.interval` tokens, after each of which the policy acts. A token sees the cache as it was left,
/// and the tokens of its own part before it. `transform` (may be null): the plan that the cache is stored by besides.
Result<PolicyMeasurement> measurePolicy(const Decoder& decoder, const at::Tensor& ids, const PlanTransform* transform,
                                        const PolicyRequest& request, const Task& task,
                                        const ProcessGroup& processes = {});

}  // namespace kvista
