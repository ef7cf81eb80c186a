// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/description.h"

namespace kvista {

struct Checkpoint;
class TensorStore;
struct TensorInfo;

struct LinearWeights {
  at::Tensor weight;  ///< [out, in]
  at::Tensor bias;    ///< [out], or undefined.
};

/// Undefined where the norm has none. A weight's offset has been added to it.
struct NormWeights {
  at::Tensor weight, bias;
};

struct MlpWeights {
  LinearWeights gate, up, down;
};

/// What a layer does not have is undefined.
struct LayerWeights {
  NormWeights attentionNorm, queryNorm, keyNorm, attentionOutputNorm, feedForwardNorm, feedForwardOutputNorm;
  LinearWeights query, key, value, output;
  NormWeights latentNorm, queryReductionNorm;  ///< These two lines: of latent attention.
  LinearWeights expansion, queryReduction;
  at::Tensor sinks;
  LinearWeights router;
  at::Tensor routerCorrection;  ///< float32, whatever the type of the others.
  std::vector<MlpWeights> experts;
  MlpWeights shared;
  LinearWeights sharedGate;
};

struct DecoderWeights {
  std::shared_ptr<const TensorStore> store;  ///< Keeps the mapped files alive that weights are views of.
  /// With streamed layers their matrices are undefined tensors; a LayerStream reads them, and says here which ones have
  /// been found free of NaN.
  std::shared_ptr<std::vector<std::atomic<bool>>> layersKnown;
  at::Tensor embedding, positions;
  LinearWeights embeddingProjection;
  NormWeights embeddingNorm;
  std::vector<LayerWeights> layers;
  NormWeights headNorm;
  LinearWeights headProjection, head;
};

/// Every matrix that a layer has, always in the same order.
std::vector<const LinearDescription*> matricesOf(const LayerDescription& layer);
/// The places of their weights.
std::vector<LinearWeights*> matricesOf(const LayerDescription& description, LayerWeights& layer);
/// Every norm that a layer has, and the places of their weights.
std::vector<const NormDescription*> normsOf(const LayerDescription& layer);
std::vector<NormWeights*> normsOf(const LayerDescription& description, LayerWeights& layer);

/// Reads every tensor of the description in `dtype` onto `device`: a view of the mapped file where type, alignment and
/// device allow it, a converted copy elsewhere; with `streamed` all but the layers' matrices. NaN or infinity is an
/// error of code numerical, naming tensor and index.
Result<DecoderWeights> loadWeights(const Checkpoint& checkpoint, const DecoderDescription& description,
                                   at::Device device, at::ScalarType dtype, bool streamed, const Task& task);

/// A tensor on the CPU, as it lies in the file where that can be viewed in place (`store` must outlive it), else as
/// float32.
Result<at::Tensor> readTensor(const TensorStore& store, const TensorInfo& info);

/// A matrix of `layer` by readTensor. Errors as loadWeights, for layers that nobody has looked through.
Result<at::Tensor> readMatrix(const DecoderWeights& weights, int layer, const std::string& name);

/// Reads every weight and answers a sentence for each tensor that holds NaN or infinity; none: all are finite.
Result<std::vector<std::string>> scanWeights(const Checkpoint& checkpoint, const DecoderDescription& description,
                                             const Task& task);

}  // namespace kvista
