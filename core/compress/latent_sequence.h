// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/compress/factors.h"
#include "core/model/decoder.h"
#include "core/model/latent_operators.h"

namespace kvista {

/// A sequence's cache as a plan stores it: a token of a layer is one record of packed latents, group by group, but for
/// the first exact tokens, which stay as they are. Where there are kernels and the plan's groups fit them, attention
/// reads the latents (core/cuda/latent_attention.h); elsewhere keys and values are rebuilt for each token.
class LatentSequence final : public SequenceStore {
 public:
  /// `factors`: one entry a group, on the decoder's device. The plan must not be of plain quantisation.
  LatentSequence(const CompressionPlan& plan, const PlanFactors& factors, const Decoder& decoder);

  void append(int layer, const KeyValues& raw, const at::Tensor& rotatedKeys) override;
  at::Tensor attend(int layer, const at::Tensor& query) const override;
  [[nodiscard]] Tokens rebuilt(int layer) const override;
  [[nodiscard]] std::int64_t bytes() const override;
  /// Whether attention of `layer` is computed by kernels.
  [[nodiscard]] bool usesKernels(int layer) const;

 private:
  /// One group.
  struct Part {
    std::vector<std::int64_t> columns;  // of [keys | values]
    int rotatedHead = -1;               // the key head, where keys are compressed after RoPE
    at::Tensor places;                  // columns, on the device
    at::Tensor down, up, steps;         // as GroupFactors; down and up undefined for the identity
    bool readsInput = false;            // as GroupFactors
    at::Tensor shift, mean;             // its shift and offset; undefined unless centred
    RecordLayout layout;
    std::int64_t offset = 0;  // in the record, bytes
  };
  /// What kernels that rebuild keys need of a rope.
  struct Turning {
    std::shared_ptr<const LatentRotation> rotation;
    at::Tensor exactCosine, exactSine;  // of the exact tokens' length
    double factor = 1;                  // of the scores
  };
  struct Layer {
    std::vector<Part> parts;
    std::int64_t recordBytes = 0;
    bool isCoded = false;
    at::Tensor records;  // uint8 [1, capacity, recordBytes]
    std::int64_t tokens = 0;
    KeyValues exact;          // [1, exact tokens, width]
    at::Tensor exactRotated;  // [1, kvHeads, exact tokens, headDim]
    std::optional<DirectAttention> direct;
    std::optional<RebuiltAttention> rebuilt;
    std::shared_ptr<const Turning> turning;     // of `rebuilt`
    std::int64_t firstKey = 0, firstValue = 0;  // elements of a record that `rebuilt` leaves out
  };
  /// The group that holds a head, and where its rows begin in what rebuilds it.
  struct Place {
    const Part* part;
    std::int64_t row;
  };
  [[nodiscard]] std::vector<Place> placesOf(const Layer& layer, Side side) const;
  [[nodiscard]] at::Tensor rowsOf(const Place& place, std::int64_t rank) const;
  void useDirect(Layer& layer) const;
  void useRebuilt(Layer& layer, int number, const std::shared_ptr<const Turning>& turning) const;
  /// Null for what kernels cannot rotate by.
  [[nodiscard]] std::shared_ptr<const Turning> turningOf(const RopeDescription& rope) const;
  [[nodiscard]] at::Tensor latentOf(const Layer& layer, const Part& part) const;
  [[nodiscard]] LatentAttended attendToExact(const Layer& layer, double scale, const at::Tensor& query) const;

  const Decoder& decoder_;
  at::ScalarType type_;
  int exactTokens_;
  bool afterRope_;
  std::vector<Layer> layers_;
};

}  // namespace kvista
