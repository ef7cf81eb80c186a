// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/calibrate.h"

#include <algorithm>

#include "core/calibration/statistics_pass.h"
#include "core/evaluate/measure_response.h"

namespace kvista {
namespace {

/// Held-out windows: enough tokens that differences of the mean loss between plans are seen, few enough to be quick.
constexpr std::int64_t kHeldOutTokens = 8192;
constexpr std::int64_t kLargestHeldOutPart = 8;

}  // namespace

Result<Statistics> calibrate(const Decoder& decoder, const std::string& modelHash, const Tokenizer& tokenizer,
                             const CalibrationRequest& request, const Task& task, const ProcessGroup& processes) {
  const bool response = request.response && request.gradients;
  const std::int64_t wantedHeldOut = response ? std::max<std::int64_t>(2, kHeldOutTokens / request.recipe.window) : 0;
  TextRecipe reading = request.recipe;
  if (reading.windows) *reading.windows += wantedHeldOut;
  KVISTA_ASSIGN(const TokenWindows all, readTokenWindows(tokenizer, reading, request.bos, task, processes));
  const std::int64_t total = all.ids.size(0);
  const std::int64_t beyond = request.recipe.windows ? std::max<std::int64_t>(0, total - *request.recipe.windows) : 0;
  const std::int64_t heldOut = std::min(wantedHeldOut, std::max(beyond, total / kLargestHeldOutPart));

  const TokenWindows used = windowsOf(all, 0, total - heldOut);
  StatisticsOptions options;
  options.gradients = request.gradients;
  options.tokensPerBatch = decoder.tokensPerStep();
  options.partialFile = request.partialFile;
  KVISTA_ASSIGN(Statistics statistics, runStatisticsPass(decoder, modelHash, used, options, task, processes));
  statistics.recipe = request.recipe;
  statistics.recipe.windows = used.ids.size(0);
  if (heldOut > 0) {
    const at::Tensor ids = all.ids.narrow(0, total - heldOut, heldOut);
    statistics.heldOutIds = ids.to(at::kInt).contiguous();
    KVISTA_CHECK(measureResponse(decoder, statistics, ids, task, processes));
  }
  return statistics;
}

}  // namespace kvista
