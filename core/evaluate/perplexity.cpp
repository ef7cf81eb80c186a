// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "core/model/device.h"
#include "core/model/non_finite.h"

namespace kvista {

double Perplexity::perplexity() const { return std::exp(meanLoss); }

Result<Perplexity> measurePerplexity(const Decoder& decoder, const at::Tensor& ids, const CacheTransform* transform,
                                     const std::string& stage, const Task& task) {
  std::int64_t perBatch = decoder.windowsPerPass(ids.size(1), false);
  std::int64_t perStep = std::max<std::int64_t>(1, decoder.tokensPerStep() / ids.size(1));
  const auto start = std::chrono::steady_clock::now();
  Perplexity result;
  double sum = 0;
  for (std::int64_t done = 0, batch = 0; done < ids.size(0); done += batch) {
    task.progress(stage, static_cast<std::uint64_t>(done * ids.size(1)), static_cast<std::uint64_t>(ids.numel()), "tokens");
    batch = std::min(perBatch, ids.size(0) - done);
    auto losses = decoder.withTokensPerStep(perStep * ids.size(1)).tokenLosses(ids.narrow(0, done, batch), transform, task);
    if (!losses) {
      perStep = std::min(perStep, batch) / 2;
      if (losses.error().code != ErrorCode::outOfMemory || perStep == 0) return tl::unexpected(std::move(losses).error());
      if (!decoder.options().streamLayers) perBatch = perStep;
      batch = 0;  // once more, with half as many at a time
      giveBackUnused(decoder.options().device);
      task.progress(fmt::format("{}; memory ran out, {} windows at a time from here", stage, perStep), static_cast<std::uint64_t>(done),
                    static_cast<std::uint64_t>(ids.size(0)), "windows");
      continue;
    }
    const at::Tensor means = losses->to(at::kDouble).mean(1).cpu().contiguous();
    for (std::int64_t i = 0; i < batch; ++i) {
      const double mean = means.const_data_ptr<double>()[i];
      if (!std::isfinite(mean))
        return tl::unexpected(nonFiniteError(decoder, ids.narrow(0, done + i, 1), transform, done + i, task));
      result.windowLosses.push_back(mean);
      sum += mean * static_cast<double>(ids.size(1) - 1);
    }
  }
  result.predictions = ids.size(0) * (ids.size(1) - 1);
  result.meanLoss = sum / static_cast<double>(result.predictions);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace kvista
