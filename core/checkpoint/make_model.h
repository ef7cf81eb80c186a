// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/plan/shape.h"

namespace kvista {

/// The measures of a published model, for checkpoints of random numbers that cost as much as the real one.
struct PublishedShape {
  std::string_view name, summary;
  std::string_view modelType, architecture;  ///< As config.json has them.
  int layers = 0, hiddenSize = 0, intermediateSize = 0, queryHeads = 0, kvHeads = 0, headDim = 0, vocabulary = 0;
  std::int64_t positions = 0;
  double ropeTheta = 0;
  double epsilon = 0;
  bool tied = false;
};
std::span<const PublishedShape> publishedShapes();

struct ModelRequest {
  std::string shape;  ///< A name of publishedShapes().
  std::filesystem::path target;
  std::optional<int> layers;  ///< Fewer than the shape has.
  std::uint64_t seed = 0;
  bool isVirtual = false;  ///< Write what the weights follow from in place of the weights.
};
struct MadeModel {
  ModelShape shape;
  std::uint64_t weightBytes = 0;
  std::vector<std::string> files;
};

/// Writes a checkpoint of random numbers in bfloat16, with shards, index, config.json and a tokenizer of single bytes
/// that transformers and this program read. Norms are near 1 and projections keep their input's size, so that
/// activations stay finite at any depth. The same request gives the same bytes. Errors: invalidArgument (unknown shape,
/// layers), io, cancelled.
Result<MadeModel> makeModel(const ModelRequest& request, const Task& task);

}  // namespace kvista
