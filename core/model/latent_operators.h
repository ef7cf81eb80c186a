// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/cuda/latent_attention.h"
#include "core/model/packed_records.h"

namespace kvista {

/// Kernels of attention over latents for one kind of device from now on. openDevice gives those for GPUs; where there
/// are none, libtorch's own operators compute the same.
void useLatentAttention(at::DeviceType device, const LatentAttentionKernels& kernels);
bool hasLatentAttention(at::Device device);

/// Attention of one new token of each sequence to the tokens of a cache.
struct LatentAttended {
  at::Tensor output;      ///< [batch, queryHeads, width], as the queries
  at::Tensor statistics;  ///< float32 [batch, queryHeads, parts, 2]: of each part of the tokens the largest exponent of
                          ///< 2, and the sum in its unit
  /// log2(sum of exp(score)), float32 [batch, queryHeads].
  [[nodiscard]] at::Tensor exponent() const;
};
/// Attention to both of two sets of tokens.
LatentAttended joined(const LatentAttended& a, const LatentAttended& b);

/// What kernels need to know of a model's rotation, on a device; one for all layers.
class LatentRotation {
 public:
  /// frequencies [width / 2]: radians a position of each pair (j, j + width / 2).
  LatentRotation(std::vector<float> frequencies, at::Device device);
  [[nodiscard]] const at::Tensor& frequencies() const { return frequencies_; }
  [[nodiscard]] std::int64_t width() const { return 2 * frequencies_.numel(); }
  /// Why kernels cannot rotate so; empty where they can.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  friend class RebuiltAttention;
  struct Table {
    int tokens = 0, lowFunctions = 0;
    at::Tensor table, cosine, sine;
  };
  at::Tensor frequencies_;  // float32 [width / 2]
  Table shortSegments_, longSegments_;
  std::string refusal_;
};

/// Attention of one layer over latents of keys before RoPE and of values, numbers of 16 bits or packed codes
/// (core/cuda/latent_attention.h says how kernels do it). Token t of the cache stands at position t of the rotation.
class RebuiltAttention {
 public:
  /// How a packed latent lies in a record.
  struct Codes {
    RecordLayout layout;
    at::Tensor steps;  ///< float32 [rank], 1 for numbers
  };
  /// Heads that share latents, in the order of the heads; all groups have as many, and all are packed or none.
  struct Group {
    at::Tensor keyUp;            ///< [keyRank, heads * width]
    at::Tensor valueUp;          ///< [heads * width, valueRank]
    std::int64_t keyOffset = 0;  ///< Of the latent in a token's record, in elements: numbers, or bytes of packed ones.
    std::int64_t valueOffset = 0;
    std::optional<Codes> keys = std::nullopt, values = std::nullopt;  ///< Of packed ones.
  };
  /// queriesPerHead: of each head of keys. Errors (invalidArgument) name the tensor and what is wrong with it.
  static Result<RebuiltAttention> make(std::vector<Group> groups, std::shared_ptr<const LatentRotation> rotation,
                                       int queriesPerHead);

  /// Why libtorch's operators run although there are kernels for the device; empty where kernels run.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  /// queries [batch, queryHeads, width] after RoPE, of the ups' type; keys and values [batch, tokens, elements] of that
  /// type, or bytes where they are packed, elements of a record neighbours; the same tensor for joint latents.
  Result<LatentAttended> operator()(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                    double scale) const;
  /// The same by libtorch's operators, of tensors that fit: what kernels are checked against.
  [[nodiscard]] LatentAttended byOperators(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                           double scale) const;

 private:
  RebuiltAttention() = default;
  Result<LatentAttended> runKernels(const LatentAttentionKernels& kernels, const at::Tensor& queries,
                                    const at::Tensor& keys, const at::Tensor& values, double scale) const;
  /// The table that kernels want, and the tokens of a segment.
  [[nodiscard]] std::pair<const LatentRotation::Table*, std::int64_t> segmentsFor(std::int64_t batch,
                                                                                  std::int64_t tokens) const;

  std::vector<Group> groups_;
  std::shared_ptr<const LatentRotation> rotation_;
  std::int64_t headsPerGroup_ = 0, queriesPerHead_ = 0;
  std::int64_t keyElements_ = 0, valueElements_ = 0;        // that a record has at least
  std::int64_t largestKeyRank_ = 0, largestValueRank_ = 0;  // of kernels: multiples of 8
  std::int32_t largestKeyWords_ = 0, largestValueWords_ = 0;
  bool packed_ = false;
  std::vector<at::Tensor> kernelUps_;  // of packed latents: multiplied by their steps and filled up
  at::Tensor described_;               // RebuiltGroup of each, in the device's memory
  int blocksByWarpgroups_ = 0;         // as the kernels say
  bool longFits_ = false;              // the table of long segments fits into a block's memory along with the latents
  std::string refusal_;
};

/// Attention of one layer over records of single heads (RecordLayout) with keys after RoPE.
class DirectAttention {
 public:
  struct Latent {
    RecordLayout layout;
    at::Tensor up;            ///< [width, rank]
    at::Tensor steps;         ///< float32 [rank], 1 for numbers
    std::int64_t offset = 0;  ///< In a token's record, in bytes.
  };
  struct Head {
    Latent keys, values;
  };
  static Result<DirectAttention> make(std::vector<Head> heads, int queriesPerHead);

  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  /// queries [batch, queryHeads, width] after RoPE; keys and values uint8 [batch, tokens, bytes], bytes of a record
  /// neighbours.
  Result<LatentAttended> operator()(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                    double scale) const;
  [[nodiscard]] LatentAttended byOperators(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                           double scale) const;

 private:
  DirectAttention() = default;
  Result<LatentAttended> runKernels(const LatentAttentionKernels& kernels, const at::Tensor& queries,
                                    const at::Tensor& keys, const at::Tensor& values, double scale) const;

  std::vector<Head> heads_;
  std::int64_t queriesPerHead_ = 0, keyBytes_ = 0, valueBytes_ = 0;  // bytes a record has at least
  std::int64_t largestRank_ = 0;
  std::vector<at::Tensor> kernelFactors_;  // ups and steps of parts of codes
  at::Tensor described_;                   // DirectGroup of each, in the device's memory
  std::int32_t largestKeyWords_ = 0, largestValueWords_ = 0, largestValueUnits_ = 0;
  std::string refusal_;
};

}  // namespace kvista
