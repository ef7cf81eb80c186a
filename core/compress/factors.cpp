// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/factors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>

#include "core/compress/method.h"
#include "core/model/packed_records.h"
#include "core/model/trellis.h"

namespace kvista {

bool readsInputs(const CompressionPlan& plan, const ModelShape& shape) {
  if (std::ranges::all_of(plan.groups, &Group::isUncompressed)) return false;
  const auto method = findMethod(plan.method);
  return method && (*method)->layersTogether > 1 && shape.cacheWidth() < shape.hiddenSize;
}

std::vector<std::int64_t> factorSizes(const CompressionPlan& plan, const Group& group, at::Tensor GroupFactors::*tensor,
                                      std::int64_t inputs) {
  const auto width = static_cast<std::int64_t>(group.widths.size());
  const std::int64_t rank = group.rank();
  if (tensor == &GroupFactors::up) return {width, rank};
  if (tensor == &GroupFactors::down) return {rank, inputs > 0 ? inputs : width};
  if (tensor == &GroupFactors::steps) return {rank};
  if (tensor == &GroupFactors::prediction)
    return predictedFrom(plan, group.slots.front().layer) ? std::vector{width, width} : std::vector<std::int64_t>{};
  if (!plan.centred) return {};
  return {tensor == &GroupFactors::shift ? rank : width};
}

at::Tensor latentOf(const at::Tensor& outputs, const GroupFactors& factors) {
  const at::Tensor latent = at::matmul(outputs, factors.down.t().to(outputs.scalar_type()));
  return factors.shift.defined() ? latent + factors.shift.to(outputs.scalar_type()) : latent;
}

at::Tensor rebuiltFrom(const at::Tensor& latent, const GroupFactors& factors) {
  const at::Tensor rebuilt = at::matmul(latent, factors.up.t().to(latent.scalar_type()));
  return factors.offset.defined() ? rebuilt + factors.offset.to(latent.scalar_type()) : rebuilt;
}

std::vector<std::uint8_t> latentWidths(const Group& group) {
  std::vector<std::uint8_t> widths;
  std::ranges::copy_if(group.widths, std::back_inserter(widths), [](std::uint8_t width) { return width > 0; });
  std::ranges::sort(widths, std::greater<>());
  return widths;
}

at::Tensor codeAndDecode(const at::Tensor& latent, const GroupFactors& factors) {
  RecordLayout layout = RecordLayout::of(factors.widths);
  layout.trellis = factors.trellis;
  if (layout.counts[0] == layout.rank()) return latent;
  std::vector<float> lowest;
  for (const std::uint8_t width : factors.widths)
    lowest.push_back(width == 16 ? 0.0F : -std::ldexp(1.0F, layout.goesThroughTrellis(width) ? width : width - 1));
  const at::Tensor low = at::tensor(lowest, at::kFloat).to(latent.device());
  const at::Tensor steps = factors.steps.to(latent.device());
  const at::Tensor isCoded = steps > 0;
  const at::Tensor divisor = at::where(isCoded, steps, 1.0F);
  const at::Tensor numbers = latent.to(at::kFloat);
  const at::Tensor scaled = numbers.detach() / divisor;
  at::Tensor levels = at::clamp(at::floor(scaled), low, -low - 1) + 0.5F;
  for (const RecordLayout::Directions& own : layout.directions())
    if (layout.goesThroughTrellis(own.width))
      levels.narrow(-1, own.begin, own.count)
          .copy_(trellisLevels(trellisCodes(scaled.narrow(-1, own.begin, own.count), own.width), own.width));
  const at::Tensor decoded = at::where(isCoded, levels * steps, numbers.detach());
  if (!numbers.requires_grad()) return decoded.to(latent.scalar_type());
  // Straight through: the gradient passes where the number lies within the coder's range, and nowhere else.
  const at::Tensor within = at::where(isCoded, at::clamp(numbers, low * divisor, -low * divisor), numbers);
  return (decoded + (within - within.detach())).to(latent.scalar_type());
}

}  // namespace kvista
