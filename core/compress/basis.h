// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/calibration/statistics.h"
#include "core/compress/factors.h"
#include "core/compress/method.h"
#include "core/compress/prefix_streams.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"
#include "core/plan/spectrum.h"

namespace kvista {

/// The eigenbasis of one group's outputs in a metric M (methods.md section 2): eigh(M^1/2 C M^1/2) = U diag(lambda)
/// U^T. One decomposition serves every rank and every width.
struct GroupBasis {
  at::Tensor up;  ///< float64 (kept for later: float32) [n, n]: M^-1/2 U, directions as columns by falling eigenvalue.
  at::Tensor down;  ///< As up, U^T M^1/2; compensated: U^T M^1/2 B. Of inputs, [n, hiddenSize], where GroupFactors' is.
  Spectrum spectrum;  ///< Eigenvalues a token; fitted distortions if the coder's steps were fitted.
  at::Tensor steps;   ///< float32 [n, widths] of the coder, in the order of spectrum.widths; undefined without coding.
  /// As GroupFactors has it: the basis is of what it leaves of the outputs; undefined but in chains.
  at::Tensor prediction;
  bool trellis = false;  ///< Whether steps and distortions are those of codes through a trellis.
  /// [n] of all directions and [n] of the outputs, as GroupFactors has them; undefined unless centred.
  at::Tensor shift, offset;
};

/// What a decomposition is made from.
struct BasisRequest {
  Metric metric = Metric::fisher;
  double damping = 0;  ///< CompressionPlan::damping.
  KeyPosition keyPosition = KeyPosition::beforeRope;
  bool weightsOnly = false;      ///< C = W W^T: no text needed (methods.md section 11, `svd`).
  bool withoutSinks = false;     ///< Leave the first kSinkTokens of each window out of C: they stay exact.
  bool sharesHeads = false;      ///< Keys of a group have a common head (common_heads.h).
  bool centred = false;          ///< C is the covariance around the mean, which is put back.
  int layersTogether = 1;        ///< Method::layersTogether.
  std::vector<int> codedWidths;  ///< Fit quantiser steps for these widths; empty: none.
  bool trellis = false;          ///< CompressionPlan::trellis.
};

/// What the decompositions of a plan are made from; the method decides where second moments come from and which widths
/// the coder knows.
BasisRequest basisRequestOf(const CompressionPlan& plan, const Method& method);

/// Second moments, metrics and samples of a layer's outputs, brought from statistics and weights into the space of y,
/// on the decoder's device.
class LayerMoments {
 public:
  /// `statistics` may be null where `request.weightsOnly`.
  static Result<LayerMoments> of(const Decoder& decoder, const Statistics* statistics, int layer,
                                 const BasisRequest& request);

