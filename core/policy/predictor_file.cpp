// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/predictor_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/io/json_file.h"

namespace kvista {

Result<void> savePredictor(const std::filesystem::path& file, const PredictorFormat& format, const NamedTensors& tensors,
                           const std::string& modelHash, const Task& task) {
  return writeTensorFile(file, tensors, {{format.field, nlohmann::json{{"model", modelHash}}.dump()}}, task);
}

Result<TensorFile> openPredictor(const std::filesystem::path& file, const PredictorFormat& format, const std::string& modelHash) {
  KVISTA_ASSIGN(TensorFile reader, TensorFile::open(file));
  const std::string text = reader.text(format.field);
  if (text.empty()) return fail(ErrorCode::corruptFile, fmt::format("{} holds no {}.", file.string(), format.name), format.hint);
  KVISTA_ASSIGN(const nlohmann::json description, parseJson(text, file.string()));
  const bool isNamed = description.is_object() && description.contains("model") && description["model"].is_string();
  const std::string model = isNamed ? description["model"].get<std::string>() : "";
  if (!modelHash.empty() && model != modelHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The {} {} is of another model (content {} where {} was expected).", format.name, file.string(),
                            quoteForMessage(model), modelHash),
                format.hint);
  return reader;
}

Result<at::Tensor> predictorTensor(const TensorFile& reader, const std::filesystem::path& file, const std::string& name,
                                   const std::vector<std::int64_t>& shape) {
  KVISTA_ASSIGN(at::Tensor tensor, reader.read(name, at::kFloat, shape));
  if (tensor.isfinite().all().item<bool>()) return tensor;
  return fail(ErrorCode::corruptFile, fmt::format("{}: tensor {} holds NaN or infinity.", file.string(), name), "Make it again.");
}

}  // namespace kvista
