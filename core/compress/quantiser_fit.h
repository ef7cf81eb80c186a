// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace kvista {

struct QuantiserFit {
  at::Tensor steps;               ///< float32 [directions, widths].
  std::vector<float> distortion;  ///< [directions * widths]: squared error over squared size, 1 for width 0, 0 for 16.
};

/// Fits the step of a uniform mid-rise quantiser for each direction and width: of the Gaussian step times .5 .7 .85 1
/// 1.25 1.6 2.2 3 the one with the least squared error on `latents` (float32 [rows, directions]); methods.md
/// section 10. Of codes that go through a trellis likewise, a direction's rows standing for the directions that are
/// coded together: of the Gaussian step of a bit more times .5 .65 .75 .85 .95 1.1 1.35 1.8.
QuantiserFit fitQuantisers(const at::Tensor& latents, const std::vector<int>& widths, bool trellis = false);

}  // namespace kvista
