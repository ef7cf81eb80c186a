// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/base/error.h"
#include "core/compress/basis.h"

namespace kvista {

/// Which numbers of a key head rotate, as RopeDescription has it.
struct HeadRotation {
  std::int64_t rotaryDim = 0;  ///< 0: none.
  bool isInterleaved = false;
};

/// Of each rotary pair the places of its two numbers in a head, int64 [rotaryDim / 2, 2].
at::Tensor rotaryPairs(const HeadRotation& rotation);

/// Whether [d, d] multiplies every rotary pair by one complex number and mixes no pair with anything else: then it
/// commutes with RoPE.
bool commutesWithRotation(const at::Tensor& matrix, const HeadRotation& rotation);

/// The basis in which t key heads share one that rotates like each of them (Yu et al. 2024, "Effectively Compress KV
/// Heads", made exact for RoPE). Rotary pair j of head i is the complex number k_ij; with weights w_ij, the mean of the
/// metric over the pair, the Hermitian second moments E[sqrt(w_ij) k_ij conj(sqrt(w_lj) k_lj)] have the eigenvectors
/// v_j: k_ij ~ v_ij c_j / sqrt(w_ij) with c_j one number of the common head. Complex factors commute with rotation.
/// Numbers that do not rotate have an eigenbasis of all heads in the metric.
///
/// `covariance`: [t d, t d] float64 of the heads one after the other. `metrics`: [t, d, d], or undefined: the identity.
/// Direction p < d is number p of the best common head, in the places of a head; those after it are what it leaves, by
/// falling eigenvalue. The spectrum's first d eigenvalues are never below the others, since they are kept first.
Result<GroupBasis> commonHeadBasis(const at::Tensor& covariance, const at::Tensor& metrics, std::int64_t heads,
                                   const HeadRotation& rotation);

}  // namespace kvista
