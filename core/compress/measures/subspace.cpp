// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/block_diag.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/compress/measures/sampled_pairs.h"

namespace kvista {
namespace {

constexpr std::int64_t kPart = 4;  // Directions of a head that are looked at: a quarter, the largest.
constexpr std::string_view kSource =
    "help page Methods, section 3; Bjorck and Golub, Numerical methods for computing angles between subspaces (1973)";

/// V_r diag(s_r)^-1 of a head's own second moment, [width, r]: of outputs Y over tokens, Y V_r / s_r = U_r.
at::Tensor strongestDirections(const at::Tensor& second) {
  const std::int64_t width = second.size(0), rank = std::max<std::int64_t>(1, width / kPart);
  const auto [values, vectors] = at::linalg_eigh((second + second.t()) / 2);
  const at::Tensor largest = values.narrow(0, width - rank, rank);
  constexpr double kRounding = 1e-12;
  const at::Tensor known = largest > values[width - 1].clamp_min(0) * kRounding;
  return vectors.narrow(1, width - rank, rank) * at::where(known, largest.abs().rsqrt(), at::zeros_like(largest));
}

}  // namespace

Measure subspaceMeasure() {
  return {.name = "subspace",
          .summary = "Overlap of the heads' strongest directions over tokens: mean squared cosine of principal angles",
          .formula = "|U_i^T U_j|_F^2 / r, U_i the r = d/4 first left singular vectors of head i's outputs over tokens",
          .unit = "no unit, 0 to 1",
          .source = kSource,
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            KVISTA_ASSIGN(const at::Tensor second, sideMoments(request, false));
            const std::int64_t heads = request.decoder.shape().kvHeads, width = second.size(0) / heads;
            std::vector<at::Tensor> directions;
            for (std::int64_t head = 0; head < heads; ++head)
              directions.push_back(
                  strongestDirections(second.narrow(0, head * width, width).narrow(1, head * width, width)));
            const at::Tensor all = at::block_diag(directions);
            const std::int64_t rank = directions.front().size(1);
            const at::Tensor overlap =
                at::matmul(at::matmul(all.t(), second), all).view({heads, rank, heads, rank}).square().sum({1, 3});
            return cosines(overlap);
          }};
}

Measure subspaceRotatedMeasure() {
  return {.name = "subspace-rotated",
          .summary =
              "Overlap of the heads' strongest directions, of keys as attention sees them, after RoPE, from the "
              "sampled tokens",
          .formula =
              "as subspace, with |U_i^T U_j|^2 = mean over pairs of different tokens s, t of (u_is . u_it)(u_js . "
              "u_jt), u_it = diag(s_r)^-1 V_r^T k_it of the moments of all tokens",
          .unit = "no unit, 0 to 1",
          .source = kSource,
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            KVISTA_ASSIGN(const std::vector<at::Tensor> moments, ownMoments(request, false));
            std::vector<at::Tensor> rows = sampledHeads(request);
            for (std::size_t head = 0; head < rows.size(); ++head)
              rows[head] = at::matmul(rows[head], strongestDirections(moments[head]));
            return alikeOverPairs(rows);
          }};
}

}  // namespace kvista
