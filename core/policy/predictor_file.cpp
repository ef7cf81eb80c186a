// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/policy/predictor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/io/checkpoint.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

tl::unexpected<Error> ofAnotherModel(const std::filesystem::path& file, const PredictorFormat& format,
                                     const std::string& model, const std::string& expected) {
  return fail(ErrorCode::invalidArgument,
              fmt::format("The {} {} is of another model (content {} where {} was expected).", format.name,
                          file.string(), quoteForMessage(model), expected),
              format.hint);
}

Result<TensorFile> openInExport(const std::filesystem::path& folder, const PredictorFormat& format,
                                const std::string& modelHash) {
  KVISTA_ASSIGN(const Checkpoint checkpoint, openCheckpoint(folder));
  const auto isOurs = [&](const auto& tensor) { return tensor.first.starts_with(format.inExport); };
  if (std::ranges::none_of(checkpoint.tensors->tensors(), isOurs))
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no {}.", folder.string(), format.name), format.hint);
  if (!modelHash.empty()) {
    KVISTA_ASSIGN(const std::string own, contentHash(checkpoint));
    if (own != modelHash) return ofAnotherModel(folder, format, own, modelHash);
  }
  return TensorFile::within(folder, checkpoint.tensors, format.inExport);
}

}  // namespace

Result<void> savePredictor(const std::filesystem::path& file, const PredictorFormat& format,
                           const NamedTensors& tensors, const std::string& modelHash, const Task& task) {
  return writeTensorFile(file, tensors, {{format.field, nlohmann::json{{"model", modelHash}}.dump()}}, task);
}

Result<TensorFile> openPredictor(const std::filesystem::path& file, const PredictorFormat& format,
                                 const std::string& modelHash) {
  std::error_code none;
  if (std::filesystem::is_directory(file, none)) return openInExport(file, format, modelHash);
  if (file == "train" && !std::filesystem::exists(file, none))
    return fail(ErrorCode::invalidArgument,
                fmt::format("The option gate is the file of a {}, and there is none of the name train.", format.name),
                fmt::format("Only the file of an experiment has \"train\" in its place. {}", format.hint));
  KVISTA_ASSIGN(TensorFile reader, TensorFile::open(file));
  const std::string text = reader.text(format.field);
  if (text.empty())
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no {}.", file.string(), format.name), format.hint);
  KVISTA_ASSIGN(const nlohmann::json description, parseJson(text, file.string()));
  const bool isNamed = description.is_object() && description.contains("model") && description["model"].is_string();
  const std::string model = isNamed ? description["model"].get<std::string>() : "";
  if (!modelHash.empty() && model != modelHash) return ofAnotherModel(file, format, model, modelHash);
  return reader;
}

Result<at::Tensor> predictorTensor(const TensorFile& reader, const std::filesystem::path& file, const std::string& name,
                                   const std::vector<std::int64_t>& shape) {
  KVISTA_ASSIGN(at::Tensor tensor, reader.read(name, at::kFloat, shape));
  if (tensor.isfinite().all().item<bool>()) return tensor;
  return fail(ErrorCode::corruptFile, fmt::format("{}: tensor {} holds NaN or infinity.", file.string(), name),
              "Make it again.");
}

}  // namespace kvista
