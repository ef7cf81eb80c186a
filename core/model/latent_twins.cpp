// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Attention over latents with libtorch's operators: the twin of the kernels in core/cuda, for every device and type.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp2.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <vector>

#include "core/model/latent_operators.h"

namespace kvista {
namespace {

constexpr double kLog2OfE = 1.4426950408889634;
// Rebuilt keys of more would take memory that a long cache does not leave.
constexpr std::int64_t kTokensAtOnce = 4096;

/// Running softmax of some heads over blocks of tokens.
class RunningSum {
 public:
  /// scores [batch, heads, tokens] in the unit of exponents of 2; values [batch, heads or 1, tokens, rank].
  void add(const at::Tensor& scores, const at::Tensor& values) {
    at::Tensor peak = scores.amax(-1);
    if (peak_.defined()) peak = at::maximum(peak, peak_);
    const at::Tensor weights = at::exp2(scores - peak.unsqueeze(-1));
    const at::Tensor sum = at::matmul(weights.unsqueeze(2), values).squeeze(2);
    if (peak_.defined()) {
      const at::Tensor correction = at::exp2(peak_ - peak);
      total_ = total_ * correction + weights.sum(-1);
      sum_ = sum_ * correction.unsqueeze(-1) + sum;
    } else {
      total_ = weights.sum(-1);
      sum_ = sum;
    }
    peak_ = peak;
  }
  [[nodiscard]] at::Tensor mean() const { return sum_ / total_.unsqueeze(-1); }  ///< [batch, heads, rank]
  /// [batch, heads, 1, 2].
  [[nodiscard]] at::Tensor statistics() const { return at::stack({peak_, total_}, -1).unsqueeze(2); }

 private:
  at::Tensor peak_, total_, sum_;
};

at::Tensor floats(const at::Tensor& x) { return x.to(at::kFloat); }

/// x [..., tokens, heads, width], turned by angles whose cosine and sine are [tokens, 1, width / 2].
at::Tensor turned(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor first = x.narrow(-1, 0, half), second = x.narrow(-1, half, half);
  return at::cat({first * cosine - second * sine, second * cosine + first * sine}, -1);
}

}  // namespace

LatentAttended RebuiltAttention::byOperators(const at::Tensor& queries, const at::Tensor& keys,
                                             const at::Tensor& values, double scale) const {
  const std::int64_t batch = queries.size(0), width = queries.size(2), tokens = keys.size(1);
  const std::int64_t heads = headsPerGroup_ * queriesPerHead_;
  std::vector<RunningSum> sums(groups_.size());
  const at::Tensor wanted = floats(queries) * (scale * kLog2OfE);
  for (std::int64_t first = 0; first < tokens; first += kTokensAtOnce) {
    const std::int64_t count = std::min(kTokensAtOnce, tokens - first);
    // Angles in float64: positions are large.
    const at::Tensor angles =
        at::outer(at::arange(first, first + count, rotation_->frequencies().options().dtype(at::kDouble)),
                  rotation_->frequencies().to(at::kDouble))
            .unsqueeze(1);
    const at::Tensor cosine = floats(angles.cos()), sine = floats(angles.sin());
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const Group& group = groups_[g];
      const auto latentOf = [&](const at::Tensor& records, std::int64_t offset, std::int64_t rank,
                                const std::optional<Codes>& codes) {
        const at::Tensor own = records.narrow(1, first, count).narrow(2, offset, codes ? codes->layout.bytes() : rank);
        return codes ? unpackLatent(own, codes->steps, codes->layout, group.keyUp.scalar_type()) : floats(own);
      };
      const at::Tensor latents = latentOf(keys, group.keyOffset, group.keyUp.size(0), group.keys);
      const at::Tensor rebuilt = at::matmul(latents, floats(group.keyUp)).unflatten(-1, {headsPerGroup_, width});
      const at::Tensor rotated = turned(rebuilt, cosine, sine).permute({0, 2, 3, 1});  // [batch, heads, width, tokens]
      const at::Tensor own =
          wanted.narrow(1, static_cast<std::int64_t>(g) * heads, heads).unflatten(1, {headsPerGroup_, queriesPerHead_});
      const at::Tensor summed = latentOf(values, group.valueOffset, group.valueUp.size(1), group.values);
      sums[g].add(at::matmul(own, rotated).flatten(1, 2), summed.unsqueeze(1));
    }
  }
  std::vector<at::Tensor> outputs, statistics;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    // [heads, rank, width].
    const at::Tensor lift = floats(groups_[g].valueUp).unflatten(0, {headsPerGroup_, width}).transpose(1, 2);
    const at::Tensor latent = sums[g].mean().unflatten(1, {headsPerGroup_, queriesPerHead_});
    outputs.push_back(at::matmul(latent, lift).reshape({batch, heads, width}));
    statistics.push_back(sums[g].statistics());
  }
  return {at::cat(outputs, 1).to(queries.scalar_type()), at::cat(statistics, 1)};
}

LatentAttended DirectAttention::byOperators(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                            double scale) const {
  const std::int64_t tokens = keys.size(1);
  std::vector<at::Tensor> outputs, statistics;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const auto [keyLatent, valueLatent] = heads_[h];
    const at::Tensor own =
        floats(queries.narrow(1, static_cast<std::int64_t>(h) * queriesPerHead_, queriesPerHead_)) * (scale * kLog2OfE);
    const at::Tensor carried = at::matmul(own, floats(keyLatent.up));  // [batch, queries, rank]
    RunningSum sum;
    for (std::int64_t first = 0; first < tokens; first += kTokensAtOnce) {
      const std::int64_t count = std::min(kTokensAtOnce, tokens - first);
      const auto unpacked = [&](const at::Tensor& records, const Latent& latent) {
        return unpackLatent(records.narrow(1, first, count).narrow(2, latent.offset, latent.layout.bytes()),
                            latent.steps, latent.layout, latent.up.scalar_type());
      };
      sum.add(at::matmul(carried, unpacked(keys, keyLatent).transpose(1, 2)),
              unpacked(values, valueLatent).unsqueeze(1));
    }
    outputs.push_back(at::matmul(sum.mean(), floats(valueLatent.up).t()));
    statistics.push_back(sum.statistics());
  }
  return {at::cat(outputs, 1).to(queries.scalar_type()), at::cat(statistics, 1)};
}

}  // namespace kvista
