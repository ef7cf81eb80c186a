// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/token_source.h"
#include "core/plan/plan.h"
#include "core/plan/response.h"
#include "core/plan/shape.h"

namespace kvista {

/// Tokens at the start of a window that are counted apart: attention sinks look like no other token.
inline constexpr int kSinkTokens = 4;
/// Most rows that `LayerStatistics::sinkFactor` has once a pass is finished.
inline constexpr int kSinkRank = 64;

/// Sums over the calibration tokens of one layer (methods.md section 1). Sums, so that shards add; CPU tensors, float64
/// where nothing else is said. y = [k; v] is what the cache holds: raw outputs without bias, before norm and RoPE.
struct LayerStatistics {
  /// Sum of y y^T, [2kv, 2kv]; or, where the hidden size D is smaller than 2kv, of x x^T, [D, D], with x the input of
  /// the projections: the second moment of y is then W G W^T. Unpacked on `device` for each call: of a model with 32
  /// layers 4096 wide all together would take 4 GB.
  [[nodiscard]] at::Tensor secondMoment(at::Device device = at::kCPU) const;
  at::Tensor packedSecondMoment;  ///< As packSymmetric gives it.
  at::Tensor sum;                 ///< Sum of y or x, [n].
  at::Tensor sinkFactor;  ///< float32 [rows, n]: S^T S is the first kSinkTokens tokens' part of the second moment.
  at::Tensor sinkSum;     ///< Their part of `sum`, [n].
  /// Sum of g g^T a head over the tokens beyond the sinks, [kvHeads, d, d], g = d loss / d y; undefined without
  /// gradients.
  at::Tensor fisherKeys, fisherValues;
  /// The sinks' part of the same, which can outweigh all others: every later token attends to them.
  at::Tensor sinkFisherKeys, sinkFisherValues;
  at::Tensor rotatedKeys;    ///< Second moment of keys after norm and RoPE, [kvHeads, d, d].
  at::Tensor rotatedKeySum;  ///< Sum of the same, [kvHeads, d]; undefined in files of earlier programs.
  /// Second moment of the queries of each KV head's group after norm and RoPE, [kvHeads, d, d], and the products of the
  /// attention maps of KV heads (probabilities, mean over a group's queries) at sampled tokens, [kvHeads, kvHeads].
  /// Undefined in statistics of version 2 and where queries are of another width than keys.
  at::Tensor rotatedQueries, attentionMaps;
  at::Tensor fisherRotatedKeys;  ///< [kvHeads, d, d], beyond the sinks; undefined without gradients.
  double keyFisherScore = 0;     ///< Papers' score: mean over weights of the root mean square gradient over windows.
  double valueFisherScore = 0;
  at::Tensor sample;           ///< bfloat16 [rows, n]: y or x of tokens drawn beyond the sinks, to fit quantiser steps.
  at::Tensor samplePositions;  ///< int32 [rows].
};

/// What one calibration pass knows. Immutable once made; keyed by content (model, tokens, settings), never by a name.
struct Statistics {
  ModelShape shape;
  std::string modelHash;
  TextRecipe recipe;
  std::string tokensHash;
  bool ofInput = false;  ///< Which form LayerStatistics::secondMoment has.
  bool gradients = false;
  std::int64_t tokens = 0;
  std::int64_t windows = 0;
  double lossSum = 0;  ///< Of the predicted tokens, nats; 0 without gradients.
  std::string device;
  double seconds = 0;
  at::Tensor tokenIds;  ///< int32 [windows, window]: passes that need another look at the text take these.
  std::vector<LayerStatistics> layers;
  /// Measured on text held out from the pass; one curve for each way of storing.
  std::map<Storage, ResponseCurve> response;
  double heldOutLoss = 0;  ///< Mean nats a token of the uncompressed model there; 0 when nothing was held out.
  /// Its tokens, int32 [windows, window]; undefined where nothing was held out or a file has none.
  at::Tensor heldOutIds;

  [[nodiscard]] std::int64_t sinkTokens() const { return windows * kSinkTokens; }
  /// Mean loss in nats a token that relative predictions start from.
  [[nodiscard]] double baseLoss() const;
};

/// Whether a pass sums over the projections' inputs x (hidden size below 2kv) rather than their outputs y.
bool sumsInputs(const ModelShape& shape);
/// Rows that a pass samples of each window, for layers of this width; at most the tokens beyond the sinks.
std::int64_t sampleRowsPerWindow(const ModelShape& shape, std::int64_t windows, std::int64_t window);
/// Positions of the `rows` tokens that a pass samples of its window number `window`, which has `tokens`: beyond the
/// sinks, rising.
std::vector<std::int64_t> samplePositionsOf(std::int64_t window, std::int64_t tokens, std::int64_t rows);
/// Most rows that compactFactor leaves: kSinkRank, fewer for wide layers (16 for 4096).
std::int64_t mostSinkRows(std::int64_t width);
/// Bytes that the tensors of such statistics take in their file, which also has a header of about 100 bytes a tensor.
std::int64_t statisticsBytes(const ModelShape& shape, std::int64_t windows, std::int64_t window, bool gradients);

/// Writes one safetensors file: symmetric matrices packed to 24 bits a number (symmetric_pack.h), JSON in the metadata.
Result<void> saveStatistics(const std::filesystem::path& file, const Statistics& statistics, const Task& task);
Result<Statistics> loadStatistics(const std::filesystem::path& file);

/// The statistics of both passes' tokens together. Refused for different models, forms or token windows that overlap.
Result<Statistics> mergeStatistics(const Statistics& a, const Statistics& b);

/// Rows of `factor` [rows, n] replaced by at most mostSinkRows(n) that keep the largest part of factor^T factor: one
/// token's pattern dominates the sinks.
at::Tensor compactFactor(const at::Tensor& factor);

}  // namespace kvista