  /// Decomposes one group of this layer's slots. In Metric::eigen the eigenvalues are those of keys and queries
  /// together.
  Result<GroupBasis> decompose(const std::vector<Slot>& slots) const;
  /// Decomposes it for outputs y2 behind compressed layers, to rebuild y1 of the model as it is: reduced-rank
  /// regression in the metric (methods.md section 5), eigh(M^1/2 B C22 B^T M^1/2) = U diag(lambda) U^T with B = C12
  /// C22^-1. Directions of M^1/2 C22 M^1/2 that carry next to nothing are left as they are: B is the identity there.
  /// Before RoPE only.
  [[nodiscard]] Result<GroupBasis> compensate(const std::vector<Slot>& slots, const PrefixMoments& prefix) const;
  /// Decomposes other outputs of those slots in the same metric, float32 [rows, n]: what is left of a sample of them.
  [[nodiscard]] Result<GroupBasis> decomposeRest(const std::vector<Slot>& slots, const at::Tensor& rest) const;
  /// That decomposition's spectrum alone, without eigenvectors where no coder is fitted.
  [[nodiscard]] Result<Spectrum> spectrum(const std::vector<Slot>& slots) const;
  /// Its eigenvalues, falling.
  [[nodiscard]] Result<std::vector<double>> eigenvalues(const std::vector<Slot>& slots) const;
  /// Mean second moment of all outputs a token, or their covariance if it is centred, [2kv, 2kv] float64 (before RoPE).
  [[nodiscard]] const at::Tensor& covariance() const { return covariance_; }
  /// Mean of the outputs of some slots over the tokens that `covariance` was taken of, in their order; of rotated keys
  /// over all tokens, where keys are compressed after RoPE.
  [[nodiscard]] at::Tensor meanOf(const std::vector<Slot>& slots) const;
  /// The same for the outputs of some slots, in their order; of the rotated key where keys are compressed after RoPE.
  [[nodiscard]] at::Tensor covarianceOf(const std::vector<Slot>& slots) const;
  /// Rows and columns of any [2kv, 2kv] matrix, or numbers of any [2kv], that belong to some slots, in their order.
  [[nodiscard]] at::Tensor ofSlots(const at::Tensor& matrix, const std::vector<Slot>& slots) const;
  /// Decompose another second moment of the same outputs from now on: of inputs that came through compressed layers.
  void replaceCovariance(const at::Tensor& covariance) { covariance_ = covariance.to(covariance_.device()); }
  /// Metric of one slot, [d, d]: its Fisher block a token, or what attention feels (attention_metric.h); undefined with
  /// the identity metric.
  [[nodiscard]] at::Tensor metricOf(const Slot& slot) const;

 private:
  /// Puts in the metrics of queries and of the output projection. `sums` may be null where no queries are asked for.
  Result<void> weighByAttention(const Decoder& decoder, const LayerStatistics* sums, int layer);
  Result<void> takeRotatedKeys(const LayerStatistics& sums, double tokens);
  void damp();
  /// M^1/2 C M^1/2 of some slots, symmetric to the bit, with M^1/2 and M^-1/2 (undefined: the identity).
  struct Weighted {
    at::Tensor matrix, root, inverse;
    [[nodiscard]] at::Tensor of(const at::Tensor& covariance) const;
  };
  [[nodiscard]] Weighted metric(const std::vector<Slot>& slots) const;
  [[nodiscard]] Result<Weighted> weighted(const std::vector<Slot>& slots) const;
  /// Columns of a sample of all outputs that belong to some slots.
  [[nodiscard]] at::Tensor sampleOf(const at::Tensor& sample, const std::vector<Slot>& slots) const;
  /// Outputs as a basis sees them.
  struct Seen {
    at::Tensor sample;        // what steps are fitted to, [rows, n]
    at::Tensor mean, target;  // [n]: of what is seen, and of what is to be rebuilt; where it is centred
  };
  /// `metric.matrix` decomposed. `regression`: B in the metric's coordinates, undefined where it is the identity.
  [[nodiscard]] GroupBasis basisOf(const Weighted& metric, const at::Tensor& regression, const Seen& seen) const;

  ModelShape shape_;
  BasisRequest request_;
  std::int64_t rotaryDim_ = 0;  // of keys
  bool isInterleaved_ = false;
  at::Tensor covariance_;                 // [2kv, 2kv], a token
  at::Tensor mean_;                       // [2kv]; undefined for weights alone
  at::Tensor rotatedCovariance_;          // [kvHeads, d, d], a token; keys after RoPE only
  at::Tensor rotatedMean_;                // [kvHeads, d]; as rotatedCovariance_, where it is centred
  at::Tensor queries_;                    // As rotatedCovariance_, of the queries; Metric::eigen only
  std::optional<GroupBasis> common_;      // Of the whole layer, where several share their `down`
  at::Tensor metricKeys_, metricValues_;  // [kvHeads, d, d] a token; undefined: identity
  at::Tensor sample_;  // float32 [rows, 2kv]: raw outputs without bias, rotated keys where keys are after RoPE
};

/// Factors of a group as planned: the directions with any bits, by falling width.
GroupFactors factorsOf(const GroupBasis& basis, const Group& group);

}  // namespace kvista
