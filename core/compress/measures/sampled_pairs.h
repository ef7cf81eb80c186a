// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/compress/measures/measures.h"

namespace kvista {

/// What measures after RoPE look at: statistics have the products of keys of different heads only before it, but rows
/// of sampled tokens that can be rotated. Of a large model these are few, and few tokens make all heads look alike. Two
/// things keep that out: each head's own moments are those of all tokens, and what two heads have in common is
/// estimated from pairs of different tokens.

/// Outputs of each head of the side at the sampled tokens, keys as attention sees them; float64 [tokens, width] on the
/// CPU.
std::vector<at::Tensor> sampledHeads(const MeasureRequest& request);

/// Second moments of each head's own outputs over all tokens, keys as attention sees them, float64 [width, width] on
/// the CPU; `centred`: around their mean. Errors: numerical for moments that are not finite; invalidArgument for
/// statistics without the mean.
Result<std::vector<at::Tensor>> ownMoments(const MeasureRequest& request, bool centred);

/// Linear CKA of rows x_i [tokens, n_i] of each head i, [heads, heads]: cosines of sums over pairs of different tokens
/// s, t of (x_is . x_it)(x_js . x_jt). With the pairs of a token with itself these would be |sum over t of x_it
/// x_jt^T|^2, which for few tokens is far from zero also where heads have nothing in common. Estimates below zero are
/// 0.
at::Tensor alikeOverPairs(const std::vector<at::Tensor>& rows);

}  // namespace kvista
