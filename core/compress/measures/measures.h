// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

struct MeasureRequest {
  const Decoder& decoder;
  const Statistics& statistics;
  int layer = 0;
  Side side = Side::key;
};

/// A way to say how alike two heads of a layer are: 1 for the same up to rotation and scale, 0 for nothing in common.
struct Measure {
  std::string_view name;
  std::string_view summary;  ///< One line for `kvista list measures`.
  std::string_view formula;
  std::string_view unit;                                    ///< And the range of what it answers.
  std::string_view source;                                  ///< Paper and section.
  Result<at::Tensor> (*similarity)(const MeasureRequest&);  ///< float64 [kvHeads, kvHeads].
};

/// Of linear CKA, which several measures are forms of.
inline constexpr std::string_view kCkaSource =
    "Kornblith et al., Similarity of neural network representations revisited (2019), section 3; of heads: ReCalKV "
    "(2025)";

/// Every measure; a new one is a file in this folder and one line in measures.cpp.
const std::vector<Measure>& measures();
Result<const Measure*> findMeasure(std::string_view name);

/// Products p_ij of things with each other made cosines p_ij / sqrt(p_ii p_jj); what is zero is like nothing but
/// itself.
at::Tensor cosines(const at::Tensor& products);

/// Second moment and mean of y = [k; v] a token, with or without the first kSinkTokens of each window.
struct OutputMoments {
  at::Tensor second;  ///< float64 [2kv, 2kv]
  at::Tensor mean;    ///< float64 [2kv]
};
OutputMoments outputMoments(const MeasureRequest& request, bool withoutSinks);

/// Of it what is the side's, [heads * width, heads * width]: the second moment, or around the mean (`centred`). Error:
/// as checkMoments.
Result<at::Tensor> sideMoments(const MeasureRequest& request, bool centred);
/// Refuses (numerical) moments that are not finite, of which there is no eigenbasis.
Result<void> checkMoments(const at::Tensor& moments);

}  // namespace kvista
