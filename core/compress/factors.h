// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/plan/plan.h"

namespace kvista {

/// The linear algebra of one group as planned: a latent z = down * y + shift of its outputs y (raw, without bias, in
/// the order of the group's slots; for keys after RoPE the rotated key of the one head), rebuilt as y ~ up * z +
/// offset. Latent directions are ordered by falling width, then by falling eigenvalue: 16-bit numbers first, then
/// codes. Where another layer predicts the group (predictedFrom), y is what is left of the outputs behind `prediction`
/// times that layer's decoded outputs, which is added again when they are rebuilt. Where layers that share one `down`
/// have more inputs than outputs (common_layers.h), the latent z = down * x is of what the outputs were projected from,
/// which they do not determine. A group that keeps everything (16 bits everywhere) is the identity: `up` and `down` are
/// undefined. The tensors are on the CPU, or all on the device that decomposed the group where its basis was kept
/// there.
struct GroupFactors {
  at::Tensor up;                     ///< float32 [n, r], n = sum of the slots' widths.
  at::Tensor down;                   ///< float32 [r, n]; [r, hiddenSize] where it reads inputs.
  std::vector<std::uint8_t> widths;  ///< [r], falling, none 0.
  at::Tensor steps;                  ///< float32 [r]: quantiser step of each direction, 0 where the width is 16.
  at::Tensor shift;                  ///< float32 [r]; undefined but for centred plans.
  at::Tensor offset;                 ///< float32 [n]; as shift.
  at::Tensor prediction;  ///< float32 [n, m], m = outputs of the layer that predicts; undefined where none does.
  bool trellis = false;   ///< CompressionPlan::trellis.

  [[nodiscard]] bool isIdentity() const { return !up.defined(); }
  /// Whether `down` is of what the group's outputs were projected from, which is then wider than they are.
  [[nodiscard]] bool readsInput() const { return !isIdentity() && down.size(1) != up.size(0); }
};

/// Every tensor of a group's factors, with its name in files.
inline constexpr std::array<std::pair<const char*, at::Tensor GroupFactors::*>, 6> kFactorTensors = {
    {{"up", &GroupFactors::up},
     {"down", &GroupFactors::down},
     {"steps", &GroupFactors::steps},
     {"shift", &GroupFactors::shift},
     {"offset", &GroupFactors::offset},
     {"prediction", &GroupFactors::prediction}}};

/// Whether a plan has compressed groups whose factors are made to read inputs.
bool readsInputs(const CompressionPlan& plan, const ModelShape& shape);

/// The sizes that a tensor of a compressed group's factors has, which read inputs of `inputs` numbers or, where that is
/// 0, outputs; empty where there is no such tensor.
std::vector<std::int64_t> factorSizes(const CompressionPlan& plan, const Group& group, at::Tensor GroupFactors::*tensor,
                                      std::int64_t inputs);

/// What stands for outputs [..., n] in the cache before it is coded, [..., r], and back. Of factors that read inputs:
/// for [..., hiddenSize].
at::Tensor latentOf(const at::Tensor& outputs, const GroupFactors& factors);
at::Tensor rebuiltFrom(const at::Tensor& latent, const GroupFactors& factors);

/// The widths of a group's latent directions as GroupFactors has them.
std::vector<std::uint8_t> latentWidths(const Group& group);

/// One entry a group of the plan, in the plan's order.
using PlanFactors = std::vector<GroupFactors>;

/// The coder (methods.md section 10): uniform mid-rise quantiser with 2^bits levels, clamped.
/// code = clamp(floor(z / step), -2^(bits-1), 2^(bits-1) - 1), rebuilt as (code + 0.5) * step; width 16 passes. Through
/// a trellis, codes of up to kTrellisBits bits are those of core/model/trellis.h. `latent`: [..., r]. Gradients pass as
/// if the coder only clamped (straight-through).
at::Tensor codeAndDecode(const at::Tensor& latent, const GroupFactors& factors);

}  // namespace kvista
