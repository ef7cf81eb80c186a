// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

namespace kvista {

double Perplexity::perplexity() const { return std::exp(meanLoss); }

Result<Perplexity> measurePerplexity(const Decoder& decoder, const at::Tensor& ids, const CacheTransform* transform,
                                     const std::string& stage, const Task& task) {
  const std::int64_t perBatch = decoder.windowsPerPass(ids.size(1), false);
  const auto start = std::chrono::steady_clock::now();
  Perplexity result;
  double sum = 0;
  for (std::int64_t done = 0; done < ids.size(0); done += perBatch) {
    task.progress(stage, static_cast<std::uint64_t>(done * ids.size(1)), static_cast<std::uint64_t>(ids.numel()), "tokens");
    const std::int64_t batch = std::min(perBatch, ids.size(0) - done);
    auto losses = decoder.tokenLosses(ids.narrow(0, done, batch), transform, task);
    if (!losses) return tl::unexpected(std::move(losses).error());
    const at::Tensor means = losses->to(at::kDouble).mean(1).cpu().contiguous();
    for (std::int64_t i = 0; i < batch; ++i) {
      const double mean = means.const_data_ptr<double>()[i];
      if (!std::isfinite(mean))
        return fail(ErrorCode::numerical, fmt::format("The loss of window {} of the text is not a finite number.", done + i),
                    "Look for damaged weights with `kvista inspect --weights`, or evaluate in float32.");
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
