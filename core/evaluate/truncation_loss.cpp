// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/truncation_loss.h"

#include <algorithm>
#include <cmath>

#include "core/compress/basis.h"
#include "core/compress/plan_transform.h"
#include "core/evaluate/perplexity.h"

namespace kvista {
namespace {

/// A plan of one side of one layer; other layers and the other side stay as they are.
CompressionPlan planOf(int layer, Side side, double kept, const ModelShape& shape) {
  CompressionPlan plan;
  plan.metric = Metric::identity;
  plan.storage = Storage::lowRank16;
  Group group;
  for (int head = 0; head < shape.kvHeads; ++head) group.slots.push_back({layer, side, head});
  const int width = side == Side::key ? shape.keyWidth() : shape.valueWidth();
  const int rank = std::clamp(static_cast<int>(std::lround(kept * width)), 0, width);
  group.widths.assign(static_cast<std::size_t>(width), 0);
  std::fill_n(group.widths.begin(), rank, std::uint8_t{16});
  plan.groups.push_back(std::move(group));
  return plan;
}

}  // namespace

Result<std::vector<TruncationLoss>> measureTruncation(const Decoder& decoder, const Statistics& statistics,
                                                      const std::vector<int>& layers, const std::vector<double>& kept,
                                                      std::int64_t windows, const Task& task) {
  const at::Tensor& all = statistics.heldOutIds.defined() && statistics.heldOutIds.size(0) > 0 ? statistics.heldOutIds
                                                                                               : statistics.tokenIds;
  const at::Tensor ids = all.narrow(0, 0, std::min(windows, all.size(0))).to(at::kLong);
  KVISTA_ASSIGN(const Perplexity original, measurePerplexity(decoder, ids, nullptr, "measure the model", task));
  BasisRequest request;
  request.metric = Metric::identity;
  std::vector<TruncationLoss> losses;
  const std::size_t count = layers.size() * 2 * kept.size();
  const Task quiet{task.stop, {}};  // One measurement of many: how far it is would hide how far all are.
  for (const int layer : layers) {
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, &statistics, layer, request));
    for (const Side side : {Side::key, Side::value}) {
      const CompressionPlan widest = planOf(layer, side, 1, decoder.shape());
      KVISTA_ASSIGN(const GroupBasis basis, moments.decompose(widest.groups.front().slots));
      for (const double part : kept) {
        KVISTA_CHECK(task.checkStop());
        task.progress("truncate", losses.size(), count, "measurements");
        const CompressionPlan plan = planOf(layer, side, part, decoder.shape());
        const PlanTransform transform(plan, {factorsOf(basis, plan.groups.front())}, decoder.shape(),
                                      decoder.options().device);
        KVISTA_ASSIGN(const Perplexity truncated, measurePerplexity(decoder, ids, &transform, {}, quiet));
        losses.push_back({layer, side, part, truncated.meanLoss - original.meanLoss});
      }
    }
  }
  return losses;
}

}  // namespace kvista
