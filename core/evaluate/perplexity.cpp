// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/perplexity.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/base/amount.h"
#include "core/model/device.h"
#include "core/model/non_finite.h"

namespace kvista {

double Perplexity::perplexity() const { return std::exp(meanLoss); }

Result<Perplexity> measurePerplexity(const Decoder& decoder, const at::Tensor& ids, const CacheTransform* transform,
                                     const std::string& stage, const Task& task, const ProcessGroup& processes,
                                     std::int64_t left) {
  const std::int64_t predictions = ids.size(1) - 1 - left;
  std::int64_t perBatch = decoder.windowsPerPass(ids.size(1), false);
  std::int64_t perStep = std::max<std::int64_t>(1, decoder.tokensPerStep() / ids.size(1));
  const Share own = processes.shareOf(ids.size(0), perStep);
  const auto start = std::chrono::steady_clock::now();
  std::vector<at::Tensor> means = {at::empty({0}, at::kDouble)};
  for (std::int64_t done = own.begin, batch = 0; done < own.end(); done += batch) {
    task.progress(stage + processes.label(), static_cast<std::uint64_t>((done - own.begin) * ids.size(1)),
                  static_cast<std::uint64_t>(own.count * ids.size(1)), "tokens");
    KVISTA_CHECK(processes.check());
    batch = std::min(perBatch, own.end() - done);
    auto losses =
        decoder.withTokensPerStep(perStep * ids.size(1)).tokenLosses(ids.narrow(0, done, batch), transform, task);
    if (!losses) {
      perStep = std::min(perStep, batch) / 2;
      if (losses.error().code != ErrorCode::outOfMemory || perStep == 0)
        return tl::unexpected(std::move(losses).error());
      if (!decoder.options().streamLayers) perBatch = perStep;
      batch = 0;  // once more, with half as many at a time
      giveBackUnused(decoder.options().device);
      task.progress(fmt::format("{}{}; memory ran out, {} at a time from here", stage, processes.label(),
                                amount(perStep, "window")),
                    static_cast<std::uint64_t>(done - own.begin), static_cast<std::uint64_t>(own.count), "windows");
      continue;
    }
    means.push_back(losses->narrow(1, left, predictions).to(at::kDouble).mean(1).cpu());
    for (std::int64_t i = 0; i < batch; ++i)
      if (!std::isfinite(means.back()[i].item<double>()))
        return tl::unexpected(nonFiniteError(decoder, ids.narrow(0, done + i, 1), transform, done + i, task));
  }
  KVISTA_ASSIGN(const at::Tensor all, processes.gatherRows(at::cat(means), task));
  Perplexity result;
  const auto* values = all.const_data_ptr<double>();
  result.windowLosses.assign(values, values + all.numel());
  double sum = 0;
  for (const double mean : result.windowLosses) sum += mean * static_cast<double>(predictions);
  result.predictions = ids.size(0) * predictions;
  result.meanLoss = sum / static_cast<double>(result.predictions);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::optional<double> standardErrorOfDifference(std::span<const double> one, std::span<const double> other) {
  const std::size_t count = one.size();
  if (count < 2 || other.size() != count) return std::nullopt;
  const auto windows = static_cast<double>(count);
  double mean = 0, squares = 0;
  for (std::size_t i = 0; i < count; ++i) mean += (other[i] - one[i]) / windows;
  for (std::size_t i = 0; i < count; ++i) squares += std::pow(other[i] - one[i] - mean, 2);
  return std::sqrt(squares / (windows - 1) / windows);
}

Perplexity togetherOf(const std::vector<Perplexity>& texts) {
  Perplexity all;
  double sum = 0;
  for (const Perplexity& text : texts) {
    sum += text.meanLoss * static_cast<double>(text.predictions);
    all.predictions += text.predictions;
    all.windowLosses.insert(all.windowLosses.end(), text.windowLosses.begin(), text.windowLosses.end());
    all.seconds += text.seconds;
  }
  if (all.predictions > 0) all.meanLoss = sum / static_cast<double>(all.predictions);
  return all;
}

}  // namespace kvista
