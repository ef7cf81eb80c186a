// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/plan/matrix.h"

namespace kvista {

/// How unlike the caches of layers are (KVSharer, Yang et al. 2024, section 3): the Frobenius norm of the difference of
/// two layers' keys after RoPE and values, each averaged over windows position by position. [layers, layers],
/// symmetric, 0 on the diagonal. `ids`: int [windows, window].
Result<Matrix> layerDistances(const Decoder& decoder, const at::Tensor& ids, const Task& task);

struct SharingRequest {
  int layers = 1;  ///< How many shall read the cache of another.
  /// A pair is taken where the final states keep at least this cosine with those of the model as it is.
  double threshold = 0.5;
};

/// Who reads whose cache, and what it does to the model.
struct LayerSharing {
  std::vector<int> sharedFrom;  ///< CompressionPlan::sharedFrom.
  Matrix distances;
  double cosine = 1;  ///< Mean over tokens, of the final states with and without sharing.
  int refused = 0;    ///< Pairs that would have gone below the threshold.
};

/// KVSharer's search: pairs of layers by falling distance, the later reads the cache of the earlier; a pair is kept if
/// the final states still resemble those of the model as it is, and the search ends with as many as were asked for. A
/// layer that is read keeps its cache. Looks at the first windows of `ids`. Error: invalidArgument where not as many
/// pairs are good enough.
Result<LayerSharing> shareLayers(const Decoder& decoder, const at::Tensor& ids, const SharingRequest& request,
                                 const Task& task);

/// Mean over tokens of the cosine between the final states of the model as it is and with layers reading others'
/// caches. Error: invalidArgument for what is no map of the model's layers.
Result<double> cosineWithSharing(const Decoder& decoder, const at::Tensor& ids, const std::vector<int>& sharedFrom,
                                 const Task& task);

}  // namespace kvista
