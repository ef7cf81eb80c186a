// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/common_heads.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/block_diag.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/imag.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/real.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

namespace kvista {
namespace {

/// As for whole metrics (methods.md section 2).
constexpr double kMetricFloor = 1e-9;

/// Directions of one kind: columns of `up` and rows of `down` as they are counted in a head, one set after the other.
struct Directions {
  at::Tensor up, down;  // [sets, n, width], [sets, width, n]
  at::Tensor energies;  // [sets, width]
  at::Tensor places;    // int64 [width], in a head
};

/// Of all rotary pairs at once.
Directions rotatingDirections(const at::Tensor& covariance, const at::Tensor& metrics, std::int64_t heads,
                              std::int64_t width, const at::Tensor& pairs) {
  const std::int64_t count = pairs.size(0), n = heads * width;
  const at::Tensor first = pairs.select(1, 0), second = pairs.select(1, 1);
  // [pairs, t, t] of the second moments between numbers of one place in each head.
  const at::Tensor blocks = covariance.reshape({heads, width, heads, width});
  const auto between = [&](const at::Tensor& rows, const at::Tensor& columns) {
    // index_select twice, then the diagonal over pairs.
    return blocks.index_select(1, rows).index_select(3, columns).diagonal(0, 1, 3).permute({2, 0, 1});
  };
  at::Tensor weights = at::ones({count, heads}, covariance.options());
  if (metrics.defined()) {
    const at::Tensor diagonal = metrics.diagonal(0, 1, 2);
    const at::Tensor mean = ((diagonal.index_select(1, first) + diagonal.index_select(1, second)) / 2).t();
    const at::Tensor largest = mean.max();
    weights = at::where(largest > 0, mean.maximum(largest * kMetricFloor), at::ones_like(mean));
  }
  const at::Tensor root = weights.sqrt();
  const at::Tensor scale = root.unsqueeze(2) * root.unsqueeze(1);
  const at::Tensor hermitian = at::complex(((between(first, first) + between(second, second)) * scale).contiguous(),
                                           ((between(second, first) - between(first, second)) * scale).contiguous());
  const auto [values, vectors] = at::linalg_eigh((hermitian + hermitian.mH()) / 2);
  const at::Tensor falling = values.flip(1).clamp_min(0), basis = vectors.flip(2);  // [pairs, t], [pairs, t, set]
  const at::Tensor re = at::real(basis), im = at::imag(basis), inverse = (1 / root).unsqueeze(2),
                   straight = root.unsqueeze(2);

  Directions result;
  result.places = at::cat({first, second});
  result.energies = at::cat({falling, falling}).t() / 2;
  result.up = at::zeros({heads, n, 2 * count}, covariance.options());
  result.down = at::zeros({heads, 2 * count, n}, covariance.options());
  for (std::int64_t pair = 0; pair < count; ++pair) {
    for (std::int64_t head = 0; head < heads; ++head) {
      const std::int64_t a = head * width + first[pair].item<std::int64_t>(),
                         b = head * width + second[pair].item<std::int64_t>();
      const at::Tensor x = re[pair][head], y = im[pair][head], out = inverse[pair][head],
                       in = straight[pair][head];  // [set]
      result.up.select(1, a).select(1, pair).copy_(x * out);
      result.up.select(1, a).select(1, count + pair).copy_(-y * out);
      result.up.select(1, b).select(1, pair).copy_(y * out);
      result.up.select(1, b).select(1, count + pair).copy_(x * out);
      result.down.select(2, a).select(1, pair).copy_(x * in);
      result.down.select(2, b).select(1, pair).copy_(y * in);
      result.down.select(2, a).select(1, count + pair).copy_(-y * in);
      result.down.select(2, b).select(1, count + pair).copy_(x * in);
    }
  }
  return result;
}

/// Of the places of a head that do not rotate: sets of as many as there are, by falling eigenvalue over all heads.
Directions restingDirections(const at::Tensor& covariance, const at::Tensor& metrics, std::int64_t heads,
                             std::int64_t width, const at::Tensor& places) {
  const std::int64_t count = places.size(0), n = heads * width;
  const at::Tensor rows = (at::arange(heads, places.options()).unsqueeze(1) * width + places).flatten();
  at::Tensor matrix = covariance.index_select(0, rows).index_select(1, rows), root, inverse;
  if (metrics.defined()) {
    std::vector<at::Tensor> roots, inverses;
    for (std::int64_t head = 0; head < heads; ++head) {
      const auto [values, vectors] = at::linalg_eigh(metrics[head].index_select(0, places).index_select(1, places));
      const at::Tensor largest = values.max();
      const at::Tensor floored =
          at::where(largest > 0, values.maximum(largest * kMetricFloor), at::ones_like(values)).sqrt();
      roots.push_back(at::matmul(vectors * floored, vectors.t()));
      inverses.push_back(at::matmul(vectors / floored, vectors.t()));
    }
    root = at::block_diag(roots);
    inverse = at::block_diag(inverses);
    matrix = at::matmul(at::matmul(root, matrix), root);
  }
  const auto [values, vectors] = at::linalg_eigh((matrix + matrix.t()) / 2);
  const at::Tensor basis = vectors.flip(1);
  const at::Tensor up = inverse.defined() ? at::matmul(inverse, basis) : basis,
                   down = root.defined() ? at::matmul(basis.t(), root) : basis.t();
  Directions result;
  result.places = places;
  result.energies = values.flip(0).clamp_min(0).view({heads, count});
  result.up = at::zeros({n, heads * count}, covariance.options())
                  .index_copy(0, rows, up)
                  .view({n, heads, count})
                  .permute({1, 0, 2});
  result.down = at::zeros({heads * count, n}, covariance.options()).index_copy(1, rows, down).view({heads, count, n});
  return result;
}

}  // namespace

at::Tensor rotaryPairs(const HeadRotation& rotation) {
  const at::Tensor numbers = at::arange(rotation.rotaryDim, at::TensorOptions(at::kLong));
  return rotation.isInterleaved ? numbers.view({-1, 2}) : numbers.view({2, -1}).t().contiguous();
}

bool commutesWithRotation(const at::Tensor& matrix, const HeadRotation& rotation) {
  if (rotation.rotaryDim == 0) return true;
  const double allowed = 1e-5 * matrix.abs().max().item<double>();
  const at::Tensor pairs = rotaryPairs(rotation), a = pairs.select(1, 0), b = pairs.select(1, 1),
                   flat = matrix.reshape(-1);
  const auto places = [&](const at::Tensor& rows, const at::Tensor& columns) {
    return rows * matrix.size(1) + columns;
  };
  const auto entries = [&](const at::Tensor& rows, const at::Tensor& columns) {
    return flat.index_select(0, places(rows, columns));
  };
  const auto isNothing = [&](const at::Tensor& numbers) {
    return numbers.numel() == 0 || numbers.abs().max().item<double>() <= allowed;
  };
  if (!isNothing(entries(a, a) - entries(b, b)) || !isNothing(entries(a, b) + entries(b, a))) return false;
  const at::Tensor own = at::cat({places(a, a), places(a, b), places(b, a), places(b, b)});
  const at::Tensor rest = flat.index_fill(0, own, 0).view(matrix.sizes());
  return isNothing(rest.narrow(0, 0, rotation.rotaryDim)) && isNothing(rest.narrow(1, 0, rotation.rotaryDim));
}

Result<GroupBasis> commonHeadBasis(const at::Tensor& covariance, const at::Tensor& metrics, std::int64_t heads,
                                   const HeadRotation& rotation) {
  const std::int64_t width = covariance.size(0) / heads;
  if (!covariance.isfinite().all().item<bool>())
    return fail(ErrorCode::numerical, "The second moments of keys are not finite.",
                "Look for damaged weights with `kvista inspect --weights`, or calibrate in float32.");
  // Small matrices by the hundred: the CPU is quicker than a GPU that takes them one after the other.
  const at::Tensor here = covariance.cpu(), weights = metrics.defined() ? metrics.cpu() : metrics;
  std::vector<Directions> kinds;
  if (rotation.rotaryDim > 0) kinds.push_back(rotatingDirections(here, weights, heads, width, rotaryPairs(rotation)));
  if (rotation.rotaryDim < width)
    kinds.push_back(restingDirections(here, weights, heads, width,
                                      at::arange(rotation.rotaryDim, width, at::TensorOptions(at::kLong))));

  std::vector<at::Tensor> ups, downs, energies, places;
  for (const Directions& kind : kinds) {
    ups.push_back(kind.up);
    downs.push_back(kind.down);
    energies.push_back(kind.energies);
    places.push_back(kind.places);
  }
  const at::Tensor order = at::cat(places).argsort();
  const at::Tensor up = at::cat(ups, 2).index_select(2, order),
                   down = at::cat(downs, 1).index_select(1, order);  // [sets, ...]
  const at::Tensor energy = at::cat(energies, 1);                    // in no order yet
  const at::Tensor common = std::get<0>(energy[0].sort(0, /*descending=*/true));
  const auto flatUp = [](const at::Tensor& sets) { return sets.permute({1, 0, 2}).reshape({sets.size(1), -1}); };
  GroupBasis result;
  const at::Tensor rest = energy.narrow(0, 1, heads - 1).index_select(1, order).flatten();
  const auto [falling, by] = rest.sort(0, /*descending=*/true);
  result.up = at::cat({up[0], flatUp(up.narrow(0, 1, heads - 1)).index_select(1, by)}, 1).to(covariance.device());
  result.down = at::cat({down[0], down.narrow(0, 1, heads - 1).reshape({-1, heads * width}).index_select(0, by)})
                    .to(covariance.device());
  const at::Tensor kept = heads > 1 ? common.maximum(falling[0]) : common;
  const at::Tensor all = at::cat({kept, falling}).contiguous();
  result.spectrum.eigenvalues.assign(all.const_data_ptr<double>(), all.const_data_ptr<double>() + all.numel());
  return result;
}

}  // namespace kvista
