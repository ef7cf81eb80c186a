// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/quantiser_fit.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "core/model/parallel.h"
#include "core/model/trellis.h"
#include "core/plan/spectrum.h"

namespace kvista {
namespace {

constexpr std::array kStepMultiples = {0.5F, 0.7F, 0.85F, 1.0F, 1.25F, 1.6F, 2.2F, 3.0F};
constexpr std::array kTrellisMultiples = {0.5F, 0.65F, 0.75F, 0.85F, 0.95F, 1.1F, 1.35F, 1.8F};

// The loop is all of the fit's time, and rounding in vectors needs more than the baseline instruction set.
__attribute__((target_clones("avx2", "default"))) double squaredError(std::span<const float> values, float step,
                                                                      int bits) {
  const float lowest = -std::ldexp(1.0F, bits - 1);
  const float highest = -lowest - 1;
  const float inverse = 1 / step;
  double total = 0;
  for (std::size_t begin = 0; begin < values.size();
       begin += 1024) {  // float sums of short stretches, so that it vectorises
    const std::span<const float> part = values.subspan(begin, std::min<std::size_t>(1024, values.size() - begin));
    float sum = 0;
    for (const float value : part) {
      const float code = std::clamp(std::floor(value * inverse), lowest, highest);
      const float error = value - (code + 0.5F) * step;
      sum += error * error;
    }
    total += sum;
  }
  return total;
}

/// The same of codes through a trellis.
double squaredErrorThroughTrellis(std::span<const float> values, float step, int bits) {
  std::vector<float> numbers(values.begin(), values.end());
  for (float& number : numbers) number /= step;
  std::vector<std::uint8_t> codes(values.size());
  trellisCodes(numbers, bits, codes);
  trellisLevels(codes, bits, numbers);
  double total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = values[i] - numbers[i] * step;
    total += error * error;
  }
  return total;
}

}  // namespace

QuantiserFit fitQuantisers(const at::Tensor& latents, const std::vector<int>& widths, bool trellis) {
  const at::Tensor columns = latents.t().contiguous();
  const std::int64_t directions = columns.size(0);
  const auto rows = static_cast<std::size_t>(columns.size(1));
  const auto widthCount = static_cast<std::int64_t>(widths.size());
  QuantiserFit fit;
  fit.steps = at::zeros({directions, widthCount}, at::kFloat);
  fit.distortion.resize(static_cast<std::size_t>(directions * widthCount));
  float* steps = fit.steps.mutable_data_ptr<float>();
  const float* data = columns.const_data_ptr<float>();

  parallelFor(directions, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::span<const float> values(data + static_cast<std::size_t>(i) * rows, rows);
      double energy = 0;
      for (const float value : values) energy += static_cast<double>(value) * value;
      const double deviation = std::sqrt(energy / static_cast<double>(rows));
      for (std::int64_t w = 0; w < widthCount; ++w) {
        const int bits = widths[static_cast<std::size_t>(w)];
        double best = bits == 0 ? energy : 0;
        if (bits > 0 && bits < 16 && deviation > 0) {
          best = std::numeric_limits<double>::infinity();
          const bool goesThrough = trellis && bits <= kTrellisBits;
          for (const float multiple : goesThrough ? kTrellisMultiples : kStepMultiples) {
            const auto step = static_cast<float>(gaussianStep(goesThrough ? bits + 1 : bits) * deviation) * multiple;
            const double error =
                goesThrough ? squaredErrorThroughTrellis(values, step, bits) : squaredError(values, step, bits);
            if (error >= best) continue;
            best = error;
            steps[i * widthCount + w] = step;
          }
        }
        fit.distortion[static_cast<std::size_t>(i * widthCount + w)] =
            energy > 0 ? static_cast<float>(best / energy) : 0.0F;
      }
    }
  });
  return fit;
}

}  // namespace kvista
