// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "core/base/error.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// Why statistics have nothing of a layer's queries ("second moments of queries", "attention maps"), which `needs` says
/// what for: its attention is latent, or they were made before such were kept.
Error noQueries(const Decoder& decoder, int layer, std::string_view what, std::string_view needs);

/// What attention scores feel of errors in keys (methods.md section 6), one form a KV head, float64 [kvHeads, d, d] on
/// the decoder's device. After RoPE: the second moment of the queries of the head's group. Before: the same averaged
/// over all rotations, which leaves one weight for each rotary pair, half the sum of its two energies, and the moments
/// of what is not rotated; with the weights of the keys' norm, if there is one. Errors: invalidArgument for statistics
/// without queries and for norms that mix the numbers of a head.
Result<at::Tensor> queryMetric(const Decoder& decoder, const LayerStatistics& sums, int layer, KeyPosition keyPosition);

/// What errors in values are after the output projection (methods.md section 2), one form a KV head, float64 [kvHeads,
/// d, d] on the decoder's device: sum of W_h^T W_h over the query heads h of its group, W_h the projection's columns of
/// that head. Error: invalidArgument for latent attention, whose one latent becomes keys too.
Result<at::Tensor> outputMetric(const Decoder& decoder, int layer);

/// Forms [heads, d, d] scaled together so that sum_h trace(M_h C_h) = 1: errors are parts of what there is.
at::Tensor relativeTo(const at::Tensor& forms, const at::Tensor& covariances);

}  // namespace kvista
