// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/distributed/process_group.h"
#include "core/model/decoder.h"

namespace kvista {

struct Perplexity {
  double meanLoss = 0;  ///< Nats a predicted token.
  std::int64_t predictions = 0;
  std::vector<double> windowLosses;  ///< Mean of each window.
  double seconds = 0;
  [[nodiscard]] double perplexity() const;
};

/// Mean negative log-likelihood of every token but the first of each window, the first `left` predictions left out.
/// `ids`: int64 [windows, window]; `transform` may be null; `stage` names the work in progress reports. The members of
/// a group of `processes` go through some of the windows each, in the batches that one process would make, and all get
/// the same numbers as it.
Result<Perplexity> measurePerplexity(const Decoder& decoder, const at::Tensor& ids, const CacheTransform* transform,
                                     const std::string& stage, const Task& task, const ProcessGroup& processes = {},
                                     std::int64_t left = 0);

/// Standard error of the difference of two mean losses over the same windows: the deviation of the windows' differences
/// over the root of their number. `one`, `other`: mean loss of each window. What is hard in a window is hard for both,
/// so that this is far less than either mean's own. Absent with fewer than two windows, or lists of unequal lengths.
std::optional<double> standardErrorOfDifference(std::span<const double> one, std::span<const double> other);

/// Of several texts together: every predicted token counts the same, whichever text it is of.
Perplexity togetherOf(const std::vector<Perplexity>& texts);

}  // namespace kvista
