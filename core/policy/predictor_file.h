// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/tensor_file.h"

namespace kvista {

/// How files of a trained predictor are told from others.
struct PredictorFormat {
  const char* field;     ///< Under which the file names its model.
  const char* name;      ///< What sentences call it.
  const char* hint;      ///< How to make one.
  const char* inExport;  ///< What its tensors' names begin with among the weights of an export that records its policy.
};

/// One safetensors file that names the model by its content hash.
Result<void> savePredictor(const std::filesystem::path& file, const PredictorFormat& format,
                           const NamedTensors& tensors, const std::string& modelHash, const Task& task);
/// Such a file, or what an export (its folder) has among its weights. Errors: corruptFile for a damaged file or one of
/// something else; invalidArgument for another model than `modelHash` (empty: any), which of an export is the export
/// itself.
Result<TensorFile> openPredictor(const std::filesystem::path& file, const PredictorFormat& format,
                                 const std::string& modelHash);
/// A float32 tensor of an opened file, all of it finite. Error: corruptFile.
Result<at::Tensor> predictorTensor(const TensorFile& reader, const std::filesystem::path& file, const std::string& name,
                                   const std::vector<std::int64_t>& shape);

}  // namespace kvista
